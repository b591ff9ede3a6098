//! `proteus report`.

use super::device_args::DeviceArgs;
use super::failure::Failure;
use super::image_memory::ImageMemory;
use super::images::{Places, load};
use crate::gpu;
use crate::report::{REPORT, about, configuration, illustrate, recall};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;

/// Write report.html and the pictures of a run again
#[derive(clap::Args)]
#[command(
    after_help = "The page needs nothing but itself: prototypes and how they came about, loss and scores over time, images of \
each cluster with every step of the transformation, classes against clusters, and how to do it again. \
Training writes it too, first at an evaluation and last when it ends."
)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    compute: DeviceArgs,
    #[command(flatten)]
    memory: ImageMemory,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let config = configuration(&args.run)?;
    let set = load(&config, &args.places, false)?;
    let about = about(&args.run)?.unwrap_or(Value::Null);
    let (engine, _) = args.compute.open(gpu::Options::default())?;
    let mut engine = args.memory.limit(engine);
    let evaluation = recall(&args.run, &config, &set, engine.as_mut(), &about)?;
    let bytes = illustrate(&args.run, &config, &set, engine.as_mut(), &evaluation, &about)?;
    let path = args.run.join(REPORT);
    writeln!(std::io::stdout(), "{} ({} KiB)", path.display(), bytes.div_ceil(1024))?;
    Ok(())
}
