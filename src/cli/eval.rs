//! `proteus eval`.

use super::device_args::DeviceArgs;
use super::failure::Failure;
use super::image_memory::ImageMemory;
use super::images::{Places, load};
use super::table;
use crate::gpu;
use crate::report::configuration;
use crate::train::evaluate_run;
use crate::warp::Module;
use std::io::Write;
use std::path::PathBuf;

/// Score a trained run on its data set
#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    compute: DeviceArgs,
    #[command(flatten)]
    memory: ImageMemory,
    /// Replace morphology by its hard limits: dilation or erosion by the learnt shapes
    #[arg(long)]
    hard_morphology: bool,
    /// Print one JSON object: loss, acc, nmi, ari, cluster_sizes
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let config = configuration(&args.run)?;
    if args.hard_morphology && !config.check()?.0.contains(&Module::Morpho) {
        let (run, sequence) = (args.run.display(), &config.sequence);
        return Err(Failure::User(format!("--hard-morphology: the sequence '{sequence}' of {run} has no morpho")));
    }
    let set = load(&config, &args.places, args.json)?;
    let (engine, chosen) = args.compute.open(gpu::Options::default())?;
    let mut engine = args.memory.limit(engine);
    let evaluation = evaluate_run(&args.run, &config, &set, engine.as_mut(), args.hard_morphology)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", table::json(&evaluation))?;
    } else {
        writeln!(out, "device  {chosen}")?;
        let how = if args.hard_morphology { ", hard limits of morphology" } else { "" };
        writeln!(out, "{}: {} images of {}{how}", args.run.display(), set.len(), set.name)?;
        if set.scored < set.len() {
            writeln!(out, "scores count the first {} images, the others only train", set.scored)?;
        }
        writeln!(out, "{}", table::text(&evaluation))?;
    }
    Ok(())
}
