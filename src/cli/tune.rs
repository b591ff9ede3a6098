//! `proteus tune`.

use super::failure::Failure;
use super::subject::Choice;
use super::table::columns;
use crate::bench::{Tuning, distinct, has_variants, peaks, tune, variants};
use crate::device::tuned_folder;
use crate::gpu::{self, PLAIN, Tuned, TunedError};
use regex_lite::Regex;
use std::io::Write;

/// Measure which kernels are the fastest on a GPU, for later runs to use
#[derive(clap::Args)]
#[command(after_help = "Examples:
  proteus tune                       the operations of the preset mnist on the best GPU
  proteus tune --preset svhn         those of another one; the table grows
  proteus tune --forget              back to what devices of this kind start with

Every operation that several kernels can compute is run by each of them at the sizes of the preset, checked
against plain Rust and timed. The table is a readable file in the user's cache folder
($XDG_CACHE_HOME/proteus/tuned), one for a device. Other sizes, and other drivers, use what devices of this
kind start with.")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,
    /// Only operations whose name fits
    #[arg(long, value_name = "REGEX")]
    filter: Option<Regex>,
    /// Remove the table of the device
    #[arg(long)]
    forget: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let folder = tuned_folder()
        .ok_or_else(|| Failure::User("there is no folder for the table: set XDG_CACHE_HOME or HOME".into()))?;
    let failed = |e: TunedError| Failure::Failed(e.to_string());
    let mut engines = Vec::new();
    for name in variants() {
        engines.push((name, args.choice.open_gpu(gpu::Choice::everywhere(name))?));
    }
    let plain = &mut engines[0].1;
    let adapter = plain.adapter().clone();
    let mut out = std::io::stdout();
    if args.forget {
        let path = Tuned::forget(&folder, &adapter).map_err(failed)?;
        writeln!(out, "{} is gone, or was never there", path.display())?;
        return Ok(());
    }
    // A damaged table is better found before the work than after.
    let mut table = Tuned::read(&folder, &adapter).map_err(failed)?;
    let program = args.choice.subject(1, &[], None)?.program(plain)?;
    let peaks = peaks(plain)?;

    writeln!(out, "{adapter}")?;
    let names = ["operation"].into_iter().chain(variants());
    let heading: Vec<String> =
        names.map(|name| if name == "operation" { name.into() } else { format!("{name}, ms") }).collect();
    let mut rows = vec![[heading, vec!["chosen".into()]].concat()];
    let mut choices: Vec<gpu::Choice> = Vec::new();
    let wanted = |name: &str| args.filter.as_ref().is_none_or(|f| f.is_match(name));
    let calls = distinct(&program).into_iter().filter(|c| has_variants(c) && wanted(c.op.name()));
    for call in calls {
        let tuning = tune(&program, call, &mut engines, peaks)?;
        rows.push(row(&tuning));
        if !choices.contains(&tuning.choice) {
            choices.push(tuning.choice);
        }
    }
    table.merge(choices);
    let path = table.write(&folder, &adapter).map_err(failed)?;
    writeln!(out, "\n{}\n\n{} choices in {}", columns(&rows), table.choice.len(), path.display())?;
    Ok(())
}

fn row(tuning: &Tuning) -> Vec<String> {
    let gpu::Choice { operation, shapes, variant } = &tuning.choice;
    let mut row = vec![format!("{operation} {}", shapes.as_deref().unwrap_or_default())];
    for name in variants() {
        let report = tuning.reports.iter().find(|(n, _)| *n == name);
        row.push(report.map_or("-".into(), |(_, r)| format!("{:.4}", r.ms_median)));
    }
    row.push(if variant == PLAIN { String::new() } else { variant.clone() });
    row
}
