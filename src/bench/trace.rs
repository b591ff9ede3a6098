//! Launches as a trace that opens in Perfetto (ui.perfetto.dev) and chrome://tracing.

use super::profile::Profile;
use serde_json::{Value, json};
use std::time::Duration;

/// The launches of a profile in the Trace Event Format: one track for the device, one for the steps.
pub fn trace(profile: &Profile) -> Value {
    let micros = |d: Duration| d.as_secs_f64() * 1e6;
    let name =
        |tid: u32, name: &str| json!({"ph": "M", "pid": 1, "tid": tid, "name": "thread_name", "args": {"name": name}});
    let mut events = vec![
        json!({"ph": "M", "pid": 1, "name": "process_name", "args": {"name": format!("proteus {}", profile.step.preset)}}),
        name(1, "steps"),
        name(2, &profile.step.device),
    ];
    let per_step = profile.launches.len() / profile.steps.max(1);
    for (i, step) in profile.launches.chunks(per_step.max(1)).enumerate() {
        let (Some(first), Some(last)) = (step.first(), step.last()) else { continue };
        let (start, end) = (micros(first.start), micros(last.start + last.time));
        events.push(
            json!({"ph": "X", "pid": 1, "tid": 1, "ts": start, "dur": end - start, "name": format!("step {}", i + 1)}),
        );
    }
    for launch in &profile.launches {
        let work = &launch.work;
        events.push(json!({
            "ph": "X", "pid": 1, "tid": 2, "ts": micros(launch.start), "dur": micros(launch.time), "name": work.kernel,
            "args": {"work": work.detail, "flops": work.flops, "bytes": work.bytes},
        }));
    }
    json!({"traceEvents": events, "displayTimeUnit": "ms"})
}
