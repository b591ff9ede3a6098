//! Assigns image files to the clusters of a run: `cargo run --release --example assign -- RUN IMAGE...`

use proteus::data::images::{FileReader, Fit};
use proteus::device;
use proteus::gpu;
use proteus::report::configuration;
use proteus::train::Assigner;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let run = arguments.next().ok_or("usage: assign RUN IMAGE...")?;
    let files: Vec<PathBuf> = arguments.collect();

    let config = configuration(&run)?;
    let (mut engine, _) = device::open("auto", None, gpu::Options::default())?;
    let mut assigner = Assigner::open(&run, &config, engine.as_mut())?;

    // Bytes [N,C,H,W], one image after the other.
    let reader = FileReader::new(assigner.shape(), config.fit.parse::<Fit>()?);
    let mut pixels = Vec::new();
    for file in &files {
        pixels.extend(reader.read(file)?);
    }
    for (file, found) in files.iter().zip(assigner.assign(&pixels)?) {
        print!("{}: cluster {}, distance {}", file.display(), found.cluster, found.distance);
        match (found.second, found.margin()) {
            (Some((second, _)), Some(margin)) => println!("; cluster {second} is farther by {margin}"),
            _ => println!(),
        }
    }
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
