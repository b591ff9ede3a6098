//! Time of a training step of a preset, all transformations active: whole, and by kernel. Images are noise of the preset's
//! size: the work does not depend on them.
//!
//! `cargo bench --bench train_step -- [STEPS [DEVICE [BATCH_SIZE [PRESET [KEY=VALUE]...]]]]`, 20 steps of 128 images of
//! the preset mnist on the CPU by default.

use proteus::data::ImageSet;
use proteus::tape::{Engine, KernelTime};
use proteus::train::{Trainer, preset};
use proteus::{cpu, device, gpu};
use std::ops::ControlFlow;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test --benches` only asks whether it runs.
    let (steps, batch) = if std::env::args().any(|a| a == "--bench") { ("20", "128") } else { ("2", "16") };
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let word = |i: usize, otherwise: &str| words.get(i).cloned().unwrap_or(otherwise.into());
    let (steps, name, batch): (usize, _, usize) = (word(0, steps).parse()?, word(1, "cpu"), word(2, batch).parse()?);
    let mut config =
        preset(&word(3, "mnist"))?.set(words.get(4..).unwrap_or(&[]))?.set(&[format!("batch_size={batch}")])?;
    config.curriculum.fill(0);
    let set = noise(&config.dataset, batch * steps)?;
    println!("{} {}, K {}, {}", config.dataset, config.model, config.clusters, config.sequence);
    for timed in [false, true] {
        let (mut engine, chosen) = open(&name)?;
        let mut trainer = Trainer::new(config.clone(), &set, engine.as_mut())?;
        // The first epoch includes lowering and compilation.
        let mut marks = Vec::new();
        for _ in 0..2 {
            marks = vec![(0, Instant::now())];
            if timed && !trainer.time_kernels() {
                println!("this device cannot time kernels");
                return Ok(());
            }
            trainer.train_epoch(&mut |done, _| {
                marks.push((done, Instant::now()));
                ControlFlow::Continue(())
            })?;
        }
        if !timed {
            // A GPU reports every few steps, so these are means of a few.
            let per_step = |w: &[(usize, Instant)]| (w[1].1 - w[0].1).as_secs_f64() * 1e3 / (w[1].0 - w[0].0) as f64;
            let mut times: Vec<f64> = marks.windows(2).map(per_step).collect();
            times.sort_by(f64::total_cmp);
            println!("{chosen}");
            println!("step of {batch} images: median {:.1} ms, least {:.1} ms", times[times.len() / 2], times[0]);
            continue;
        }
        let all = trainer.steps() as f64;
        for rows in [KernelTime::by_kernel(trainer.launches()), KernelTime::by_work(trainer.launches())] {
            println!("{:<26}{:>9}{:>8}{:>10}{:>8}", "kernel", "ms/step", "calls", "GFLOP/s", "GB/s");
            for row in rows {
                let (ms, calls) = (row.time.as_secs_f64() * 1e3 / all, row.calls as f64 / all);
                let (gflops, gbytes) = (row.gflops(), row.gbytes());
                println!("{:<26}{ms:>9.2}{calls:>8.1}{gflops:>10.1}{gbytes:>8.1}  {}", row.name, row.detail);
            }
        }
    }
    Ok(())
}

/// A device by name; `cpu,NAME,...` is the processor without chains, winograd or reuse (see `cpu::Options`).
fn open(name: &str) -> Result<(Box<dyn Engine>, String), Box<dyn std::error::Error>> {
    let Some(without) = name.strip_prefix("cpu,") else {
        return Ok(device::open(name, None, gpu::Options::default())?);
    };
    let has = |what: &str| !without.split(',').any(|w| w == what);
    let [chains, winograd, reuse] = ["chains", "winograd", "reuse"].map(has);
    let options = cpu::Options { chains, winograd, reuse, ..Default::default() };
    Ok((Box::new(cpu::CpuEngine::with_options(options)?), format!("cpu without {without}")))
}

/// Noise of the size of a data set's images.
fn noise(dataset: &str, n: usize) -> Result<ImageSet, Box<dyn std::error::Error>> {
    let [channels, height, width] = match dataset {
        "usps" => [1, 16, 16],
        "mnist-color" => [3, 28, 28],
        "affnist-test" => [1, 40, 40],
        "frgc" | "svhn" => [3, 32, 32],
        "megadepth" | "instagram" => [3, 128, 128],
        _ => [1, 28, 28],
    };
    let hash = |i: usize| ((i as u32).wrapping_mul(2654435761) ^ (i as u32 >> 7).wrapping_mul(40503)) >> 13;
    let pixels = (0..n * channels * height * width).map(|i| hash(i) as u8).collect();
    Ok(ImageSet::new(dataset, channels, height, width, pixels, None)?)
}
