//! `proteus bench`.

use super::failure::Failure;
use super::{bench_kernels, bench_step};

/// Measure how fast things are
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Step(bench_step::Args),
    Kernels(bench_kernels::Args),
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.what {
        What::Step(args) => bench_step::run(args),
        What::Kernels(args) => bench_kernels::run(args),
    }
}
