//! `proteus bench kernels`.

use super::failure::Failure;
use super::subject::{Choice, write_plot};
use super::table::columns;
use crate::bench::{
    Change, KernelReport, change, computed_by, distinct, is_wrong, measure_call, peaks, reference, roofline,
};
use crate::gpu::{self, PLAIN};
use crate::tape::Call;
use regex_lite::Regex;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Time every operation of a training step by itself, at its real sizes
#[derive(clap::Args)]
#[command(after_help = "Examples:
  proteus bench kernels                                  every operation of the preset mnist
  proteus bench kernels --filter conv2d --device gpu     those whose name fits a regular expression
  proteus bench kernels --shape 16x28x28 --json > old.json
  proteus bench kernels --baseline old.json              faster, slower, the same within noise, new
  proteus bench kernels --device gpu --kernel conv2d=mine.wgsl
                                                         your kernel, checked and timed beside ours

Every operation runs on copies of its operands in turn, more than caches hold, and is checked against plain \
Rust before it is timed; a result further than 1e-3 of the largest number away is marked WRONG. On the CPU the times \
of feature maps do not count the change of layout that a single operation needs.")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,
    /// Only operations whose name fits
    #[arg(long, value_name = "REGEX")]
    filter: Option<Regex>,
    /// Only operations with this in the shapes of their operands
    #[arg(long, value_name = "TEXT")]
    shape: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Draw every operation under the roof of the device as a plot in this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Compare with what --json printed earlier
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Replace a kernel of the GPU by a file, and time both; may be repeated
    #[arg(long, value_name = "NAME=FILE.wgsl")]
    kernel: Vec<String>,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let baseline = args.baseline.as_deref().map(read).transpose()?;
    let replaced = args.kernel.iter().map(|k| replacement(k)).collect::<Result<Vec<_>, _>>()?;
    let subject = args.choice.subject(1, &[], None)?;
    // A kernel of the user's stands beside that of ours in whose place it is.
    let variants: Vec<_> = replaced.iter().map(|(kernel, _)| gpu::VariantChoice::of_kernel(kernel)).collect();
    let ours = gpu::Options { variants: variants.clone(), ..gpu::Options::default() };
    let (mut engine, chosen) = args.choice.open_with(false, ours)?;
    if !replaced.is_empty() && engine.kind() != "gpu" {
        return Err(Failure::User(format!(
            "--kernel replaces WGSL, and the device is {chosen}; choose a GPU with --device gpu, or --device llvmpipe for the \
             software driver"
        )));
    }
    let program = subject.program(engine.as_mut())?;
    let wanted = |call: &&Call| {
        let name = call.op.name();
        args.filter.as_ref().is_none_or(|f| f.is_match(name))
            && args.shape.as_ref().is_none_or(|s| call.shapes().contains(s))
            && (variants.is_empty() || variants.iter().any(|v| v.operation == name))
    };
    let mut calls: Vec<&Call> = distinct(&program).into_iter().filter(wanted).collect();
    // Sizes that a variant leaves to another kernel say nothing about it.
    for choice in &variants {
        let adapter = args.choice.find_gpu()?;
        let runs = |call: &Call| computed_by(&choice.variant, &adapter, &program, call);
        let mut kept = Vec::new();
        for call in calls {
            if call.op.name() != choice.operation || runs(call)? {
                kept.push(call);
            }
        }
        calls = kept;
    }
    if calls.is_empty() {
        let names: std::collections::BTreeSet<_> = program.calls.iter().map(|c| c.op.name()).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(" ");
        return Err(Failure::User(format!("no operation of this step fits. It has {names}")));
    }
    let mut theirs = match replaced.is_empty() {
        true => None,
        false => Some(args.choice.open_with(false, gpu::Options { kernels: replaced, ..gpu::Options::default() })?.0),
    };
    let peaks = peaks(engine.as_mut())?;
    let mut out = std::io::stdout();
    let mut rows = vec![heading(baseline.is_some(), theirs.is_some())];
    if !args.json {
        writeln!(
            out,
            "{chosen}\npeaks, measured: {:.0} GFLOP/s of multiply-adds, {:.1} GB/s of copying",
            peaks.gflops, peaks.gbytes
        )?;
    }
    let (mut wrong, mut reports) = (0, Vec::new());
    for call in calls {
        let expected = reference(&program, call)?;
        let ours = measure_call(&program, call, &expected, engine.as_mut(), peaks)?;
        let report = match &mut theirs {
            Some(theirs) => measure_call(&program, call, &expected, theirs.as_mut(), peaks)?,
            None => ours.clone(),
        };
        wrong += usize::from(is_wrong(&report));
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&report).map_err(std::io::Error::from)?)?;
        }
        let mut row = row(&report);
        row.extend(theirs.is_some().then(|| format!("{:.2}", report.ms_median / ours.ms_median)));
        row.extend(baseline.as_ref().map(|b| told(change(&report, b))));
        rows.push(row);
        reports.push(report);
    }
    if !args.json {
        let clock = reports.first().map_or("", |r| r.clock.as_str());
        writeln!(out, "\n{}\n\ntimes by {clock}", columns(&rows))?;
    }
    if let Some(path) = &args.plot {
        write_plot(path, roofline(&reports, peaks, &engine.device())?)?;
    }
    match wrong {
        0 => Ok(()),
        n => Err(Failure::Failed(format!("{n} of the results are wrong: see the last columns"))),
    }
}

/// The kernel and its file.
fn replacement(text: &str) -> Result<(String, PathBuf), Failure> {
    let (name, path) = text.split_once('=').ok_or_else(|| {
        Failure::User(format!("--kernel {text}: NAME=FILE.wgsl is expected, such as conv2d=mine.wgsl"))
    })?;
    gpu::check_kernel(name, Path::new(path)).map_err(Failure::User)?;
    Ok((name.into(), path.into()))
}

/// Lines that --json printed.
fn read(path: &Path) -> Result<Vec<KernelReport>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::User(format!("cannot read the baseline {}: {e}", path.display())))?;
    let line = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| {
            let hint = "it should hold what `proteus bench kernels --json` printed";
            Failure::User(format!("{}, line {}: {e}; {hint}", path.display(), i + 1))
        })
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

fn heading(baseline: bool, theirs: bool) -> Vec<String> {
    let names = ["operation", "ms", "± half", "GFLOP/s", "GB/s", "roof", "bound by", "difference"];
    let names = names.into_iter().chain(theirs.then_some("of ours")).chain(baseline.then_some("since the baseline"));
    names.map(String::from).collect()
}

fn row(r: &KernelReport) -> Vec<String> {
    let variant = r.launched.first().map_or(PLAIN, |name| gpu::variant_of(name).1);
    let variant = if variant == PLAIN { String::new() } else { format!(" ({variant})") };
    let mark = if is_wrong(r) { " WRONG" } else { "" };
    vec![
        format!("{}{variant} {}", r.kernel, r.work),
        format!("{:.4}", r.ms_median),
        format!("{:.4}", r.ms_spread),
        format!("{:.1}", r.gflops),
        format!("{:.1}", r.gbytes),
        format!("{:.0} %", 100.0 * r.roofline),
        r.bound_by.clone(),
        format!("{:.0e}{mark}", r.difference),
    ]
}

fn told(change: Change) -> String {
    match change {
        Change::Faster(ratio) => format!("{ratio:.2} faster"),
        Change::Slower(ratio) => format!("{ratio:.2} slower"),
        Change::Same(ratio) => format!("{ratio:.2} same"),
        Change::New => "new".into(),
    }
}
