//! A kernel of one's own in the place of a built-in one, checked, and compared with the CPU engine on a few digits:
//! `cargo run --release --example kernel -- [ADAPTER [FILE.wgsl]]`
//!
//! ADAPTER is `gpu` (the best real GPU), `gpu:1` or part of an adapter's name; a software adapter is used only when named
//! (`llvmpipe`). FILE replaces the kernel `squared_distance`. For times: `proteus bench kernels --kernel NAME=FILE`.

use proteus::cpu::CpuEngine;
use proteus::data::mnist5k;
use proteus::gpu::{GpuEngine, Options, check_kernel};
use proteus::tape::{Arena, Engine, Program, Rows, Store, Tape};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// What is replaced: the name of an op, of its file in `kernels/` and of its twin in `src/cpu`.
const KERNEL: &str = "squared_distance";
/// A kernel with another order of summation.
const MINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/squared_distance.wgsl");
/// Largest difference from the CPU engine, as a share of the largest distance.
const TOLERANCE: f32 = 1e-5;

/// Distances of the first 64 of 74 digits from the other 10, [64,10].
fn distances(engine: &mut dyn Engine) -> Result<Vec<f32>, Box<dyn Error>> {
    let digits = mnist5k::load()?.spread(74);
    let pixels: Vec<f32> = digits.pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
    let (images, prototypes) = pixels.split_at(64 * digits.image_bytes());

    let mut store = Store::new();
    let x = store.add("images", [64, 1, digits.height, digits.width], Arena::State);
    let t = store.parameter("prototypes", [10, 1, digits.height, digits.width]);
    let mut tape = Tape::new();
    let [images_in, prototypes_in] = [x, t].map(|id| tape.persistent(&store, id));
    let distance = tape.squared_distance(images_in, prototypes_in, None, Rows::Each, None);
    tape.output(distance);

    engine.allocate(&store)?;
    engine.write_f32(&store[x], images)?;
    engine.write_f32(&store[t], prototypes)?;
    let plan = engine.load(&[Program::new(&tape)])?[0];
    engine.run(plan, 1)?;
    Ok(bytemuck::pod_collect_to_vec(&engine.read_output(plan, 0)?))
}

/// The largest difference between the kernel in `file` on `adapter` and the CPU engine, as a share of the largest distance.
pub fn difference(adapter: &str, file: &Path) -> Result<f32, Box<dyn Error>> {
    // Says what is wrong, with file and line, before a driver sees it.
    check_kernel(KERNEL, file)?;
    let options = Options { kernels: vec![(KERNEL.into(), file.into())], ..Options::default() };
    let mut gpu = GpuEngine::new(adapter, options)?;
    println!("{}", gpu.adapter());
    let (theirs, ours) = (distances(&mut gpu)?, distances(&mut CpuEngine::new(None)?)?);
    let largest = ours.iter().fold(0.0f32, |most, d| most.max(d.abs()));
    // Unlike `f32::max`, this order keeps what is no number.
    let worst = theirs.iter().zip(&ours).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp);
    Ok(worst.unwrap_or(f32::NAN) / largest)
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let adapter = arguments.next().unwrap_or("gpu".into());
    let file = arguments.next().unwrap_or(MINE.into());
    let difference = difference(&adapter, Path::new(&file))?;
    println!("{KERNEL} of {file} differs from the CPU engine by {difference:.0e} of the largest distance");
    if difference <= TOLERANCE { Ok(()) } else { Err(format!("more than {TOLERANCE:.0e}: it is wrong").into()) }
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
