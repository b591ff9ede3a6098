//! What launches of kernels do and how long they take.

use super::program::{Call, Operand};
use std::sync::Arc;
use std::time::Duration;

/// What one launch of a kernel does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// What tells it from other launches of the kernel: the shapes of its operands, or the operations it does in one.
    pub detail: String,
    /// Floating-point operations, a multiply-add counts two. Convolutions count the direct form whatever the algorithm.
    pub flops: u64,
    /// Bytes moved when every number that is needed is read once and every result written once.
    pub bytes: u64,
}

impl Work {
    /// The work of a call.
    pub(crate) fn of(call: &Call) -> Self {
        Work { kernel: call.op.name(), detail: call.shapes(), flops: call.flops(), bytes: call.bytes() }
    }
}

impl Call {
    /// The shapes of the operands that tell the size of the work, such as `128x16x28x28 * 16x16x3x3`.
    pub fn shapes(&self) -> String {
        let shape = |o: &Operand| o.shape.0.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        // Updates are as large as what they update; otherwise scalars, indices and vectors of channels say nothing new.
        let inputs = if self.op.updates() { &[][..] } else { &self.inputs[..] };
        let large: Vec<String> = inputs.iter().filter(|o| o.shape.rank() > 1).map(shape).collect();
        match (large.is_empty(), self.outputs.first()) {
            (false, _) => large.join(" * "),
            (true, Some(out)) => shape(out),
            (true, None) => String::new(),
        }
    }
}

/// One timed launch.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What it did.
    pub work: Arc<Work>,
    /// When it began, on the device's clock, since timing began.
    pub start: Duration,
    /// How long it took.
    pub time: Duration,
}

/// What several launches have cost together.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// Name of the kernel.
    pub name: &'static str,
    /// [`Work::detail`] where launches are told apart by it, otherwise empty.
    pub detail: String,
    /// Time of all launches.
    pub time: Duration,
    /// Number of launches.
    pub calls: u64,
    /// Floating-point operations of all launches.
    pub flops: u64,
    /// Bytes of all launches.
    pub bytes: u64,
}

impl KernelTime {
    /// One row a kernel, by falling time.
    pub fn by_kernel(launches: &[Launch]) -> Vec<KernelTime> {
        table(launches, |_| "")
    }

    /// One row for each kernel and size of work, by falling time.
    pub fn by_work(launches: &[Launch]) -> Vec<KernelTime> {
        table(launches, |work| &work.detail)
    }

    /// Floating-point operations a second, in 10^9.
    pub fn gflops(&self) -> f64 {
        self.flops as f64 / self.time.as_secs_f64().max(1e-12) / 1e9
    }

    /// Bytes moved a second, in 10^9.
    pub fn gbytes(&self) -> f64 {
        self.bytes as f64 / self.time.as_secs_f64().max(1e-12) / 1e9
    }
}

fn table(launches: &[Launch], detail: impl Fn(&Work) -> &str) -> Vec<KernelTime> {
    let mut rows: Vec<KernelTime> = Vec::new();
    for Launch { work, time, .. } in launches {
        let detail = detail(work);
        let row = match rows.iter().position(|row| row.name == work.kernel && row.detail == detail) {
            Some(at) => &mut rows[at],
            None => {
                let detail = detail.to_string();
                rows.push(KernelTime { name: work.kernel, detail, time: Duration::ZERO, calls: 0, flops: 0, bytes: 0 });
                rows.last_mut().expect("just pushed")
            }
        };
        row.time += *time;
        row.calls += 1;
        row.flops += work.flops;
        row.bytes += work.bytes;
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.time));
    rows
}
