//! The images of a run: known sets and folders.

use super::data_folders;
use super::failure::Failure;
use crate::data::images::{self, CacheFolder, Listing, Loaded, Options, Skipped};
use crate::data::{ImageSet, Source};
use crate::train::{Config, Folder, for_folder};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Files that cannot be read which are named before the rest is counted.
const NAMED: usize = 10;
/// Images whose size is looked at to choose settings.
const LOOKED_AT: usize = 256;

/// Where images are looked for.
#[derive(clap::Args, Clone, Debug)]
pub struct Places {
    /// Folder to look for data sets in, before $PROTEUS_DATA and ./datasets; may be repeated
    #[arg(long, value_name = "DIR")]
    pub data: Vec<PathBuf>,
    /// Neither read nor write decoded images of folders in the user's cache folder
    #[arg(long)]
    pub no_cache: bool,
}

/// The images of a configuration, cut to its limit.
pub fn load(config: &Config, places: &Places, quiet: bool) -> Result<ImageSet, Failure> {
    let (folder, name) = match Source::find(&config.dataset, &data_folders(&places.data))? {
        Source::Folder(folder, name) => (folder, name),
        Source::Known(known, location) => {
            let asked = [
                (config.image_size > 0).then(|| format!("image_size = {}", config.image_size)),
                (config.fit != images::Fit::default().name()).then(|| format!("fit = {}", config.fit)),
            ];
            if let Some(asked) = asked.into_iter().flatten().next() {
                let (c, h, w) = known.shape;
                return Err(Failure::User(format!(
                    "{asked}: only folders of images are brought to a size, and {} is {c}x{h}x{w}",
                    known.name
                )));
            }
            let set = location.load(known)?;
            return Ok(if config.limit == 0 || config.limit >= set.len() { set } else { set.spread(config.limit) });
        }
    };
    config.check()?;
    let mut listing = Listing::of(&folder)?;
    if config.limit > 0 {
        listing = listing.spread(config.limit);
    }
    let options = Options {
        size: (config.image_size > 0).then_some(config.image_size),
        fit: config.fit.parse().map_err(|e: images::UnknownFit| Failure::User(e.to_string()))?,
        cache: if places.no_cache { None } else { user_cache()?.filter(|caches| caches.limit > 0) },
    };
    decode(&name, &listing, &options, quiet)
}

/// The user's cache, if there is one.
pub fn user_cache() -> Result<Option<CacheFolder>, Failure> {
    CacheFolder::of_user().map_err(|e| Failure::User(e.to_string()))
}

/// Decodes a folder with a bar on a terminal, and says what was not read.
pub fn decode(name: &str, listing: &Listing, options: &Options, quiet: bool) -> Result<ImageSet, Failure> {
    let bar = if !quiet && std::io::stderr().is_terminal() {
        let template = "{wide_bar:.cyan/blue} {pos}/{len} images  {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(listing.len() as u64).with_style(style)
    } else {
        ProgressBar::hidden()
    };
    let start = Instant::now();
    let loaded = images::load(name, listing, options, &|done| bar.set_position(done as u64));
    bar.finish_and_clear();
    let Loaded { set, skipped, cached } = loaded?;
    if !quiet {
        let from = if cached { "from the cache" } else { "decoded" };
        eprintln!(
            "{} images of {} {from} in {:.1} s",
            set.len(),
            listing.folder.display(),
            start.elapsed().as_secs_f64()
        );
        warn(&skipped);
    }
    Ok(set)
}

/// Says which files are not in the set.
fn warn(skipped: &[Skipped]) {
    if skipped.is_empty() {
        return;
    }
    let (s, verb) = if skipped.len() == 1 { ("", "is") } else { ("s", "are") };
    eprintln!("warning: {} file{s} {verb} passed over:", skipped.len());
    name_some(skipped);
}

/// Names the first files of a warning and counts the others.
pub fn name_some(files: &[impl std::fmt::Display]) {
    files.iter().take(NAMED).for_each(|file| eprintln!("  {file}"));
    if files.len() > NAMED {
        eprintln!("  and {} more", files.len() - NAMED);
    }
}

/// A configuration for the folder at `path`, in which `assignments` stand, and the name of the run.
pub fn configuration(path: &Path, assignments: &[String]) -> Result<(Config, String), Failure> {
    let failed = |e: std::io::Error| Failure::User(format!("cannot find the folder {}: {e}", path.display()));
    let mut folder = std::path::absolute(path).map_err(failed)?.components().collect::<PathBuf>();
    if folder.components().any(|part| part == std::path::Component::ParentDir) {
        folder = std::fs::canonicalize(path).map_err(failed)?;
    }
    let Some(dataset) = folder.to_str() else {
        let path = folder.display();
        return Err(Failure::User(format!("{path}: its path is not Unicode and cannot be written down; rename it")));
    };
    let listing = Listing::of(&folder)?;
    let sizes = listing.sizes(LOOKED_AT);
    let about = Folder { dataset, images: listing.len(), classes: listing.classes(), sizes: &sizes };
    Ok((for_folder(&about, assignments)?, crate::data::source::name(dataset)))
}

/// The settings that were chosen for a folder.
pub fn settings(config: &Config) -> String {
    let Config { image_size, fit, clusters, encoder, sequence, batch_size, epochs, curriculum, .. } = config;
    let size = match image_size {
        0 => "images keep their size".into(),
        size => format!("images of {size}x{size} ({fit})"),
    };
    format!(
        "chosen  {size}, clusters {clusters}, encoder {encoder}, sequence {sequence},\n        batch_size {batch_size}, \
         epochs {epochs}, curriculum {curriculum:?}, lr_milestones {:?}",
        config.lr_milestones
    )
}
