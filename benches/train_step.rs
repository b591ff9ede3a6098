//! Time of a training step of the mnist5k preset on the CPU engine, whole and by kernel.
//!
//! `cargo bench --bench train_step -- [steps]`

use proteus::cpu::CpuEngine;
use proteus::data::mnist5k;
use proteus::tape::Engine;
use proteus::train::{Trainer, preset};
use std::ops::ControlFlow;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps: usize = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(20);
    let config = preset("mnist5k")?.set(&["curriculum=[0]"])?;
    let set = mnist5k::load()?;
    let mut engine = CpuEngine::new(None)?;
    println!("{}", engine.device());
    engine.time_kernels();
    let mut times = Vec::new();
    {
        let mut trainer = Trainer::new(config.clone(), &set, &mut engine)?;
        let mut last = Instant::now();
        trainer.train_epoch(&mut |done, _| {
            times.push(last.elapsed().as_secs_f64() * 1e3);
            last = Instant::now();
            if done > steps { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    // The first step includes lowering.
    let done = times.len();
    let mut sorted = times.split_off(1);
    sorted.sort_by(f64::total_cmp);
    println!(
        "step of {} images: median {:.1} ms, least {:.1} ms",
        config.batch_size,
        sorted[sorted.len() / 2],
        sorted[0]
    );
    println!("{:<26}{:>9}{:>8}{:>12}", "kernel", "ms/step", "calls", "GFLOP/s");
    for row in engine.kernel_times() {
        let (ms, calls) = (row.time.as_secs_f64() * 1e3 / done as f64, row.calls as f64 / done as f64);
        println!("{:<26}{ms:>9.2}{calls:>8.1}{:>12.1}", row.name, row.flops as f64 / row.time.as_secs_f64() / 1e9);
    }
    Ok(())
}
