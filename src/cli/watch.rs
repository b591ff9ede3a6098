//! What is done while a run goes on, besides showing its progress: prototypes are kept, the report and events are written,
//! and what does not go well is said.

use super::health::Health;
use super::progress::Display;
use crate::data::ImageSet;
use crate::report::{Events, Evolution, Gallery, Report, together};
use crate::train::{Clusters, Config, Epoch, Evaluation, Observer, Progress, Restart, Streaming, TrainError, Trainer};
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Least time between two reports of a run that goes on.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// Time between two of them, as a multiple of what the last one took.
const REPORT_SHARE: u32 = 20;
/// Most clusters whose shares become curves of TensorBoard.
const CURVES: usize = 32;

/// Watches a run.
pub struct Watch<'a> {
    /// Its progress.
    pub display: Display,
    config: &'a Config,
    set: &'a ImageSet,
    run: PathBuf,
    about: Value,
    health: Health,
    events: Option<Events>,
    /// When the page was last written, and how long that took.
    reported: Option<(Instant, Duration)>,
    /// Whether something could not be kept or written, which is said once.
    failed: bool,
}

impl<'a> Watch<'a> {
    /// Watches the run in the folder `run`; `about` is what its run.json says, `epochs` are done.
    pub fn new(
        display: Display,
        (config, set): (&'a Config, &'a ImageSet),
        run: &Path,
        about: Value,
        epochs: usize,
    ) -> Self {
        let (run, health) = (run.to_path_buf(), Health::new(config));
        let (events, reported, failed) = (None, None, false);
        let mut watch = Watch { display, config, set, run, about, health, events, reported, failed };
        let rewound = Evolution::of(&watch.run).rewind(epochs);
        watch.check(rewound);
        watch
    }

    /// From now on writes events, of a run of which `epochs` are done.
    pub fn tensorboard(&mut self, epochs: usize) {
        let events = Events::create(&self.run, epochs);
        self.events = self.check(events);
    }

    /// What is not needed to go on may fail; it is said once.
    fn check<T>(&mut self, result: Result<T, TrainError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                if !self.failed {
                    self.display.warn(&format!("{error}; the training goes on without"));
                }
                self.failed = true;
                None
            }
        }
    }

    /// Writes report.html as the run is now. Some images pass through the model once more, no more than the evaluation has
    /// just taken.
    fn report(&self, evaluation: &Evaluation, trainer: &mut Trainer) -> Result<(), TrainError> {
        let (run, config, set, about) = (&self.run, self.config, self.set, &self.about);
        let gallery = &Gallery::new(config, set, trainer, evaluation)?;
        Report { run, config, set, about, evaluation, gallery }.write().map(|_| ())
    }

    fn pictures(&self, epoch: usize, clusters: &Clusters, events: &mut Events) -> Result<(), TrainError> {
        let variances = clusters.variances.as_ref().map(|v| {
            let most = v.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
            v.iter().map(|x| x / most).collect::<Vec<f32>>()
        });
        let all = [("prototypes", Some(&clusters.prototypes)), ("variances", variances.as_ref())];
        for (tag, images) in all.into_iter().filter_map(|(tag, images)| Some((tag, images?))) {
            let (png, size) = together(images, self.set).map_err(|e| TrainError::File {
                action: "encode",
                path: self.run.join(tag),
                source: std::io::Error::other(e),
            })?;
            events.image(epoch, tag, size, &png)?;
        }
        Ok(())
    }
}

impl Observer for Watch<'_> {
    fn streams(&mut self, streaming: &Streaming) {
        self.display.streams(streaming);
    }

    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        self.display.progress(progress)
    }

    fn stage(&mut self, epoch: usize, active: usize) {
        self.health.stage();
        self.display.stage(epoch, active);
    }

    fn restarted(&mut self, epoch: usize, restart: &Restart) {
        self.display.restarted(epoch, restart);
    }

    fn trained(&mut self, number: usize, epoch: &Epoch, clusters: &Clusters) {
        for warning in self.health.epoch(number, epoch, self.config) {
            self.display.warn(&warning);
        }
        let shape = [self.set.channels, self.set.height, self.set.width];
        let kept = Evolution::of(&self.run).record(self.config, shape, number, &clusters.prototypes);
        self.check(kept);
        if let Some(mut events) = self.events.take() {
            let shares = epoch.shares.iter().take(CURVES).enumerate();
            let shares = shares.map(|(k, share)| (format!("share/cluster_{k}"), *share));
            let values: Vec<_> = [("loss/batches".to_string(), epoch.loss)].into_iter().chain(shares).collect();
            let mut written = events.scalars(number, &values);
            if Evolution::keeps(self.config, number) {
                written = written.and_then(|()| self.pictures(number, clusters, &mut events));
            }
            self.events = self.check(written).map(|()| events);
        }
    }

    fn epoch(&mut self, epoch: usize, loss: f64, evaluation: Option<&Evaluation>) {
        self.display.epoch(epoch, loss, evaluation);
        let Some(evaluation) = evaluation else { return };
        if let Some(mut events) = self.events.take() {
            let mut values = vec![("loss/all".to_string(), evaluation.loss)];
            if let Some(s) = &evaluation.scores {
                values.extend([("acc", s.acc), ("nmi", s.nmi), ("ari", s.ari)].map(|(n, v)| (format!("score/{n}"), v)));
            }
            let written = events.scalars(epoch, &values);
            self.events = self.check(written).map(|()| events);
        }
    }

    fn evaluated(&mut self, epoch: usize, evaluation: &Evaluation, trainer: &mut Trainer) {
        let due = |(at, took): (Instant, Duration)| at.elapsed() >= REPORT_EVERY.max(REPORT_SHARE * took);
        // The last one is written when the run has ended.
        if epoch < self.config.epochs && self.reported.is_none_or(due) {
            let start = Instant::now();
            let written = self.report(evaluation, trainer);
            self.check(written);
            self.reported = Some((Instant::now(), start.elapsed()));
        }
    }
}
