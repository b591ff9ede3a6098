//! `proteus eval`.

use super::failure::Failure;
use super::{table, train};
use crate::train::{Config, evaluate_run};
use crate::{device, gpu};
use std::io::Write;
use std::path::PathBuf;

/// Score a trained run on its data set
#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Folder to look for data sets in, before $PROTEUS_DATA and ./datasets; may be repeated
    #[arg(long, value_name = "DIR")]
    data: Vec<PathBuf>,
    /// auto, cpu, gpu, gpu:1, or part of an adapter's name
    #[arg(long, value_name = "D", default_value = "auto")]
    device: String,
    /// Print one JSON object: loss, acc, nmi, ari, cluster_sizes
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let path = args.run.join("config.toml");
    let text = std::fs::read_to_string(&path).map_err(|e| {
        Failure::User(format!("{} is no run folder: cannot read {}: {e}", args.run.display(), path.display()))
    })?;
    let config = Config::from_toml(&text, &path.display().to_string())?;
    let set = train::load(&config, &args.data)?;
    let (mut engine, chosen) = device::open(&args.device, None, gpu::Options::default())?;
    let evaluation = evaluate_run(&args.run, &config, &set, engine.as_mut())?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", table::json(&evaluation))?;
    } else {
        writeln!(out, "device  {chosen}")?;
        writeln!(out, "{}: {} images of {}", args.run.display(), set.len(), set.name)?;
        if set.scored < set.len() {
            writeln!(out, "scores count the first {} images, the others only train", set.scored)?;
        }
        writeln!(out, "{}", table::text(&evaluation))?;
    }
    Ok(())
}
