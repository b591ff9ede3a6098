//! What is done while a run goes on, besides showing its progress: prototypes are kept, the report is written.

use super::progress::Display;
use crate::data::ImageSet;
use crate::report::{Evolution, Gallery, Report};
use crate::train::{Clusters, Config, Evaluation, Observer, Progress, Restart, TrainError};
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Least time between two reports of a run that goes on.
const REPORT_EVERY: Duration = Duration::from_secs(30);

/// Watches a run.
pub struct Watch<'a> {
    /// Its progress.
    pub display: Display,
    config: &'a Config,
    set: &'a ImageSet,
    run: PathBuf,
    about: Value,
    clusters: Option<Clusters>,
    reported: Option<Instant>,
    /// Whether something could not be kept or written, which is said once.
    failed: bool,
}

impl<'a> Watch<'a> {
    /// Watches the run in the folder `run`; `about` is what its run.json says, `epochs` are done.
    pub fn new(
        display: Display,
        config: &'a Config,
        set: &'a ImageSet,
        run: &Path,
        about: Value,
        epochs: usize,
    ) -> Self {
        let run = run.to_path_buf();
        let mut watch =
            Watch { display, config, set, run, about, clusters: None, reported: None, failed: false };
        let rewound = Evolution::of(&watch.run).rewind(epochs);
        watch.warn(rewound);
        watch
    }

    /// A failure of what is not needed to go on is said, once.
    fn warn<T>(&mut self, result: Result<T, TrainError>) {
        if let (Err(error), false) = (result, self.failed) {
            self.failed = true;
            self.display.warn(&format!("{error}; the training goes on without"));
        }
    }
}

impl Observer for Watch<'_> {
    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        self.display.progress(progress)
    }

    fn stage(&mut self, epoch: usize, active: usize) {
        self.display.stage(epoch, active);
    }

    fn restarted(&mut self, epoch: usize, restart: &Restart) {
        self.display.restarted(epoch, restart);
    }

    fn clusters(&mut self, epoch: usize, clusters: &Clusters) {
        let shape = [self.set.channels, self.set.height, self.set.width];
        let kept = Evolution::of(&self.run).record(self.config, shape, epoch, &clusters.prototypes);
        self.warn(kept);
        self.clusters = Some(clusters.clone());
    }

    fn epoch(&mut self, epoch: usize, loss: f64, evaluation: Option<&Evaluation>) {
        self.display.epoch(epoch, loss, evaluation);
        let due = epoch < self.config.epochs && self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY);
        let (Some(evaluation), Some(clusters), true) = (evaluation, self.clusters.clone(), due) else { return };
        let gallery = Gallery::plain(self.config, self.set, clusters, evaluation);
        let (run, config, set, about) = (&self.run, self.config, self.set, &self.about);
        let written = Report { run, config, set, about, evaluation, gallery: &gallery }.write();
        self.warn(written);
        self.reported = Some(Instant::now());
    }
}
