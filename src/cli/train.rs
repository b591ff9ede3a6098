//! `proteus train`.

use super::device_args::DeviceArgs;
use super::failure::Failure;
use super::image_memory::ImageMemory;
use super::images::{self, Places, load};
use super::many;
use super::session::{Session, Work};
use crate::report::{Outcome, about, configuration};
use crate::train::{Config, PRESETS, Resumption, RunFolder, Runs, preset};
use std::path::{Path, PathBuf};

/// Train prototypes on a data set
#[derive(clap::Args)]
#[command(after_help = "Examples:
  proteus train                                   the 5 000 digits that come with the program
  proteus train --seed 3 --set epochs=30          other values for keys of the configuration
  proteus train usps --data ~/sets                a published experiment
  proteus train my.toml --data ~/sets --out run1  a configuration of your own
  proteus train ~/photos -k 12                    a folder of images of your own, 12 clusters
  proteus train --runs 5                          five seeds, then mean, std and least loss
  proteus train --resume runs/mnist5k/1122_mnist5k  go on after Ctrl-C, SIGTERM or a crash

A run that was stopped goes on by --resume and ends with the result, to the bit, that it would have \
had otherwise on the same device; with --set epochs=N it goes on for more. --resume also takes the \
folder of --runs. A job of a scheduler trains one run of many with --only I and the same --out for \
all; started again, it goes on.

A folder of images (JPEG, PNG, WebP, GIF, BMP, TIFF of any size): settings are chosen from their \
number and size, and --set, -k, --size and --fit overrule them. config.toml in the run folder has \
all of them; change it there and train with it as CONFIG.toml. Sub-folders, if there are two or \
more, are classes, which only scores use. Decoded images are kept in the user's cache folder \
($XDG_CACHE_HOME/proteus), so that the next start is quick: see proteus data cache.

Presets: mnist5k, and as published mnist mnist-test mnist-1k mnist-color affnist-test
  fashion-mnist usps frgc svhn megadepth instagram; add --set model=gmm for the mixture

Keys for --set (config.toml of any run shows their values):
  dataset limit image_size fit model clusters init sigma_init var_min sequence grid_size
  kernel_size encoder padding gaussian_weights_std curriculum epochs batch_size lr lr_milestones
  lr_gamma weight_decay check_cluster_interval empty_cluster_threshold eval_interval seed

Models: kmeans gmm.  Prototypes start from (init): sample noise constant kmeans

Transformations for sequence, after identity: color affine projective tps morpho
Encoders: resnet20 resnet32 resnet44 resnet56 resnet110 for small images, resnet18 for photographs")]
pub struct Args {
    /// Name of a preset (below), path of a configuration in TOML, or folder of images
    #[arg(value_name = "PRESET | CONFIG.toml | FOLDER", default_value = "mnist5k")]
    pub config: String,
    #[command(flatten)]
    pub places: Places,
    #[command(flatten)]
    pub compute: DeviceArgs,
    #[command(flatten)]
    pub memory: ImageMemory,
    /// Seed of everything random
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Replace a value of the configuration; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub assignments: Vec<String>,
    /// Number of clusters: --set clusters=K
    #[arg(short = 'k', long, value_name = "K")]
    clusters: Option<usize>,
    /// Height and width that the images of a folder are brought to: --set image_size=PX
    #[arg(long, value_name = "PX")]
    size: Option<usize>,
    /// How they are brought to it: crop (the middle), stretch or pad (with black): --set fit=F
    #[arg(long, value_name = "F")]
    fit: Option<String>,
    /// Run folder, new or empty [default: runs/<dataset>/<mmdd>_<preset>, with _2, _3 ... if taken]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with a run that was stopped, or with the unfinished ones of --runs
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "seed", "out", "runs", "clusters", "size", "fit"])]
    resume: Option<PathBuf>,
    /// Train N runs with seeds from --seed on, in folders seed_S of the run folder
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    runs: Option<usize>,
    /// Train only run I of --runs, from 1
    #[arg(long, value_name = "I")]
    only: Option<usize>,
    /// Use this kernel for an operation that has several on the GPU, wherever it can: plain, tiled, subgroup
    /// (reductions), chain (distances with the transformations before them), half (convolutions with 16-bit pixels, less exact) or matrix (by matrix units, 16-bit factors, less exact
    /// still); may be repeated
    #[arg(long, value_name = "OPERATION=VARIANT", value_parser = crate::gpu::VariantChoice::parse)]
    pub variant: Vec<crate::gpu::VariantChoice>,
    /// Write event files for TensorBoard into the folder tensorboard of the run
    #[arg(long)]
    pub tensorboard: bool,
    /// Write the WGSL of every kernel in use to this folder
    #[arg(long, value_name = "DIR")]
    pub dump_wgsl: Option<PathBuf>,
    /// Print nothing but errors and warnings
    #[arg(short, long)]
    pub quiet: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if let Some(path) = &args.resume {
        return match Runs::read(path)? {
            Some(runs) => many::resume(&args, path, longer(&args, runs)?, args.only),
            None if args.only.is_some() => {
                let path = path.display();
                Err(Failure::User(format!("--only chooses among the runs of --runs, and {path} is a single one")))
            }
            None => resume(&args, path),
        };
    }
    let (config, tag) = configuration_of(&args)?;
    config.check()?;
    let Some(runs) = args.runs else {
        if args.only.is_some() {
            return Err(Failure::User("--only I chooses one of the runs of --runs N, which is missing".into()));
        }
        return single(&args, &config, &tag);
    };
    let runs = Runs::new(runs, &tag, config)?;
    match (&args.out, args.only) {
        (None, Some(_)) => {
            Err(Failure::User("--only needs --out DIR, the folder that the jobs of all runs share".into()))
        }
        (out, only) => many::begin(&args, out.as_deref(), runs, only),
    }
}

/// Trains one run from its beginning.
fn single(args: &Args, config: &Config, tag: &str) -> Result<(), Failure> {
    let set = load(config, &args.places, args.quiet)?;
    config.spec(&set)?;
    let mut session = Session::open(args)?;
    let path = match &args.out {
        Some(path) => path.clone(),
        None => RunFolder::free(Path::new("runs"), tag, config)?,
    };
    let folder = RunFolder::claim(&path)?;
    session.train(config, &set, tag, Work::New(folder))
}

/// Goes on with one run.
fn resume(args: &Args, path: &Path) -> Result<(), Failure> {
    let config = with_epochs(args, configuration(path)?)?;
    if let Outcome::Finished(..) = Outcome::read(path, config.epochs)? {
        let (path, epochs) = (path.display(), config.epochs);
        super::say(
            args.quiet,
            format!("{path} is finished: {epochs} epochs are done. --set epochs=N with a larger N trains it further"),
        );
        return Ok(());
    }
    let set = load(&config, &args.places, args.quiet)?;
    let resumption = Resumption::open(path, config.clone(), &set)?;
    let tag = about(path)?.and_then(|about| about["preset"].as_str().map(str::to_string)).unwrap_or_default();
    Session::open(args)?.train(&config, &set, &tag, Work::Old(Box::new(resumption)))
}

/// The runs of a parent with the epochs that `--set` asks for.
fn longer(args: &Args, runs: Runs) -> Result<Runs, Failure> {
    let config = with_epochs(args, runs.config.clone())?;
    if config.epochs < runs.config.epochs {
        let (asked, epochs) = (config.epochs, runs.config.epochs);
        return Err(Failure::User(format!(
            "--set epochs={asked} with --resume: these runs can only have more than {epochs}"
        )));
    }
    Ok(Runs { config, ..runs })
}

/// The configuration of a run that began, with the epochs that `--set` asks for.
fn with_epochs(args: &Args, config: Config) -> Result<Config, Failure> {
    let keys = args.assignments.iter().filter_map(|a| a.split_once('=')).map(|(key, _)| key.trim());
    if let Some(key) = keys.into_iter().find(|key| *key != "epochs") {
        let problem = "a run goes on with the configuration it began with; only epochs can be changed";
        return Err(Failure::User(format!("--set {key} with --resume: {problem}")));
    }
    let config = config.set(&args.assignments)?;
    config.check()?;
    Ok(config)
}

/// The configuration and its name.
fn configuration_of(args: &Args) -> Result<(Config, String), Failure> {
    let path = Path::new(&args.config);
    let assignments = args.all_assignments();
    // The name of a preset is one even where there is a folder of that name; ./NAME is the folder.
    let is_preset = PRESETS.iter().any(|(name, _)| *name == args.config);
    let (mut config, tag) = if !is_preset && path.is_dir() {
        let (config, tag) = images::configuration(path, &assignments)?;
        super::say(args.quiet, images::settings(&config));
        (config, tag)
    } else if path.extension().is_some_and(|e| e == "toml") {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Failure::User(format!("cannot read the configuration {}: {e}", path.display())))?;
        let tag = path.file_stem().map_or("run".into(), |s| s.to_string_lossy().into_owned());
        (Config::from_toml(&text, &path.display().to_string())?.set(&assignments)?, tag)
    } else {
        (preset(&args.config)?.set(&assignments)?, args.config.clone())
    };
    config.seed = args.seed.unwrap_or(config.seed);
    Ok((config, tag))
}

impl Args {
    /// `--set` and the options that stand for it.
    fn all_assignments(&self) -> Vec<String> {
        let clusters = self.clusters.map(|k| format!("clusters={k}"));
        let size = self.size.map(|px| format!("image_size={px}"));
        let fit = self.fit.as_ref().map(|fit| format!("fit={fit}"));
        self.assignments.iter().cloned().chain(clusters).chain(size).chain(fit).collect()
    }
}
