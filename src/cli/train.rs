//! `proteus train`.

use super::failure::Failure;
use super::progress::Display;
use super::{data_folders, table};
use crate::device;
use crate::report::write_pictures;
use crate::train::{Config, RunFolder, TrainError, preset, train};
use crate::{data, gpu};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Train prototypes on a data set
#[derive(clap::Args)]
#[command(after_help = "Examples:
  proteus train                                   the 5 000 digits that come with the program
  proteus train --seed 3 --set epochs=30          other values for keys of the configuration
  proteus train usps --data ~/sets                a published experiment
  proteus train my.toml --data ~/sets --out run1  a configuration of your own

Presets: mnist5k, and as published mnist mnist-test mnist-1k mnist-color affnist-test
  fashion-mnist usps frgc svhn megadepth instagram; add --set model=gmm for the mixture

Keys for --set (config.toml of any run shows their values):
  dataset limit model clusters init sigma_init var_min sequence grid_size kernel_size encoder
  padding gaussian_weights_std curriculum epochs batch_size lr lr_milestones lr_gamma
  weight_decay check_cluster_interval empty_cluster_threshold eval_interval seed

Models: kmeans gmm.  Prototypes start from (init): sample noise constant kmeans

Transformations for sequence, after identity: color affine projective tps morpho")]
pub struct Args {
    /// Name of a preset (below), or path of a configuration in TOML
    #[arg(value_name = "PRESET | CONFIG.toml", default_value = "mnist5k")]
    config: String,
    /// Folder to look for data sets in, before $PROTEUS_DATA and ./datasets; may be repeated
    #[arg(long, value_name = "DIR")]
    data: Vec<PathBuf>,
    /// auto (the best real GPU, else the CPU), cpu, gpu, gpu:1, or part of an adapter's name
    #[arg(long, value_name = "D", default_value = "auto")]
    device: String,
    /// Threads of the CPU engine [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    threads: Option<usize>,
    /// Seed of everything random
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Replace a value of the configuration; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    assignments: Vec<String>,
    /// Run folder, new or empty [default: runs/<dataset>/<mmdd>_<preset>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the WGSL of every kernel in use to this folder
    #[arg(long, value_name = "DIR")]
    dump_wgsl: Option<PathBuf>,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let (config, tag) = configuration(&args)?;
    let sequence = config.check()?;
    let set = load(&config, &args.data)?;
    let spec = config.spec(&set)?;
    let options = gpu::Options { dump_wgsl: args.dump_wgsl.clone(), ..Default::default() };
    let (mut engine, chosen) = device::open(&args.device, args.threads, options)?;
    if let Some(path) = &args.dump_wgsl {
        if engine.kind() != "gpu" {
            return Err(Failure::User(format!("--dump-wgsl is for a GPU, and the device is {chosen}")));
        }
        let failed = |e| Failure::User(format!("cannot create the folder {} for kernels: {e}", path.display()));
        std::fs::create_dir_all(path).map_err(failed)?;
    }
    let mut folder = match &args.out {
        Some(path) => RunFolder::create(path, &config, &set)?,
        None => RunFolder::create_in(Path::new("runs"), &tag, &config, &set)?,
    };
    let (c, h, w) = (set.channels, set.height, set.width);
    say(&args, format!("device  {chosen}"));
    say(&args, format!("data    {}: {} images, {c}x{h}x{w}, {} classes", set.name, set.len(), set.classes));
    if set.scored < set.len() {
        say(&args, format!("        scores count the first {} images, the others only train", set.scored));
    }
    let model = spec.model.title();
    say(&args, format!("model   {model}, {} prototypes, {sequence}, {}", config.clusters, config.encoder));
    say(&args, format!("run     {}", folder.path().display()));

    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    let handler = ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            // Asked twice: the user does not want to wait for the step. Checkpoints are always whole.
            std::process::exit(130);
        }
    });
    handler.map_err(|e| Failure::Failed(format!("cannot listen for Ctrl-C: {e}")))?;

    let started = time::OffsetDateTime::now_utc();
    let mut display = Display::new(args.quiet, set.len(), config.epochs, sequence, stop);
    let trained = train(&config, &set, engine.as_mut(), &mut folder, &mut display);
    display.finish();
    let finished = match trained {
        Err(error @ TrainError::Stopped { .. }) => {
            let path = folder.path().display();
            return Err(Failure::Stopped(format!("{error}; the weights are in {path} (proteus eval {path})")));
        }
        other => other?,
    };
    let trained_images = (config.epochs * set.len()) as f64;
    let about = json!({
        "proteus": env!("CARGO_PKG_VERSION"),
        "device": engine.device(),
        "chosen": chosen,
        "engine": engine.kind(),
        "preset": tag,
        "seed": config.seed,
        "started": started.format(&time::format_description::well_known::Rfc3339).unwrap_or_default(),
        "seconds": finished.seconds,
        "images_per_s": trained_images / finished.seconds,
        "peak_bytes": finished.peak_memory,
        "final": table::json(&finished.evaluation),
    });
    folder.write("run.json", format!("{about:#}\n").as_bytes())?;
    write_pictures(&folder, &finished, &set)?;
    let (seconds, rate) = (finished.seconds, trained_images / finished.seconds);
    say(&args, table::text(&finished.evaluation));
    say(&args, format!("  time   {seconds:.0} s ({rate:.0} images/s)   memory {} MiB", finished.peak_memory >> 20));
    let pictures = ["prototypes.png", "aligned.png"].map(|name| folder.file(name).display().to_string());
    say(&args, format!("Look at {}", pictures.join(" and ")));
    Ok(())
}

/// A line for the user. A run goes on when nobody reads it any more.
fn say(args: &Args, line: String) {
    if !args.quiet {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// The configuration and its name.
fn configuration(args: &Args) -> Result<(Config, String), Failure> {
    let path = Path::new(&args.config);
    let (config, tag) = if path.extension().is_some_and(|e| e == "toml") {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Failure::User(format!("cannot read the configuration {}: {e}", path.display())))?;
        let tag = path.file_stem().map_or("run".into(), |s| s.to_string_lossy().into_owned());
        (Config::from_toml(&text, &path.display().to_string())?, tag)
    } else {
        (preset(&args.config)?, args.config.clone())
    };
    let mut config = config.set(&args.assignments)?;
    config.seed = args.seed.unwrap_or(config.seed);
    Ok((config, tag))
}

/// The data set of a configuration, cut to its limit.
pub fn load(config: &Config, given: &[PathBuf]) -> Result<data::ImageSet, Failure> {
    let set = data::catalog::load(&config.dataset, &data_folders(given))?;
    Ok(if config.limit == 0 || config.limit >= set.len() { set } else { set.spread(config.limit) })
}
