//! `proteus profile`.

use super::failure::Failure;
use super::subject::{Choice, Steps, write_plot};
use super::table::columns;
use crate::bench::{Peaks, Profile, Share, profile, shares, trace};
use crate::tape::{KernelTime, Launch};
use std::io::Write;
use std::path::PathBuf;

/// Show where the time of a training step goes
#[derive(clap::Args)]
#[command(after_help = "Examples:
  proteus profile                              the preset mnist, by kernel
  proteus profile --layers                     and by the size of the operands
  proteus profile --device cpu --without chains   every operation on rows by itself
  proteus profile --trace step.json            a trace for ui.perfetto.dev or chrome://tracing
  proteus profile --peaks 60000,3000           least times on a GPU of 60 TFLOP/s and 3 TB/s that is not there

GFLOP/s counts convolutions in the direct form. Bytes are those that a kernel cannot avoid to move: each operand once. \
Roof is the least time in which the device could do the arithmetic and move the bytes, by the peaks it \
was measured to have, over the time taken: more than 100 % where data is in a cache, or where an \
algorithm such as Winograd's needs fewer operations.")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    steps: Steps,
    /// One row for each kernel and size of its operands as well
    #[arg(long)]
    layers: bool,
    /// Write every launch to this file, in the Trace Event Format
    #[arg(long, value_name = "FILE.json")]
    trace: Option<PathBuf>,
    /// Draw the share of each kernel as a plot in this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Run nothing; count what the GPU engine would launch, and the least time of each kernel at these peaks
    #[arg(long, value_name = "GFLOP/S,GB/S", value_parser = read_peaks, conflicts_with_all = ["trace", "plot", "device", "threads"])]
    peaks: Option<Peaks>,
    /// Print one JSON object: step (without --peaks), peaks, kernels, layers
    #[arg(long)]
    json: bool,
}

fn read_peaks(text: &str) -> Result<Peaks, String> {
    let number = |s: &str| s.trim().parse().ok().filter(|x: &f64| x.is_finite() && *x > 0.0);
    let both = text.split_once(',').and_then(|(gflops, gbytes)| Some((number(gflops)?, number(gbytes)?)));
    let (gflops, gbytes) = both.ok_or("two positive numbers are expected, such as 60000,3000")?;
    Ok(Peaks { gflops, gbytes })
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let subject = args.choice.subject(args.steps.steps, &[], None)?;
    if let Some(peaks) = args.peaks {
        let launches = args.choice.reckon(&subject, peaks)?;
        return least_times(&launches, peaks, args.layers, args.json);
    }
    let (mut engine, chosen) = args.choice.open()?;
    let profile = profile(&subject, engine.as_mut())?;
    if let Some(path) = &args.trace {
        let failed = |e: std::io::Error| Failure::Failed(format!("cannot write the trace {}: {e}", path.display()));
        std::fs::write(path, trace(&profile).to_string()).map_err(failed)?;
    }
    if let Some(path) = &args.plot {
        let step = &profile.step;
        let title =
            format!("{} {}, K {}: {:.1} ms a step on {}", step.preset, step.model, step.k, step.ms_median, step.device);
        write_plot(path, shares(&profile.by_kernel(), &title)?)?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        let rows = |shares: Vec<Share>| shares.iter().map(json).collect::<Vec<_>>();
        let all = serde_json::json!({
            "step": profile.step,
            "peaks": profile.peaks,
            "kernels": rows(profile.by_kernel()),
            "layers": rows(profile.by_layer()),
        });
        writeln!(out, "{all}")?;
        return Ok(());
    }
    writeln!(out, "{chosen}\n{}\n\n{}", summary(&profile), table(&profile, profile.by_kernel()))?;
    if args.layers {
        writeln!(out, "\n{}", table(&profile, profile.by_layer()))?;
    }
    if let Some(path) = &args.trace {
        writeln!(out, "\ntrace of {} steps: {}", profile.steps, path.display())?;
    }
    Ok(())
}

/// What a step consists of, and the least that it takes.
fn least_times(launches: &[Launch], peaks: Peaks, layers: bool, json: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if json {
        let rows = |kernels: Vec<KernelTime>| kernels.iter().map(|k| least_json(k, peaks)).collect::<Vec<_>>();
        let (kernels, layers) = (rows(KernelTime::by_kernel(launches)), rows(KernelTime::by_work(launches)));
        writeln!(out, "{}", serde_json::json!({ "peaks": peaks, "kernels": kernels, "layers": layers }))?;
        return Ok(());
    }
    writeln!(out, "{}", least_table(&KernelTime::by_kernel(launches), peaks))?;
    if layers {
        writeln!(out, "\n{}", least_table(&KernelTime::by_work(launches), peaks))?;
    }
    Ok(())
}

fn least_json(k: &KernelTime, peaks: Peaks) -> serde_json::Value {
    serde_json::json!({
        "kernel": k.name, "work": k.detail, "calls": k.calls, "flops": k.flops, "bytes": k.bytes,
        "least_us": k.time.as_secs_f64() * 1e6,
        "bound_by": limit(peaks.bound(k.flops, k.bytes).1),
    })
}

fn least_table(kernels: &[KernelTime], peaks: Peaks) -> String {
    let names = ["kernel", "launches", "GFLOP", "MB", "least us", "share", "bound by"];
    let mut rows = vec![names.map(String::from).to_vec()];
    let all = KernelTime {
        name: "all",
        detail: String::new(),
        time: kernels.iter().map(|k| k.time).sum(),
        calls: kernels.iter().map(|k| k.calls).sum(),
        flops: kernels.iter().map(|k| k.flops).sum(),
        bytes: kernels.iter().map(|k| k.bytes).sum(),
    };
    for k in kernels.iter().chain([&all]) {
        let idle = k.flops + k.bytes == 0;
        let bound = if idle { "-" } else { limit(peaks.bound(k.flops, k.bytes).1) };
        rows.push(vec![
            format!("{} {}", k.name, shortened(&k.detail)).trim_end().to_string(),
            k.calls.to_string(),
            format!("{:.3}", k.flops as f64 / 1e9),
            format!("{:.1}", k.bytes as f64 / 1e6),
            format!("{:.1}", k.time.as_secs_f64() * 1e6),
            format!("{:.1} %", 100.0 * k.time.as_secs_f64() / all.time.as_secs_f64().max(1e-12)),
            bound.into(),
        ]);
    }
    columns(&rows)
}

fn summary(profile: &Profile) -> String {
    let (step, peaks) = (&profile.step, &profile.peaks);
    let launches = profile.launches.len() / profile.steps.max(1);
    let bytes: u64 = profile.launches.iter().map(|l| l.work.bytes).sum();
    format!(
        "{} {}, K {}, {} images of {}, {} transformation{}\n\
         step: {:.2} ms, {:.0} images/s, {:.2} GFLOP, {:.1} GFLOP/s, {:.0} MB moved, {launches} launches, {:.1} MiB of memory\n\
         peaks, measured: {:.0} GFLOP/s of multiply-adds, {:.1} GB/s of copying",
        step.preset,
        step.model,
        step.k,
        step.batch,
        step.image.map(|n| n.to_string()).join("x"),
        step.active,
        if step.active == 1 { "" } else { "s" },
        step.ms_median,
        step.images_per_s,
        step.gflop,
        step.gflops,
        bytes as f64 / profile.steps.max(1) as f64 / 1e6,
        step.peak_bytes as f64 / f64::from(1 << 20),
        peaks.gflops,
        peaks.gbytes,
    )
}

fn table(profile: &Profile, shares: Vec<Share>) -> String {
    let names = ["kernel", "calls", "ms", "share", "GFLOP/s", "GB/s", "roof", "bound by"];
    let mut rows = vec![names.map(String::from).to_vec()];
    for s in &shares {
        let mut name = s.total.name.to_string();
        if !s.total.detail.is_empty() {
            name = format!("{name} {}", shortened(&s.total.detail));
        }
        let idle = s.total.flops == 0 && s.total.bytes == 0;
        rows.push(vec![
            name,
            format!("{:.0}", s.calls),
            format!("{:.3}", s.ms),
            format!("{:.1} %", 100.0 * s.share),
            format!("{:.1}", s.total.gflops()),
            format!("{:.1}", s.total.gbytes()),
            if idle { String::new() } else { format!("{:.0} %", 100.0 * s.roofline) },
            if idle { "-" } else { limit(s.by_arithmetic) }.into(),
        ]);
    }
    let sum: f64 = shares.iter().map(|s| s.ms).sum();
    rows.push(vec!["all".into(), String::new(), format!("{sum:.3}")]);
    let outside = profile.step.ms_median - sum;
    let note = if outside > 0.0 { format!("\n{outside:.2} ms a step are outside of kernels") } else { String::new() };
    columns(&rows) + &note
}

/// What a kernel waits for.
fn limit(by_arithmetic: bool) -> &'static str {
    if by_arithmetic { "arithmetic" } else { "memory" }
}

/// Details of chains name all their operations.
fn shortened(detail: &str) -> String {
    const MOST: usize = 60;
    if detail.chars().count() <= MOST {
        return detail.to_string();
    }
    detail.chars().take(MOST).chain(['…']).collect()
}

fn json(s: &Share) -> serde_json::Value {
    serde_json::json!({
        "kernel": s.total.name, "work": s.total.detail, "calls": s.calls, "ms": s.ms, "share": s.share,
        "gflops": s.total.gflops(), "gbytes": s.total.gbytes(), "roofline": s.roofline,
        "bound_by": limit(s.by_arithmetic),
    })
}
