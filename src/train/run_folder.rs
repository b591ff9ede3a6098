//! What a run leaves on disk, under the names that users of the published code know.

use super::checkpoint::write_whole;
use super::config::Config;
use super::error::TrainError;
use super::evaluation::Evaluation;
use super::trainer::Epoch;
use crate::data::{ImageSet, source};
use crate::metrics::{Scores, score};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Least time between two states that are saved besides those at evaluations.
const SAVE_EVERY: Duration = Duration::from_secs(30);
/// Locked by the process that trains.
const LOCK: &str = ".lock";
/// Tables to which epochs append.
pub(super) const TABLES: [&str; 3] = ["train_metrics.tsv", "val_metrics.tsv", "val_scores.tsv"];

/// A folder that belongs to one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Assignments of the previous evaluation, for `nmi_diff`.
    previous: Option<Vec<u32>>,
    /// Least time between two states that are saved besides those at evaluations.
    pub save_every: Duration,
    /// Held as long as the folder is written.
    lock: Option<Arc<File>>,
}

impl RunFolder {
    /// Takes the folder `path`, which must be new or empty, and begins a run in it.
    ///
    /// # Errors
    /// As [`Self::claim`], and [`TrainError::File`] if a file cannot be written.
    pub fn create(path: &Path, config: &Config, set: &ImageSet) -> Result<Self, TrainError> {
        let folder = Self::claim(path)?;
        folder.start(config, set)?;
        Ok(folder)
    }

    /// Takes the folder `path`, which must be new or empty, before a run begins in it with [`Self::start`].
    ///
    /// # Errors
    /// [`TrainError::FolderTaken`] if it holds files, [`TrainError::Busy`] if another process has it, and
    /// [`TrainError::File`] if it cannot be made.
    pub fn claim(path: &Path) -> Result<Self, TrainError> {
        let mut folder = Self::bare(path)?;
        folder.take()?;
        Ok(folder)
    }

    /// Takes the folder `path`, which must be new or empty, and writes nothing into it.
    pub fn bare(path: &Path) -> Result<Self, TrainError> {
        let failed = |source| TrainError::File { action: "create", path: path.to_path_buf(), source };
        std::fs::create_dir_all(path).map_err(failed)?;
        let files = std::fs::read_dir(path).map_err(failed)?;
        // A run that was killed as it began leaves these; run.json only beside its lock.
        let begun = path.join(LOCK).exists();
        let about = |name: &OsStr| name == "run.json" || name == "run.json.part";
        let lists = |name: &OsStr| name == "config.toml.part" || name == "runs.toml.part";
        let trace = |name: &OsStr| name == LOCK || lists(name) || begun && about(name);
        if files.into_iter().any(|f| f.map_or(true, |f| !trace(&f.file_name()))) {
            return Err(TrainError::FolderTaken(path.to_path_buf()));
        }
        Ok(Self::at(path))
    }

    /// Takes the folder of a run that began, unless another process has it.
    pub fn reopen(path: &Path) -> Result<Self, TrainError> {
        let mut folder = Self::at(path);
        folder.take()?;
        Ok(folder)
    }

    fn at(path: &Path) -> Self {
        RunFolder { path: path.to_path_buf(), previous: None, save_every: SAVE_EVERY, lock: None }
    }

    /// Keeps other processes out until it is dropped.
    fn take(&mut self) -> Result<(), TrainError> {
        let path = self.file(LOCK);
        let failed = |source| TrainError::File { action: "write", path: path.clone(), source };
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(TrainError::Busy(self.path.clone())),
            // Not every file system has locks.
            Ok(()) | Err(TryLockError::Error(_)) => self.lock = Some(Arc::new(file)),
        }
        Ok(())
    }

    /// Makes the first free folder among `runs`/name of the data set/`mmdd`_`tag`, `mmdd`_`tag`_2, ... Runs that start at the same
    /// time get different ones.
    pub fn free(runs: &Path, tag: &str, config: &Config) -> Result<PathBuf, TrainError> {
        let now = time::OffsetDateTime::now_utc();
        let day = format!("{:02}{:02}_{tag}", u8::from(now.month()), now.day());
        let parent = runs.join(source::name(&config.dataset));
        let failed = |path: &Path, source| TrainError::File { action: "create", path: path.to_path_buf(), source };
        std::fs::create_dir_all(&parent).map_err(|e| failed(&parent, e))?;
        let mut number = 1;
        loop {
            let path = parent.join(if number == 1 { day.clone() } else { format!("{day}_{number}") });
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(e) => return Err(failed(&path, e)),
            }
        }
    }

    /// Writes the configuration, with which the folder is a run's, and the headings of the tables.
    pub fn start(&self, config: &Config, set: &ImageSet) -> Result<(), TrainError> {
        self.write("config.toml", config.to_toml().as_bytes())?;
        let shares: String = (0..config.clusters).fold(String::new(), |mut s, k| {
            let _ = write!(s, "\tprop_clus{k}");
            s
        });
        self.write("train_metrics.tsv", format!("iteration\tepoch\tbatch\ttime/img\tloss{shares}\n").as_bytes())?;
        self.write("val_metrics.tsv", b"iteration\tepoch\tbatch\tloss_val\n")?;
        if set.labels.is_some() {
            let names = score_names(set.classes);
            self.write("val_scores.tsv", format!("iteration\tepoch\tbatch\t{names}\n").as_bytes())?;
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of a file inside.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a whole file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), TrainError> {
        write_whole(&self.file(name), bytes)
    }

    /// Names and contents of the tables so far.
    pub fn tables(&self) -> Result<Vec<(&'static str, Vec<u8>)>, TrainError> {
        let mut tables = Vec::new();
        for name in TABLES {
            let path = self.file(name);
            match std::fs::read(&path) {
                Ok(bytes) => tables.push((name, bytes)),
                // Without labels there are no scores.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(TrainError::File { action: "read", path, source }),
            }
        }
        Ok(tables)
    }

    /// Sets the tables back to `tables`, without lines of epochs that will be trained again; `previous` are the assignments
    /// of the last evaluation.
    pub fn rewind(&mut self, tables: &[(&'static str, Vec<u8>)], previous: Option<Vec<u32>>) -> Result<(), TrainError> {
        self.previous = previous;
        tables.iter().try_for_each(|(name, bytes)| self.write(name, bytes))
    }

    /// Assignments of the previous evaluation.
    pub fn previous(&self) -> Option<&[u32]> {
        self.previous.as_deref()
    }

    /// A line of train_metrics.tsv.
    pub fn trained(&self, at: [usize; 3], seconds_per_image: f64, epoch: &Epoch) -> Result<(), TrainError> {
        let mut line = format!("{}\t{}\t{}\t{seconds_per_image:.3e}\t{:.6}", at[0], at[1], at[2], epoch.loss);
        for share in &epoch.shares {
            let _ = write!(line, "\t{share:.4}");
        }
        self.append("train_metrics.tsv", &line)
    }

    /// A line of val_metrics.tsv and, with labels, of val_scores.tsv.
    pub fn evaluated(&mut self, at: [usize; 3], evaluation: &Evaluation, clusters: usize) -> Result<(), TrainError> {
        let position = format!("{}\t{}\t{}", at[0], at[1], at[2]);
        self.append("val_metrics.tsv", &format!("{position}\t{:.6}", evaluation.loss))?;
        if let Some(scores) = &evaluation.scores {
            let now = &evaluation.assignments;
            let difference = match &self.previous {
                Some(before) => score(before, now, clusters, clusters)?.nmi,
                None => 0.0,
            };
            self.append("val_scores.tsv", &format!("{position}\t{}", score_values(scores, difference)))?;
            self.previous = Some(now.clone());
        }
        Ok(())
    }

    /// final_scores.tsv, cluster_counts.tsv and labels.csv.
    pub fn finished(&self, evaluation: &Evaluation, set: &ImageSet) -> Result<(), TrainError> {
        let mut scores = String::from("loss");
        let mut values = format!("{:.6}", evaluation.loss);
        if let Some(s) = &evaluation.scores {
            let _ = write!(scores, "\t{}", score_names(set.classes));
            let _ = write!(values, "\t{}", score_values(s, 0.0));
        }
        self.write("final_scores.tsv", format!("{scores}\n{values}\n").as_bytes())?;
        let tabs = |items: Vec<String>| items.join("\t");
        let counts = format!(
            "{}\n{}\n",
            tabs((0..evaluation.sizes.len()).map(|k| k.to_string()).collect()),
            tabs(evaluation.sizes.iter().map(usize::to_string).collect())
        );
        self.write("cluster_counts.tsv", counts.as_bytes())?;
        let mut labels = String::from("image,cluster,distance");
        labels += if set.labels.is_some() { ",label" } else { "" };
        labels += if set.names.is_some() { ",path\n" } else { "\n" };
        for (i, (cluster, distance)) in evaluation.assignments.iter().zip(&evaluation.distances).enumerate() {
            let _ = write!(labels, "{i},{cluster},{distance}");
            if let Some(truth) = &set.labels {
                let _ = write!(labels, ",{}", truth[i]);
            }
            if let Some(names) = &set.names {
                let _ = write!(labels, ",{}", quoted(&names[i]));
            }
            labels.push('\n');
        }
        self.write("labels.csv", labels.as_bytes())
    }

    fn append(&self, name: &str, line: &str) -> Result<(), TrainError> {
        let path = self.file(name);
        let open = || -> std::io::Result<()> {
            let mut file: File = OpenOptions::new().append(true).create(true).open(&path)?;
            file.write_all(format!("{line}\n").as_bytes())
        };
        open().map_err(|source| TrainError::File { action: "write", path: path.clone(), source })
    }
}

/// A field of a CSV file, in quotes where it needs them (RFC 4180).
fn quoted(field: &str) -> Cow<'_, str> {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\"")).into()
    } else {
        field.into()
    }
}

fn score_names(classes: usize) -> String {
    let mut names = String::from("nmi\tnmi_diff\tglobal_acc\tavg_acc");
    for class in 0..classes {
        let _ = write!(names, "\tacc_cls{class}");
    }
    names + "\tari"
}

fn score_values(scores: &Scores, nmi_diff: f64) -> String {
    let mut values = format!("{:.4}\t{nmi_diff:.4}\t{:.4}\t{:.4}", scores.nmi, scores.acc, scores.mean_class_acc);
    for acc in &scores.class_acc {
        let _ = write!(values, "\t{acc:.4}");
    }
    let _ = write!(values, "\t{:.4}", scores.ari);
    values
}
