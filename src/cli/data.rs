//! `proteus data`.

use super::failure::Failure;
use super::images::decode;
use super::{data_cache, data_folders};
use crate::data::catalog::{self, KnownSet, Location};
use crate::data::images::{Listing, Options};
use crate::data::{DataError, ImageSet, idx};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// List, check and make data sets
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Say where each set was found, and what files are expected of those that were not
    List {
        #[command(flatten)]
        folders: Folders,
    },
    /// Load sets and compare them with what is known of the originals
    Verify {
        /// Sets to check [default: all that are found]
        names: Vec<String>,
        #[command(flatten)]
        folders: Folders,
    },
    /// Make mnist-color or affnist-test from MNIST and write it as IDX files
    Make {
        /// Name of the set
        name: String,
        /// Folder for the files, to be given as --data afterwards
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        folders: Folders,
    },
    /// Show the decoded images of folders that are kept, or remove them
    ///
    /// They are kept so that training on a folder starts quickly the next time. Together they take at most 8 GiB, or what
    /// PROTEUS_CACHE_GIB says (0: nothing is kept); what was not used for longest goes first.
    Cache {
        /// Remove them all
        #[arg(long)]
        clear: bool,
    },
}

#[derive(clap::Args)]
struct Folders {
    /// Folder to look for data sets in, before $PROTEUS_DATA and ./datasets; may be repeated
    #[arg(long, value_name = "DIR")]
    data: Vec<PathBuf>,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::List { folders } => list(&data_folders(&folders.data)),
        Action::Verify { names, folders } => verify(&names, &data_folders(&folders.data)),
        Action::Make { name, out, folders } => make(&name, &out, &data_folders(&folders.data)),
        Action::Cache { clear } => data_cache::run(clear),
    }
}

fn list(search: &[PathBuf]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for known in catalog::known() {
        let (c, h, w) = known.shape;
        let shape = format!("{c}x{h}x{w}");
        let number = if known.images > 0 { known.images.to_string() } else { "any".into() };
        write!(out, "{:14} {number:>6} images  {shape:10}  ", known.name)?;
        match known.locate(search) {
            Ok(location) => writeln!(out, "{location}")?,
            Err(DataError::Missing(missing)) => {
                writeln!(out, "not found: {}", known.about)?;
                writeln!(out, "    needs {}", missing.files())?;
                if let Some(base) = missing.made_of {
                    writeln!(out, "    or is made where {base} is found")?;
                }
                if let Some(hint) = missing.hint {
                    writeln!(out, "    {hint}")?;
                }
            }
            Err(other) => return Err(other.into()),
        }
    }
    let folders: Vec<String> = search.iter().map(|f| f.display().to_string()).collect();
    writeln!(out, "Looked in {}, and in a subfolder of each set's name.", folders.join(", "))?;
    Ok(())
}

fn verify(names: &[String], search: &[PathBuf]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let sets: Vec<&KnownSet> = match names {
        [] => catalog::known().iter().filter(|known| known.locate(search).is_ok()).collect(),
        names => names.iter().map(|name| catalog::find(name)).collect::<Result<_, _>>()?,
    };
    let mut wrong = Vec::new();
    for known in sets {
        let started = Instant::now();
        let location = known.locate(search)?;
        let loaded = match &location {
            // Its unreadable files are listed.
            Location::Photographs(folder) => photographs(known, folder),
            other => other.load(known).map_err(Failure::from),
        };
        let set = match loaded {
            Ok(set) => set,
            Err(Failure::User(error)) => {
                writeln!(out, "{}: {error}", known.name)?;
                wrong.push(known.name);
                continue;
            }
            Err(other) => return Err(other),
        };
        let seconds = started.elapsed().as_secs_f64();
        let differences = known.differences(&set, location.is_exact());
        let verdict = if differences.is_empty() { "ok" } else { "differs from the original" };
        writeln!(out, "{}: {verdict}. {location}", known.name)?;
        writeln!(out, "    {}, {seconds:.1} s", described(&set))?;
        for line in &differences {
            writeln!(out, "    {line}")?;
        }
        if known.class_counts.is_empty() && set.labels.is_some() {
            writeln!(out, "    images of each class: {:?}; the original's are not in the table", set.class_counts())?;
        }
        if !differences.is_empty() {
            wrong.push(known.name);
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::User(format!("not the originals: {}", wrong.join(", "))))
}

/// A folder of photographs, brought to the size of the table.
fn photographs(known: &KnownSet, folder: &Path) -> Result<ImageSet, Failure> {
    let options = Options { size: Some(known.shape.1), ..Options::default() };
    decode(known.name, &Listing::of(folder)?, &options, false)
}

/// Size, classes and checksum of a set.
fn described(set: &ImageSet) -> String {
    let (c, h, w) = (set.channels, set.height, set.width);
    let counts = set.class_counts();
    let (least, most) = (counts.iter().min().unwrap_or(&0), counts.iter().max().unwrap_or(&0));
    let classes = match set.classes {
        0 => "no labels".into(),
        classes => format!("{classes} classes of {least} to {most}"),
    };
    format!("{} images, {c}x{h}x{w}, {classes}, checksum {:08x}", set.len(), set.checksum())
}

fn make(name: &str, folder: &Path, search: &[PathBuf]) -> Result<(), Failure> {
    let known = catalog::find(name)?;
    let [images, labels] = known.idx_names().map(|name| folder.join(name));
    // Before the work, not after it.
    if let Some(path) = [&images, &labels].into_iter().find(|path| path.exists()) {
        return Err(DataError::Exists { path: path.clone() }.into());
    }
    let set = catalog::make(name, search)?;
    std::fs::create_dir_all(folder).map_err(|source| DataError::Write { path: folder.to_owned(), source })?;
    idx::save_pair(&set, &images, &labels)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {}", set.name, described(&set))?;
    writeln!(out, "{}\n{}", images.display(), labels.display())?;
    Ok(())
}
