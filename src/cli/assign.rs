//! `proteus assign`.

use super::data_folders;
use super::device_args::DeviceArgs;
use super::failure::Failure;
use super::found::{Found, find};
use super::images::name_some;
use super::say;
use crate::data::images::{FileReader, Fit};
use crate::gpu;
use crate::report::{configuration, contact_sheet};
use crate::train::{Assigner, Assignment};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Batches that are decoded together.
const BATCHES: usize = 4;
/// Images of a contact sheet.
const SHEET: usize = 100;

/// Assign new images to the clusters of a run
#[derive(clap::Args)]
#[command(after_help = "Examples:
  proteus assign runs/mnist5k/1122_mnist5k digits/ one.png    folders are searched to their depths
  proteus assign runs/mnist5k/1122_mnist5k mnist-test --data ~/sets --out test.csv --sheets sheets

Columns: path (of data sets NAME:INDEX), cluster, distance, second (the second nearest cluster) and \
margin (how much farther it is). Files of another size than the run's images are brought to it as the \
images of the run were (its key fit).")]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Image files, folders of them, or names of known data sets
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// File to write, which must be new
    #[arg(long, value_name = "FILE", default_value = "labels.csv")]
    out: PathBuf,
    /// Write a contact sheet for each cluster, its nearest images first, into this folder
    #[arg(long, value_name = "DIR")]
    sheets: Option<PathBuf>,
    /// Folder to look for data sets in, before $PROTEUS_DATA and ./datasets; may be repeated
    #[arg(long, value_name = "DIR")]
    data: Vec<PathBuf>,
    #[command(flatten)]
    compute: DeviceArgs,
    /// Print nothing but errors and warnings
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let config = configuration(&args.run)?;
    if args.out.exists() {
        let out = args.out.display();
        return Err(Failure::User(format!(
            "{out} is there already and is not overwritten; give another file with --out"
        )));
    }
    let folders = data_folders(&args.data);
    let found: Vec<Found> = args.paths.iter().map(|path| find(path, &folders)).collect::<Result<_, _>>()?;
    let (mut engine, chosen) = args.compute.open(gpu::Options::default())?;
    say(args.quiet, format!("device  {chosen}"));
    let assigner = Assigner::open(&args.run, &config, engine.as_mut())?;
    for found in &found {
        found.fits(assigner.shape())?;
    }
    let total = found.iter().map(Found::len).sum::<usize>();
    let mut table = Table::new(&args.out, config.clusters, args.sheets.is_some(), assigner.shape())?;
    let bar = bar(args.quiet, total);
    let start = Instant::now();
    let reader = FileReader::new(assigner.shape(), config.fit.parse::<Fit>().unwrap_or_default());
    let unread = assign(assigner, &reader, &found, &mut table, &bar)?;
    bar.finish_and_clear();
    let sizes = table.finish(args.sheets.as_deref())?;

    if !unread.is_empty() {
        let (s, are) = if unread.len() == 1 { ("", "is") } else { ("s", "are") };
        eprintln!("warning: {} file{s} could not be read and {are} left out:", unread.len());
        name_some(&unread);
    }
    let (images, seconds) = (sizes.iter().sum::<usize>(), start.elapsed().as_secs_f64());
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    say(args.quiet, format!("sizes   {}", sizes.join(" ")));
    let rate = images as f64 / seconds.max(1e-9);
    say(args.quiet, format!("{}: {images} images in {seconds:.1} s ({rate:.0} images/s)", args.out.display()));
    if let Some(sheets) = &args.sheets {
        say(args.quiet, format!("contact sheets in {}", sheets.display()));
    }
    if images == 0 {
        return Err(Failure::User("none of the files could be read".into()));
    }
    Ok(())
}

/// Assigns everything that was found; returns what could not be read.
fn assign(
    mut assigner: Assigner,
    reader: &FileReader,
    found: &[Found],
    table: &mut Table,
    bar: &ProgressBar,
) -> Result<Vec<String>, Failure> {
    let mut unread = Vec::new();
    let many = BATCHES * assigner.batch();
    for found in found {
        match found {
            Found::Files(files, skipped) => {
                unread.extend_from_slice(skipped);
                for files in files.chunks(many) {
                    let loaded: Vec<_> = files.par_iter().map(|file| reader.read(file)).collect();
                    let (mut names, mut pixels) = (Vec::new(), Vec::new());
                    for (file, loaded) in files.iter().zip(loaded) {
                        match loaded {
                            Ok(image) => {
                                names.push(file.display().to_string());
                                pixels.extend(image);
                            }
                            Err(error) => unread.push(error.to_string()),
                        }
                    }
                    table.add(&names, &pixels, &assigner.assign(&pixels)?)?;
                    bar.inc(files.len() as u64);
                }
            }
            Found::Set(set) => {
                let item = set.image_bytes();
                for (part, pixels) in set.pixels.chunks(many * item).enumerate() {
                    let names: Vec<String> =
                        (0..pixels.len() / item).map(|i| format!("{}:{}", set.name, part * many + i)).collect();
                    table.add(&names, pixels, &assigner.assign(pixels)?)?;
                    bar.inc(names.len() as u64);
                }
            }
        }
    }
    Ok(unread)
}

/// Distances and pixels of a cluster's images, the nearest first.
type Nearest = Vec<(f32, Vec<u8>)>;

/// The table as it is written, and the nearest images of each cluster.
struct Table {
    path: PathBuf,
    beside: PathBuf,
    file: BufWriter<File>,
    sizes: Vec<usize>,
    nearest: Option<Vec<Nearest>>,
    shape: [usize; 3],
}

impl Table {
    /// A table that appears as `path` when it is whole.
    fn new(path: &Path, clusters: usize, sheets: bool, shape: [usize; 3]) -> Result<Self, Failure> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".part");
        let beside = PathBuf::from(beside);
        let mut file = BufWriter::new(File::create(&beside).map_err(|e| cannot_write(path, &e))?);
        writeln!(file, "path,cluster,distance,second,margin").map_err(|e| cannot_write(path, &e))?;
        let nearest = sheets.then(|| vec![Vec::new(); clusters]);
        Ok(Table { path: path.to_path_buf(), beside, file, sizes: vec![0; clusters], nearest, shape })
    }

    fn add(&mut self, names: &[String], pixels: &[u8], assignments: &[Assignment]) -> Result<(), Failure> {
        let item: usize = self.shape.iter().product();
        for ((name, image), a) in names.iter().zip(pixels.chunks_exact(item)).zip(assignments) {
            let second = a.second.map_or(String::new(), |(k, _)| k.to_string());
            let margin = a.margin().map_or(String::new(), |m| m.to_string());
            writeln!(self.file, "{},{},{},{second},{margin}", field(name), a.cluster, a.distance)
                .map_err(|e| cannot_write(&self.path, &e))?;
            self.sizes[a.cluster as usize] += 1;
            if let Some(nearest) = &mut self.nearest {
                let nearest = &mut nearest[a.cluster as usize];
                let at = nearest.partition_point(|(d, _)| *d <= a.distance);
                if at < SHEET {
                    nearest.insert(at, (a.distance, image.to_vec()));
                    nearest.truncate(SHEET);
                }
            }
        }
        Ok(())
    }

    /// Puts the table and the contact sheets in their places; returns the images of each cluster.
    fn finish(mut self, sheets: Option<&Path>) -> Result<Vec<usize>, Failure> {
        let failed = |e: &std::io::Error| cannot_write(&self.path, e);
        self.file.flush().map_err(|e| failed(&e))?;
        std::fs::rename(&self.beside, &self.path).map_err(|e| failed(&e))?;
        if let (Some(folder), Some(nearest)) = (sheets, &self.nearest) {
            std::fs::create_dir_all(folder).map_err(|e| cannot_write(folder, &e))?;
            for (k, images) in nearest.iter().enumerate().filter(|(_, images)| !images.is_empty()) {
                let images: Vec<&[u8]> = images.iter().map(|(_, image)| image.as_slice()).collect();
                contact_sheet(&folder.join(format!("cluster{k}.png")), &images, self.shape)?;
            }
        }
        Ok(self.sizes)
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::User(format!("cannot write {}: {error}", path.display()))
}

/// A field of a CSV file.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

fn bar(quiet: bool, total: usize) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{wide_bar:.cyan/blue} {pos}/{len} images  {per_sec}  {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total as u64).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_with_commas_and_quotes_are_quoted() {
        for (text, expected) in [("a b.png", "a b.png"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\"")] {
            assert_eq!(field(text), expected);
        }
    }
}
