//! `proteus compare`.

use super::failure::Failure;
use super::table;
use crate::report::Summary;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;

/// Put runs, or the runs of several seeds, side by side
#[derive(clap::Args)]
#[command(
    after_help = "A folder of --runs is one line: mean and standard deviation (of a sample, n - 1) over its finished \
runs, and below it the run with the least loss. Settings in which the folders differ follow."
)]
pub struct Args {
    /// Run folders, or folders of --runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Print a JSON array with one object for each folder
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let summaries: Result<Vec<Summary>, _> = args.runs.iter().map(|path| Summary::read(path)).collect();
    let summaries = summaries?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", Value::Array(summaries.iter().map(Summary::json).collect()))?;
    } else {
        writeln!(out, "{}", table::comparison(&summaries))?;
    }
    Ok(())
}
