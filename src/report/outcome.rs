//! How runs ended, one by one and over seeds.

use crate::train::{Config, Runs, TrainError};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What is compared.
pub const MEASURES: [&str; 4] = ["loss", "acc", "nmi", "ari"];

/// How a run ended, if it did.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Its measures, as far as it has labels, and its seconds.
    Finished([Option<f64>; 4], f64),
    /// Why it ended early.
    Failed(String),
    /// It was stopped, is under way or has not begun.
    Unfinished,
}

impl Outcome {
    /// Reads it from a run folder whose run has `epochs` epochs.
    pub fn read(run: &Path, epochs: usize) -> Result<Self, TrainError> {
        let Some(about) = about(run)? else { return Ok(Outcome::Unfinished) };
        if let Some(reason) = about["failed"].as_str() {
            return Ok(Outcome::Failed(reason.into()));
        }
        // An end after fewer epochs is none when more are wanted.
        if !about["final"].is_object() || about["epochs"] != epochs {
            return Ok(Outcome::Unfinished);
        }
        let seconds = about["seconds"].as_f64().unwrap_or_default();
        Ok(Outcome::Finished(MEASURES.map(|name| about["final"][name].as_f64()), seconds))
    }

    fn status(&self) -> &'static str {
        match self {
            Outcome::Finished(..) => "finished",
            Outcome::Failed(_) => "failed",
            Outcome::Unfinished => "unfinished",
        }
    }
}

/// What run.json says; `None` if there is none.
pub fn about(run: &Path) -> Result<Option<Value>, TrainError> {
    let path = run.join("run.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TrainError::File { action: "read", path, source }),
    };
    match serde_json::from_str(&text) {
        Ok(value) => Ok(Some(value)),
        Err(e) => Err(TrainError::Damaged { path, problem: e.to_string() }),
    }
}

/// The configuration of a run folder.
pub fn configuration(run: &Path) -> Result<Config, TrainError> {
    let path = run.join("config.toml");
    let text =
        std::fs::read_to_string(&path).map_err(|source| TrainError::NoRun { path: run.to_path_buf(), source })?;
    Ok(Config::from_toml(&text, &path.display().to_string())?)
}

/// A run, or the runs of a parent folder.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its folder.
    pub path: PathBuf,
    /// The configuration, with the first of the seeds.
    pub config: Config,
    /// Name, seed and outcome of each run.
    pub runs: Vec<(String, u64, Outcome)>,
}

impl Summary {
    /// Reads what the run folder or parent `path` holds.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let (config, runs) = match Runs::read(path)? {
            Some(runs) => {
                let one = |i| {
                    Ok((runs.name(i), runs.config(i).seed, Outcome::read(&runs.folder(path, i), runs.config.epochs)?))
                };
                let all: Result<_, TrainError> = (0..runs.runs).map(one).collect();
                (runs.config.clone(), all?)
            }
            None => {
                let config = configuration(path)?;
                let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
                let run = (name, config.seed, Outcome::read(path, config.epochs)?);
                (config, vec![run])
            }
        };
        Ok(Summary { path: path.to_path_buf(), config, runs })
    }

    /// Names of the finished runs with their measures and seconds.
    pub fn finished(&self) -> Vec<(&str, [Option<f64>; 4], f64)> {
        let finished = self.runs.iter().filter_map(|(name, _, outcome)| match outcome {
            Outcome::Finished(measures, seconds) => Some((name.as_str(), *measures, *seconds)),
            _ => None,
        });
        finished.collect()
    }

    /// Mean of a measure over the finished runs and, from two on, its standard deviation (of a sample: n - 1).
    pub fn statistics(&self, measure: usize) -> (Option<f64>, Option<f64>) {
        statistics(&self.finished().iter().filter_map(|(_, m, _)| m[measure]).collect::<Vec<_>>())
    }

    /// The finished run with the least loss: without labels, the one to trust.
    pub fn least_loss(&self) -> Option<(&str, [Option<f64>; 4], f64)> {
        let loss = |m: &[Option<f64>; 4]| m[0].unwrap_or(f64::INFINITY);
        self.finished().into_iter().min_by(|a, b| loss(&a.1).total_cmp(&loss(&b.1)))
    }

    /// A line for each run, then mean, standard deviation and the run with the least loss; tabs between columns.
    pub fn tsv(&self) -> String {
        let mut lines = vec![format!("run\tseed\tstatus\t{}\tseconds", MEASURES.join("\t"))];
        let number = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.6}"));
        let mut line = |name: &str, seed: String, status: &str, measures: [Option<f64>; 4], seconds: Option<f64>| {
            let measures = measures.map(number).join("\t");
            let seconds = seconds.map_or(String::new(), |s| format!("{s:.1}"));
            lines.push(format!("{name}\t{seed}\t{status}\t{measures}\t{seconds}"));
        };
        for (name, seed, outcome) in &self.runs {
            match outcome {
                Outcome::Finished(m, seconds) => line(name, seed.to_string(), outcome.status(), *m, Some(*seconds)),
                _ => line(name, seed.to_string(), outcome.status(), [None; 4], None),
            }
        }
        let all = [0, 1, 2, 3].map(|m| self.statistics(m));
        line("mean", String::new(), "", all.map(|s| s.0), None);
        line("std", String::new(), "", all.map(|s| s.1), None);
        if let Some((name, measures, seconds)) = self.least_loss() {
            line(&format!("min_loss={name}"), String::new(), "", measures, Some(seconds));
        }
        lines.join("\n") + "\n"
    }

    /// The same as an object.
    pub fn json(&self) -> Value {
        let object = |values: [Option<f64>; 4]| -> Map<String, Value> {
            MEASURES.iter().zip(values).map(|(name, value)| (name.to_string(), json!(value))).collect()
        };
        let run = |(name, seed, outcome): &(String, u64, Outcome)| {
            let mut run = match outcome {
                Outcome::Finished(measures, seconds) => {
                    let mut run = object(*measures);
                    run.insert("seconds".into(), json!(seconds));
                    run
                }
                Outcome::Failed(reason) => Map::from_iter([("reason".to_string(), json!(reason))]),
                Outcome::Unfinished => Map::new(),
            };
            run.insert("run".into(), json!(name));
            run.insert("seed".into(), json!(seed));
            run.insert("status".into(), json!(outcome.status()));
            Value::Object(run)
        };
        let all = [0, 1, 2, 3].map(|m| self.statistics(m));
        let least = self.least_loss().map(|(name, measures, _)| {
            let mut least = object(measures);
            least.insert("run".into(), json!(name));
            least
        });
        json!({
            "path": self.path.display().to_string(),
            "finished": self.finished().len(),
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
            "mean": object(all.map(|s| s.0)),
            "std": object(all.map(|s| s.1)),
            "min_loss": least,
            "config": self.config,
        })
    }
}

/// Mean and, from two values on, standard deviation of the sample.
fn statistics(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let n = values.len() as f64;
    if values.is_empty() {
        return (None, None);
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (Some(mean), (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(outcomes: &[Outcome]) -> Summary {
        let runs = outcomes.iter().enumerate().map(|(i, o)| (format!("seed_{i}"), i as u64, o.clone())).collect();
        Summary { path: "sweep".into(), config: Config::default(), runs }
    }

    #[test]
    fn only_finished_runs_are_counted() {
        let finished = |loss, acc| Outcome::Finished([Some(loss), Some(acc), None, None], 1.0);
        let failed = Outcome::Failed("the loss became NaN".into());
        let s = summary(&[finished(3.0, 0.5), failed, finished(1.0, 0.75), Outcome::Unfinished, finished(2.0, 1.0)]);
        assert_eq!(s.statistics(0), (Some(2.0), Some(1.0)));
        assert_eq!(s.statistics(1), (Some(0.75), Some(0.25)));
        assert_eq!(s.statistics(2), (None, None), "no labels");
        assert_eq!(s.least_loss().map(|l| l.0), Some("seed_2"));
        let table = s.tsv();
        let line =
            |name: &str| table.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{name}: {table}"));
        assert_eq!(line("seed_1"), "seed_1\t1\tfailed\t\t\t\t\t");
        assert_eq!(line("mean"), "mean\t\t\t2.000000\t0.750000\t\t\t");
        assert_eq!(line("min_loss"), "min_loss=seed_2\t\t\t1.000000\t0.750000\t\t\t1.0");
        let object = s.json();
        assert_eq!(object["runs"][1]["reason"], "the loss became NaN");
        assert_eq!((&object["finished"], &object["std"]["acc"]), (&json!(3), &json!(0.25)));
        assert!(object["mean"]["nmi"].is_null());
    }

    #[test]
    fn one_run_has_no_deviation_and_none_has_nothing() {
        assert_eq!(statistics(&[4.0]), (Some(4.0), None));
        assert!(summary(&[Outcome::Unfinished]).least_loss().is_none());
        assert!(summary(&[]).json()["min_loss"].is_null());
    }
}
