//! The hot kernels of the CPU engine at the sizes of the preset mnist, with Criterion's statistics and saved baselines:
//!
//! ```text
//! cargo bench -- --save-baseline before
//! cargo bench -- --baseline before conv2d
//! ```
//!
//! Throughput is in floating-point operations (Gelem/s are GFLOP/s), convolutions counted in the direct form. For every
//! kernel, GPUs, rooflines and plots see `proteus bench kernels`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proteus::bench::{Single, Subject, distinct};
use proteus::cpu::{CpuEngine, Options};
use proteus::tape::Engine;
use std::time::Duration;

/// Kernels in which most of a step's time goes.
const HOT: [&str; 7] =
    ["conv2d", "conv2d_grad_input", "conv2d_grad_weight", "grid_sample", "morpho", "batch_norm_grad_input", "linear"];

fn kernels(criterion: &mut Criterion) {
    let mut engine = CpuEngine::with_options(Options { chains: false, ..Options::default() }).expect("an engine");
    let subject = Subject::new("mnist", &[""; 0], None, None, 1).expect("a preset");
    let program = subject.program(&mut engine).expect("a program");
    for call in distinct(&program).into_iter().filter(|call| HOT.contains(&call.op.name())) {
        let single = Single::new(&program, call);
        single.prepare(&mut engine).expect("memory");
        let plan = engine.load(std::slice::from_ref(single.program())).expect("a plan")[0];
        let mut group = criterion.benchmark_group(call.op.name());
        group.throughput(Throughput::Elements(call.flops())).sample_size(20).measurement_time(Duration::from_secs(2));
        group.bench_function(call.shapes(), |bencher| {
            bencher.iter_custom(|iterations| {
                let runs = iterations.div_ceil(single.copies() as u64);
                engine.time_kernels(true);
                engine.run(plan, runs as usize).expect("it runs");
                let launches = engine.launches().iter().filter(|l| l.work.kernel != "layout");
                let time: Duration = launches.map(|l| l.time).sum();
                time.mul_f64(iterations as f64 / (runs * single.copies() as u64) as f64)
            });
        });
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
