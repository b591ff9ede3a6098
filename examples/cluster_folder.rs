//! Clusters a folder of images: `cargo run --release --example cluster_folder -- FOLDER RUN [KEY=VALUE]...`
//!
//! RUN becomes a run folder, for `proteus report`, `assign` and `train --resume` too. KEY=VALUE are those of
//! `proteus train --set`, such as `clusters=12`.

use proteus::data::images::{Listing, Loaded, Options, load};
use proteus::report::illustrate;
use proteus::train::{Evaluation, Folder, Observer, Progress, RunFolder, for_folder, train};
use proteus::{device, gpu};
use serde_json::json;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

/// Says how far a run is.
struct Lines;

impl Observer for Lines {
    /// To break would end the run after its state is saved.
    fn progress(&mut self, _: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn epoch(&mut self, epoch: usize, loss: f64, _: Option<&Evaluation>) {
        println!("epoch {epoch}: loss {loss:.5}");
    }
}

/// Clusters the images of `folder`, by settings chosen for them, in which `settings` stand. Returns the names of the images,
/// and the clusters and distances of all.
pub fn cluster(folder: &Path, run: &Path, settings: &[String]) -> Result<(Vec<String>, Evaluation), Box<dyn Error>> {
    let folder = std::path::absolute(folder)?;
    let dataset = folder.to_str().ok_or("the path of the folder is not Unicode")?;
    let mut listing = Listing::of(&folder)?;
    let sizes = listing.sizes(256);
    let about = Folder { dataset, images: listing.len(), classes: listing.classes(), sizes: &sizes };
    let config = for_folder(&about, settings)?;
    config.check()?;
    if config.limit > 0 {
        listing = listing.spread(config.limit);
    }
    let size = (config.image_size > 0).then_some(config.image_size);
    let options = Options { size, fit: config.fit.parse()?, cache: None };
    let Loaded { set, skipped, .. } = load("images", &listing, &options, &|_| ())?;
    skipped.iter().for_each(|file| eprintln!("passed over: {file}"));

    let (mut engine, chosen) = device::open("auto", None, gpu::Options::default())?;
    println!("{} images, {} clusters, on {chosen}", set.len(), config.clusters);
    let mut files = RunFolder::create(run, &config, &set)?;
    let finished = train(&config, &set, engine.as_mut(), &mut files, &mut Lines)?;
    // Pictures and report.html; what is known of the run besides its files would be in the last argument.
    let about = json!({ "device": chosen, "seconds": finished.seconds, "final": { "loss": finished.evaluation.loss } });
    illustrate(run, &config, &set, engine.as_mut(), &finished.evaluation, &about)?;
    Ok((set.names.unwrap_or_default(), finished.evaluation))
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, run, settings @ ..] = &arguments[..] else {
        return Err("usage: cluster_folder FOLDER RUN [KEY=VALUE]...".into());
    };
    let (names, evaluation) = cluster(Path::new(folder), Path::new(run), settings)?;
    for (k, size) in evaluation.sizes.iter().enumerate() {
        let members = names.iter().zip(&evaluation.assignments).filter(|(_, cluster)| **cluster as usize == k);
        let some: Vec<&str> = members.take(4).map(|(name, _)| name.as_str()).collect();
        println!("cluster {k}: {size} images: {} ...", some.join(", "));
    }
    println!("Look at {run}/report.html");
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
