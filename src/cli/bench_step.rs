//! `proteus bench step`.

use super::failure::Failure;
use super::subject::{Choice, Steps, write_plot};
use super::table::columns;
use crate::bench::{Point, StepReport, Subject, measure, sweep};
use crate::train::KEYS;
use std::io::Write;
use std::path::PathBuf;

/// Time whole training steps
#[derive(clap::Args)]
#[command(after_help = "Examples:
  proteus bench step                                   the preset mnist, all transformations active
  proteus bench step --preset usps --set model=gmm     the mixture on the size of USPS
  proteus bench step --stage 1                         while only the affine maps are active
  proteus bench step --sweep k=10,20,50,100            how the time grows with the prototypes
  proteus bench step --sweep size=28,56,112 --sweep batch=32,128
  proteus bench step --without winograd                what a saving is worth

Keys of --sweep: k, batch, size (of the images), and all keys of --set. Images are noise: the work \
does not depend on them. gflops counts convolutions in the direct form, whatever the algorithm.")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    steps: Steps,
    /// Measure once for each value; with several sweeps, for each combination
    #[arg(long, value_name = "KEY=A,B,...")]
    sweep: Vec<String>,
    /// Draw the times against the first key of --sweep, a line for each value of the others, as a plot in this file
    #[arg(long, value_name = "FILE.svg", requires = "sweep")]
    plot: Option<PathBuf>,
    /// Print one JSON object a line: preset, model, device, engine, batch, k, ms_median, ms_min, images_per_s, gflops,
    /// peak_bytes and more
    #[arg(long)]
    json: bool,
}

/// A value of a swept key.
type Setting = (String, String);

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let mut combinations: Vec<Vec<Setting>> = vec![Vec::new()];
    for sweep in &args.sweep {
        let values = parse(sweep)?;
        let with = |c: &Vec<Setting>, v: &Setting| c.iter().cloned().chain([v.clone()]).collect();
        combinations =
            combinations.iter().flat_map(|c| values.iter().map(|v| with(c, v)).collect::<Vec<_>>()).collect();
    }
    // Mistakes in any of them are told before anything is measured.
    let subjects = combinations.iter().map(|c| subject(&args, c)).collect::<Result<Vec<_>, _>>()?;
    let (mut engine, chosen) = args.choice.open()?;
    let (mut rows, mut reports) = (vec![heading()], Vec::new());
    let mut out = std::io::stdout();
    for subject in &subjects {
        let report = measure(subject, engine.as_mut())?;
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&report).map_err(std::io::Error::from)?)?;
        } else if subjects.len() > 1 {
            eprintln!("{} of {} measured: {:.1} ms", rows.len(), subjects.len(), report.ms_median);
        }
        rows.push(row(&report));
        reports.push(report);
    }
    if !args.json {
        writeln!(out, "{chosen}\n{}", columns(&rows))?;
    }
    if let Some(path) = &args.plot {
        write_plot(path, plot(&reports, &combinations)?)?;
    }
    Ok(())
}

/// The times against the first swept key.
fn plot(reports: &[StepReport], combinations: &[Vec<Setting>]) -> Result<String, Failure> {
    let (first, report) = (&combinations[0][0].0, &reports[0]);
    let point = |(report, c): (&StepReport, &Vec<Setting>)| {
        let line = c[1..].iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ");
        Some(Point { line, x: c[0].1.parse().ok()?, ms: report.ms_median })
    };
    let points: Option<Vec<Point>> = reports.iter().zip(combinations).map(point).collect();
    let points = points.ok_or_else(|| {
        Failure::User(format!("--plot draws along numbers, and {first} has other values; sweep a number first"))
    })?;
    Ok(sweep(&points, first, &format!("A training step, {} {}: {}", report.preset, report.model, report.device))?)
}

/// `key=a,b,c` as settings.
fn parse(sweep: &str) -> Result<Vec<Setting>, Failure> {
    let wrong = || Failure::User(format!("--sweep {sweep}: KEY=A,B,... is expected, such as k=10,20,50"));
    let (key, values) = sweep.split_once('=').ok_or_else(wrong)?;
    let key = match key.trim() {
        "k" => "clusters",
        "batch" => "batch_size",
        key => key,
    };
    if !["", "size"].contains(&key) && !KEYS.contains(&key) {
        let keys = KEYS.join(", ");
        return Err(Failure::User(format!(
            "--sweep {sweep}: unknown key '{key}'; the keys are k, batch, size, {keys}"
        )));
    }
    let values: Vec<Setting> = values.split(',').map(|v| (key.to_string(), v.trim().to_string())).collect();
    if values.iter().any(|(key, value)| key.is_empty() || value.is_empty()) { Err(wrong()) } else { Ok(values) }
}

fn subject(args: &Args, settings: &[Setting]) -> Result<Subject, Failure> {
    let (sizes, changes): (Vec<&Setting>, Vec<&Setting>) = settings.iter().partition(|(key, _)| key == "size");
    let size = match sizes.last() {
        None => None,
        Some((_, value)) => {
            let side = value.parse().ok().filter(|side| (8..=1024).contains(side));
            Some(side.ok_or_else(|| {
                Failure::User(format!("--sweep size={value}: a side of 8 to 1024 pixels is expected"))
            })?)
        }
    };
    let changes: Vec<String> = changes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    args.choice.subject(args.steps.steps, &changes, size)
}

fn heading() -> Vec<String> {
    let names =
        ["preset", "model", "active", "K", "batch", "image", "ms", "± half", "least", "images/s", "GFLOP/s", "MiB"];
    names.map(String::from).to_vec()
}

fn row(r: &StepReport) -> Vec<String> {
    let [c, h, w] = r.image;
    vec![
        r.preset.clone(),
        r.model.clone(),
        r.active.to_string(),
        r.k.to_string(),
        r.batch.to_string(),
        format!("{c}x{h}x{w}"),
        format!("{:.2}", r.ms_median),
        format!("{:.2}", r.ms_spread),
        format!("{:.2}", r.ms_min),
        format!("{:.0}", r.images_per_s),
        format!("{:.1}", r.gflops),
        format!("{:.1}", r.peak_bytes as f64 / f64::from(1 << 20)),
    ]
}
