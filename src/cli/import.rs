//! `proteus import`.

use super::failure::Failure;
use super::images::{Places, load};
use crate::data::catalog;
use crate::train::{Config, PRESETS, Published, preset};
use std::io::Write;
use std::path::PathBuf;

/// Turn a checkpoint of the published PyTorch code into a run folder
#[derive(clap::Args)]
#[command(after_help = "Examples:
  proteus import model.pkl run --preset mnist5k                 then: proteus eval run
  proteus import model.pkl run --set dataset=usps --data ~/sets

FILE is what the published trainer saves (model.pkl), or a state dict alone, in the zip format of \
PyTorch since 1.6 or the one before. Clusters, sequence and encoder come from the names and shapes of its tensors, padding, \
weights and curriculum from the arguments of the model beside them. The file does not say which \
images it was trained on, so --preset or --set dataset=NAME is needed. Nothing in the file is run.")]
pub struct Args {
    /// File of torch.save
    file: PathBuf,
    /// Run folder to make, new or empty
    run: PathBuf,
    /// Preset to take the data set and the settings of training from, for example mnist5k; this or --set dataset= is needed
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Replace a value of the configuration, the file's included; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    assignments: Vec<String>,
    /// Transformations after the identity that are active [default: as in the file, else all]
    #[arg(long, value_name = "N")]
    active: Option<usize>,
    #[command(flatten)]
    places: Places,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let published = Published::open(&args.file)?;
    let named = |a: &String| a.split_once('=').is_some_and(|(key, _)| key.trim() == "dataset");
    let base = match &args.preset {
        Some(name) => preset(name)?,
        None if args.assignments.iter().any(named) => Config::default(),
        None => {
            let presets = PRESETS.map(|(name, _)| name).join(", ");
            let sets: Vec<&str> = catalog::known().iter().map(|set| set.name).collect();
            return Err(Failure::User(format!(
                "{} does not say which images it was trained on: give --preset NAME ({presets}) or --set dataset=NAME ({}), or the path of a folder of images",
                args.file.display(),
                sets.join(", ")
            )));
        }
    };
    let config = published.config(base, &args.assignments)?;
    let set = load(&config, &args.places, false)?;
    let imported = published.write(&args.run, &config, &set, args.active)?;
    let (file, run) = (args.file.display(), args.run.display());
    let mut out = std::io::stdout().lock();
    writeln!(out, "file    {file}: {}, {} epochs", published.describe(&config), imported.epoch)?;
    writeln!(out, "active  {} transformations after the identity", imported.active)?;
    if !imported.left_over.is_empty() {
        writeln!(out, "ignored {}", imported.left_over.join(" "))?;
    }
    writeln!(out, "run     {run} (proteus eval {run})")?;
    Ok(())
}
