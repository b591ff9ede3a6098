//! The command line: one file per subcommand.

mod assign;
mod bench;
mod bench_kernels;
mod bench_step;
mod compare;
mod completions;
mod data;
mod data_cache;
mod device_args;
mod devices;
mod eval;
mod failure;
mod found;
mod health;
mod image_memory;
mod images;
mod import;
mod many;
mod profile;
mod progress;
mod report;
mod session;
mod subject;
mod table;
mod train;
mod tune;
mod watch;

use clap::{CommandFactory, Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Cluster images with prototypes that transform themselves to fit each image.
#[derive(Parser)]
#[command(name = "proteus", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(train::Args),
    Eval(eval::Args),
    Assign(assign::Args),
    Report(report::Args),
    Compare(compare::Args),
    Import(import::Args),
    Data(data::Args),
    Bench(bench::Args),
    Profile(profile::Args),
    Tune(tune::Args),
    Devices(devices::Args),
    Completions(completions::Args),
    Man(completions::ManArgs),
}

/// Runs the program. Exit codes: 0, 1 for a failure, 2 for a user's mistake, 130 when stopped by Ctrl-C or SIGTERM.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Train(args) => train::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Assign(args) => assign::run(args),
        Command::Report(args) => report::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Import(args) => import::run(args),
        Command::Data(args) => data::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Profile(args) => profile::run(args),
        Command::Tune(args) => tune::run(args),
        Command::Devices(args) => devices::run(args),
        Command::Completions(args) => completions::run(args, Cli::command()),
        Command::Man(args) => completions::man(args, Cli::command()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// A line for the user. A run goes on when nobody reads it any more.
fn say(quiet: bool, line: String) {
    if !quiet {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// Folders in which data sets are looked for: those given, PROTEUS_DATA, ./datasets.
fn data_folders(given: &[std::path::PathBuf]) -> Vec<std::path::PathBuf> {
    let environment = std::env::var_os("PROTEUS_DATA").map(std::path::PathBuf::from);
    given.iter().cloned().chain(environment).chain(["datasets".into()]).collect()
}
