//! What a device can do at best: a chain of multiply-adds, and a copy that no cache holds.

use crate::tape::{Arena, Engine, EngineError, Program, Store, Tape, Var};
use serde::Serialize;
use std::time::{Duration, Instant};

/// What a device can do at best, measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Peaks {
    /// 10^9 floating-point operations a second in multiply-adds of f32, which count two each.
    pub gflops: f64,
    /// 10^9 bytes a second, read and written, in a copy that no cache holds.
    pub gbytes: f64,
}

impl Peaks {
    /// The least seconds in which the device could do so many floating-point operations and move so many bytes, and
    /// whether they are those of the operations; otherwise they are those of the bytes.
    pub fn bound(&self, flops: u64, bytes: u64) -> (f64, bool) {
        let (arithmetic, memory) = (flops as f64 / (self.gflops * 1e9), bytes as f64 / (self.gbytes * 1e9));
        (arithmetic.max(memory), arithmetic > memory)
    }

    /// The better of two measurements, as on a machine that others use as well.
    pub fn best(self, other: Peaks) -> Peaks {
        Peaks { gflops: self.gflops.max(other.gflops), gbytes: self.gbytes.max(other.gbytes) }
    }
}

/// Numbers that are copied: 96 MiB, more than a cache and less than what WebGPU binds by default.
const COPIED: usize = 24 << 20;
/// Numbers that are computed with, and multiply-adds of each: on a slow device, and where that takes less than `ENOUGH`.
const COMPUTED: usize = 1 << 20;
const ROUNDS: [u32; 2] = [256, 4096];
const ENOUGH: Duration = Duration::from_millis(1);
/// Repetitions; the best counts.
const TRIES: usize = 5;

/// Measures the peaks of a device. Drops what was allocated on it.
///
/// # Errors
/// As of the engine.
pub fn peaks(engine: &mut dyn Engine) -> Result<Peaks, EngineError> {
    let copy = least_time(engine, COPIED, |tape, x| tape.copy(x))?;
    let mut compute = |rounds| least_time(engine, COMPUTED, |tape, x| tape.multiply_add(x, rounds));
    let (mut rounds, mut arithmetic) = (ROUNDS[0], compute(ROUNDS[0])?);
    if arithmetic < ENOUGH {
        (rounds, arithmetic) = (ROUNDS[1], compute(ROUNDS[1])?);
    }
    Ok(Peaks {
        gflops: 2.0 * f64::from(rounds) * COMPUTED as f64 / arithmetic.as_secs_f64() / 1e9,
        gbytes: 8.0 * COPIED as f64 / copy.as_secs_f64() / 1e9,
    })
}

/// The least time of an operation on n numbers, by the device's clock where it has one.
fn least_time(
    engine: &mut dyn Engine,
    n: usize,
    record: impl Fn(&mut Tape, Var) -> Var,
) -> Result<Duration, EngineError> {
    let mut store = Store::new();
    let operand = store.add("x", [n], Arena::Constants);
    let mark = store.add("mark", [1], Arena::Control);
    let mut tape = Tape::new();
    let x = tape.persistent(&store, operand);
    let y = record(&mut tape, x);
    tape.output(y);
    engine.allocate(&store)?;
    let plan = engine.load(&[Program::new(&tape)])?[0];
    // Memory that was never written to may all be one page of zeros, which a cache holds.
    engine.write_f32(&store[operand], &vec![1.0; n])?;
    let mut times = Vec::new();
    let clock = engine.time_kernels(true);
    for _ in 0..=TRIES {
        let start = Instant::now();
        engine.run(plan, 1)?;
        // A read waits for all work before it.
        engine.read_u32(&store[mark])?;
        times.push(start.elapsed());
    }
    if clock {
        times = engine.launches().iter().map(|launch| launch.time).collect();
    }
    engine.time_kernels(false);
    // The first run touches memory for the first time.
    let least = times[1..].iter().filter(|t| !t.is_zero()).min();
    Ok(least.copied().unwrap_or(Duration::from_nanos(1)))
}
