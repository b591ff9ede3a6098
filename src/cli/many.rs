//! `proteus train --runs`: several seeds, and what they come to.

use super::failure::Failure;
use super::images::load;
use super::session::{Session, Work, resume_line};
use super::train::Args;
use super::{say, table};
use crate::data::ImageSet;
use crate::report::{Outcome, Summary, configuration};
use crate::train::{Resumption, RunFolder, Runs, TrainError};
use std::path::Path;

/// Begins the runs, or joins other jobs with one of them.
pub fn begin(args: &Args, out: Option<&Path>, runs: Runs, only: Option<usize>) -> Result<(), Failure> {
    let job = job(&runs, only)?;
    let set = load(&runs.config, &args.places, args.quiet)?;
    runs.config.spec(&set)?;
    let session = Session::open(args)?;
    let parent = match out {
        Some(path) => path.to_path_buf(),
        None => RunFolder::free(Path::new("runs"), &runs.preset, &runs.config)?,
    };
    match only {
        Some(_) => runs.join(&parent, &job)?,
        None => {
            RunFolder::bare(&parent)?;
            runs.write(&parent, &job)?;
        }
    }
    train(session, args, &parent, &runs, only, &set)
}

/// Goes on with the runs of `parent` that are not finished.
pub fn resume(args: &Args, parent: &Path, runs: Runs, only: Option<usize>) -> Result<(), Failure> {
    let job = job(&runs, only)?;
    let set = load(&runs.config, &args.places, args.quiet)?;
    runs.config.spec(&set)?;
    let session = Session::open(args)?;
    if Runs::read(parent)?.as_ref() != Some(&runs) {
        runs.write(parent, &job)?;
    }
    train(session, args, parent, &runs, only, &set)
}

/// Name of this job among those that share the folder.
fn job(runs: &Runs, only: Option<usize>) -> Result<String, Failure> {
    match only {
        None => Ok(String::new()),
        Some(index) if (1..=runs.runs).contains(&index) => Ok(runs.name(index - 1)),
        Some(index) => Err(Failure::User(format!("--only {index}: there are runs 1 to {}", runs.runs))),
    }
}

fn train(
    mut session: Session,
    args: &Args,
    parent: &Path,
    runs: &Runs,
    only: Option<usize>,
    set: &ImageSet,
) -> Result<(), Failure> {
    let chosen = only.map_or(0..runs.runs, |index| index - 1..index);
    let mut failed = Vec::new();
    for index in chosen {
        let name = runs.name(index);
        if session.stopped() {
            let resume = resume_line(args, parent);
            return Err(Failure::Stopped(format!("stopped on request before {name}. To go on: {resume}")));
        }
        match one(&mut session, args, parent, runs, (index, only.is_some()), set) {
            Ok(()) => {}
            Err(stopped @ Failure::Stopped(_)) => {
                if only.is_none() {
                    eprintln!("the other runs too: {}", resume_line(args, parent));
                }
                return Err(stopped);
            }
            Err(Failure::Closed) => return Err(Failure::Closed),
            Err(Failure::User(reason) | Failure::Failed(reason)) => {
                eprintln!("{name} failed: {reason}");
                failed.push(name);
                session.reopen()?;
            }
        }
    }
    let summary = Summary::read(parent)?;
    let job = job(runs, only)?;
    runs.write_summary(parent, &job, &summary.tsv(), &format!("{:#}\n", summary.json()))?;
    say(args.quiet, table::summary(&summary));
    if failed.is_empty() {
        return Ok(());
    }
    let (count, of) = (failed.len(), only.map_or(runs.runs, |_| 1));
    let names = failed.join(", ");
    Err(Failure::Failed(format!("{count} of {of} runs failed ({names}), as said above")))
}

/// Trains one of the runs from where it is, if it is not finished. One that another process trains is passed over, unless
/// it is the only one.
fn one(
    session: &mut Session,
    args: &Args,
    parent: &Path,
    runs: &Runs,
    (index, only): (usize, bool),
    set: &ImageSet,
) -> Result<(), Failure> {
    let (config, path) = (runs.config(index), runs.folder(parent, index));
    say(args.quiet, format!("\nrun {} of {}, seed {}", index + 1, runs.runs, config.seed));
    let work = match configuration(&path) {
        Ok(_) => {
            if matches!(Outcome::read(&path, config.epochs)?, Outcome::Finished(..)) {
                say(args.quiet, format!("{} is finished", path.display()));
                return Ok(());
            }
            Resumption::open(&path, config.clone(), set).map(|resumption| Work::Old(Box::new(resumption)))
        }
        Err(TrainError::NoRun { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            RunFolder::claim(&path).map(Work::New)
        }
        Err(other) => return Err(other.into()),
    };
    let work = match work {
        Err(busy @ TrainError::Busy(_)) if !only => {
            say(args.quiet, busy.to_string());
            return Ok(());
        }
        work => work?,
    };
    session.train(&config, set, &runs.preset, work)
}
