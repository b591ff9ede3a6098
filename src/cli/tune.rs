//! `proteus tune`.

use super::failure::Failure;
use super::subject::Choice;
use super::table::columns;
use crate::bench::{Tuning, distinct, is_tunable, is_wrong, peaks, tune, variants};
use crate::device::tuned_folder;
use crate::gpu::{Tuned, VARIANTS, VariantChoice};
use regex_lite::Regex;
use std::io::Write;

/// Measure which kernels are the fastest on a GPU, for later runs to use
#[derive(clap::Args)]
#[command(after_help = "Examples:
  proteus tune                       the operations of the preset mnist on the best GPU
  proteus tune --preset svhn         those of another one; the table grows
  proteus tune --forget              back to what devices of this kind start with

Every operation that several kernels can compute is run by each of them at the sizes of the preset, checked \
against plain Rust and timed. The table is a readable file in the user's cache folder \
($XDG_CACHE_HOME/proteus/tuned), one for a device. Other sizes, and other drivers, use what devices of this \
kind start with. Kernels with 16-bit floats (half and matrix) are less exact and are tried with --half only. Other kernels may give \
other last bits: a run that was begun before goes on, but perhaps not to the bit.")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,
    /// Only operations whose name fits
    #[arg(long, value_name = "REGEX")]
    filter: Option<Regex>,
    /// Try the kernels with 16-bit floats as well (half, and matrix where there is such a unit), and let later runs use them where they are the fastest
    #[arg(long)]
    half: bool,
    /// Remove the table of the device
    #[arg(long)]
    forget: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let folder = tuned_folder()
        .ok_or_else(|| Failure::User("there is no folder for the table: set XDG_CACHE_HOME or HOME".into()))?;
    let adapter = args.choice.find_gpu()?;
    let mut out = std::io::stdout();
    if args.forget {
        let path = Tuned::forget(&folder, &adapter)?;
        writeln!(out, "{} is gone, or was never there", path.display())?;
        return Ok(());
    }
    // A damaged table is better found before the work than after.
    let mut table = Tuned::read(&folder, &adapter)?;
    let mut engines = Vec::new();
    let names = variants(&adapter, args.half);
    for &name in &names {
        engines.push((name, args.choice.open_gpu(VariantChoice::everywhere(name))?));
    }
    let plain = &mut engines[0].1;
    let program = args.choice.subject(1, &[], None)?.program(plain)?;
    let wanted = |name: &str| args.filter.as_ref().is_none_or(|f| f.is_match(name));
    let mut calls = Vec::new();
    for call in distinct(&program).into_iter().filter(|c| wanted(c.op.name())) {
        if is_tunable(&names, &adapter, &program, call)? {
            calls.push(call);
        }
    }
    if calls.is_empty() {
        let mut operations: Vec<_> = VARIANTS.iter().map(|(operation, ..)| *operation).collect();
        operations.dedup();
        return Err(Failure::User(format!("no operation fits; {} have variants", operations.join(" "))));
    }
    let peaks = peaks(plain)?;
    writeln!(out, "{adapter}\n{} operations, each by {}", calls.len(), names.join(" and "))?;

    let mut rows = vec![heading(&names)];
    let mut choices = Vec::new();
    for call in calls {
        let tuning = tune(&program, call, &mut engines, peaks)?;
        rows.push(row(&tuning, &names));
        choices.push(tuning.choice);
    }
    table.merge(choices);
    let path = table.write(&folder, &adapter)?;
    writeln!(out, "\n{}\n\n{} choices in {}", columns(&rows), table.choice.len(), path.display())?;
    Ok(())
}

fn heading(names: &[&str]) -> Vec<String> {
    let times = names.iter().map(|name| format!("{name}, ms"));
    ["operation".into()].into_iter().chain(times).chain(["chosen".into()]).collect()
}

fn row(tuning: &Tuning, names: &[&str]) -> Vec<String> {
    let VariantChoice { operation, sizes, variant } = &tuning.choice;
    let mut row = vec![format!("{operation} {}", sizes.as_deref().unwrap_or_default())];
    for name in names {
        row.push(match tuning.reports.iter().find(|(n, _)| n == name) {
            None => "-".into(),
            Some((_, Err(why))) => format!("failed: {why}"),
            Some((_, Ok(r))) if is_wrong(r) => format!("{:.4} WRONG", r.ms_median),
            Some((_, Ok(r))) => format!("{:.4}", r.ms_median),
        });
    }
    row.push(variant.clone());
    row
}
