//! What is shown while a run goes on: a bar on a terminal, one plain line an epoch otherwise.

use crate::train::{Config, Evaluation, Observer, Progress, Restart, Streaming};
use crate::warp::Sequence;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Without a bar, a line comes at least this often.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// Shows progress on the standard error.
pub struct Display {
    bar: ProgressBar,
    quiet: bool,
    start: Instant,
    epoch_start: Instant,
    images: usize,
    sequence: Sequence,
    epochs: usize,
    curriculum: Vec<usize>,
    /// When the stage of the curriculum began, in this sitting, and the steps that were done then.
    stage_start: (Instant, Option<usize>),
    /// Its transformations.
    stage: Sequence,
    /// The last line.
    said: Instant,
    /// Steps of an epoch.
    per_epoch: usize,
    /// Steps done before this sitting.
    before: Option<usize>,
    stop: Arc<AtomicBool>,
}

impl Display {
    /// For a run over `images` images; `stop` is set by Ctrl-C and SIGTERM.
    pub fn new(quiet: bool, images: usize, config: &Config, sequence: Sequence, stop: Arc<AtomicBool>) -> Self {
        let bar = if !quiet && std::io::stderr().is_terminal() {
            let template = "{wide_bar:.cyan/blue} {pos}/{len} steps  {msg}";
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        } else {
            ProgressBar::hidden()
        };
        Display {
            bar,
            quiet,
            start: Instant::now(),
            epoch_start: Instant::now(),
            images,
            sequence,
            epochs: config.epochs,
            curriculum: config.curriculum.clone(),
            stage_start: (Instant::now(), None),
            stage: Sequence::default(),
            said: Instant::now(),
            per_epoch: 0,
            before: None,
            stop,
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Says what the user should know, quiet or not.
    pub fn warn(&self, text: &str) {
        let text = format!("warning: {text}");
        if self.bar.is_hidden() { eprintln!("{text}") } else { self.bar.println(text) }
    }

    /// Time left for the whole run, by the steps of this stage; later stages take longer a step, so that it is more.
    fn left(&self, step: usize, steps: usize, epoch: usize) -> String {
        let (start, Some(before)) = self.stage_start else { return String::new() };
        if step <= before {
            return String::new();
        }
        let seconds = start.elapsed().as_secs_f64() / (step - before) as f64 * (steps - step) as f64;
        let later = self.curriculum.iter().any(|&after| after >= epoch && after < self.epochs);
        format!("{} {} left", if later { "more than" } else { "about" }, time(seconds))
    }

    fn line(&mut self, text: &str) {
        self.said = Instant::now();
        if self.quiet {
        } else if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }
}

impl Observer for Display {
    fn streams(&mut self, streaming: &Streaming) {
        self.line(&format!("the device does not take all images at once: {streaming}"));
    }

    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        self.bar.set_length(progress.steps as u64);
        self.bar.set_position(progress.step as u64);
        let per_epoch = progress.steps / self.epochs.max(1);
        self.per_epoch = per_epoch;
        let before = *self.before.get_or_insert(progress.step - 1);
        let images = (progress.step - before) as f64 / per_epoch.max(1) as f64 * self.images as f64;
        let rate = images / self.start.elapsed().as_secs_f64();
        self.stage_start.1.get_or_insert(progress.step - 1);
        let left = self.left(progress.step, progress.steps, progress.epoch);
        let Progress { step, epoch, epochs, loss, .. } = progress;
        if !self.bar.is_hidden() {
            let stage = &self.stage;
            self.bar
                .set_message(format!("epoch {epoch}/{epochs} ({stage})  loss {loss:.4}  {rate:.0} images/s  {left}"));
        } else if self.said.elapsed() >= LINE_EVERY {
            let done = step - (epoch - 1) * per_epoch;
            self.line(&format!(
                "epoch {epoch}/{epochs}, step {done}/{per_epoch}  loss {loss:.5}  {rate:.0} images/s  {left}"
            ));
        }
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn stage(&mut self, epoch: usize, active: usize) {
        self.stage = Sequence(self.sequence.0[..active].to_vec());
        self.stage_start = (Instant::now(), None);
        self.line(&format!("epoch {epoch}: {}", self.stage));
    }

    fn restarted(&mut self, epoch: usize, restart: &Restart) {
        let clusters: Vec<String> = restart.restarted.iter().map(usize::to_string).collect();
        let (s, verb) = if clusters.len() == 1 { ("", "was") } else { ("s", "were") };
        self.line(&format!(
            "epoch {epoch}: cluster{s} {} {verb} too small and restarted from cluster {}",
            clusters.join(", "),
            restart.from
        ));
    }

    fn epoch(&mut self, epoch: usize, loss: f64, evaluation: Option<&Evaluation>) {
        let mut text = format!("epoch {epoch}/{}  loss {loss:.5}", self.epochs);
        if let Some(scores) = evaluation.and_then(|e| e.scores.as_ref()) {
            let _ = write!(text, "  ACC {:.4}  NMI {:.4}", scores.acc, scores.nmi);
        }
        let spent = self.start.elapsed().as_secs_f64();
        if self.bar.is_hidden() {
            let rate = self.images as f64 / self.epoch_start.elapsed().as_secs_f64();
            let _ = write!(text, "  {rate:.0} images/s  {spent:.0} s");
            let per_epoch = self.per_epoch;
            // The epoch that ended is the last of its stage if another begins after it.
            let left = self.left(epoch * per_epoch, self.epochs * per_epoch, epoch);
            if epoch < self.epochs && !left.is_empty() {
                let _ = write!(text, ", {left}");
            }
        }
        self.line(&text);
        self.epoch_start = Instant::now();
    }
}

/// A time as people say it.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
