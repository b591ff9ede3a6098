//! What is shown while a run goes on: a bar on a terminal, one plain line an epoch otherwise.

use crate::train::{Evaluation, Observer, Progress, Restart};
use crate::warp::Sequence;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Shows progress on the standard error.
pub struct Display {
    bar: ProgressBar,
    quiet: bool,
    start: Instant,
    epoch_start: Instant,
    images: usize,
    sequence: Sequence,
    epochs: usize,
    /// Steps done before this sitting.
    before: Option<usize>,
    stop: Arc<AtomicBool>,
}

impl Display {
    /// For a run over `images` images; `stop` is set by Ctrl-C.
    pub fn new(quiet: bool, images: usize, epochs: usize, sequence: Sequence, stop: Arc<AtomicBool>) -> Self {
        let bar = if !quiet && std::io::stderr().is_terminal() {
            let template = "{wide_bar:.cyan/blue} {pos}/{len} steps  {msg}  {eta} left";
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
            epochs,
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

    fn line(&self, text: &str) {
        if self.quiet {
        } else if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }
}

impl Observer for Display {
    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        self.bar.set_length(progress.steps as u64);
        self.bar.set_position(progress.step as u64);
        let per_epoch = progress.steps / self.epochs.max(1);
        let before = *self.before.get_or_insert(progress.step - 1);
        let images = (progress.step - before) as f64 / per_epoch.max(1) as f64 * self.images as f64;
        let rate = images / self.start.elapsed().as_secs_f64();
        self.bar.set_message(format!(
            "epoch {}/{}  loss {:.4}  {rate:.0} images/s",
            progress.epoch, progress.epochs, progress.loss
        ));
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn stage(&mut self, epoch: usize, active: usize) {
        let stage = Sequence(self.sequence.0[..active].to_vec());
        self.line(&format!("epoch {epoch}: {stage}"));
    }

    fn restarted(&mut self, epoch: usize, restart: &Restart) {
        let clusters: Vec<String> = restart.restarted.iter().map(usize::to_string).collect();
        let (s, verb) = if clusters.len() == 1 { ("", "was") } else { ("s", "were") };
        self.line(&format!(
            "epoch {epoch}: cluster{s} {} {verb} nearly empty and restarted from cluster {}",
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
            // Epochs of an early stage of the curriculum are much shorter: the last one tells more than the mean.
            let left = self.epoch_start.elapsed().as_secs_f64() * (self.epochs - epoch) as f64;
            let rate = self.images as f64 / self.epoch_start.elapsed().as_secs_f64();
            let _ = write!(text, "  {rate:.0} images/s  {spent:.0} s, about {left:.0} s left");
        }
        self.line(&text);
        self.epoch_start = Instant::now();
    }
}
