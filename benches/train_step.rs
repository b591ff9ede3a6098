//! Time of a training step of the mnist5k preset, all transformations active: whole, and by kernel.
//!
//! `cargo bench --bench train_step -- [STEPS [DEVICE [BATCH_SIZE]]]`, 20 steps of 128 images on the CPU by default.

use proteus::data::mnist5k;
use proteus::train::{Trainer, preset};
use proteus::{device, gpu};
use std::ops::ControlFlow;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test --benches` only asks whether it runs.
    let (steps, batch) = if std::env::args().any(|a| a == "--bench") { ("20", "128") } else { ("2", "16") };
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let word = |i: usize, otherwise: &str| words.get(i).cloned().unwrap_or(otherwise.into());
    let (steps, name, batch): (usize, _, usize) = (word(0, steps).parse()?, word(1, "cpu"), word(2, batch).parse()?);
    let config = preset("mnist5k")?.set(&["curriculum=[0]".to_string(), format!("batch_size={batch}")])?;
    let set = mnist5k::load()?.spread(batch * steps);
    for timed in [false, true] {
        let (mut engine, chosen) = device::open(&name, None, gpu::Options::default())?;
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
        println!("{:<26}{:>9}{:>8}{:>12}", "kernel", "ms/step", "calls", "GFLOP/s");
        let all = trainer.steps() as f64;
        for row in trainer.kernel_times() {
            let (ms, calls) = (row.time.as_secs_f64() * 1e3 / all, row.calls as f64 / all);
            let rate = row.flops as f64 / row.time.as_secs_f64().max(1e-9) / 1e9;
            println!("{:<26}{ms:>9.2}{calls:>8.1}{rate:>12.1}", row.name);
        }
    }
    Ok(())
}
