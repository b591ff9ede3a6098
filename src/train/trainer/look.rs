//! What a model is, apart from its training: its clusters, all images compared with them, prototypes aligned with images.

use super::{Trainer, unknown};
use crate::nn::Mode;
use crate::train::diagnosis::broken_parameter;
use crate::train::error::TrainError;
use crate::train::evaluation::Evaluation;
use crate::train::programs::alignment_step;
use crate::train::schedule;

/// What clusters are, apart from how they are transformed.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// Prototypes, or means of a mixture `[K,C,H,W]`.
    pub prototypes: Vec<f32>,
    /// Variances of a mixture `[K,C,H,W]`, with the least variance that is added to them.
    pub variances: Option<Vec<f32>>,
    /// Mixing weights of a mixture `[K]`; their sum is 1.
    pub mixing: Option<Vec<f32>>,
}

impl Trainer<'_> {
    /// From now on evaluates with the hard limits of morphology. Training keeps the soft form, which has a gradient.
    pub fn evaluate_hard_morphology(&mut self) {
        self.model.common_mut().transformer.use_hard_morphology();
        self.plans = None;
    }

    /// The prototypes `[K,C,H,W]`.
    pub fn prototypes(&mut self) -> Result<Vec<f32>, TrainError> {
        Ok(self.engine.read_f32(&self.store[self.model.prototypes()])?)
    }

    /// The clusters' parameters.
    pub fn clusters(&mut self) -> Result<Clusters, TrainError> {
        let prototypes = self.prototypes()?;
        let Some([deviations, mixing]) = self.model.mixture() else {
            return Ok(Clusters { prototypes, variances: None, mixing: None });
        };
        let floor = self.model.spec().min_variance;
        let variances = self.engine.read_f32(&self.store[deviations])?.iter().map(|s| s * s + floor).collect();
        // Softmax of the logits.
        let logits = self.engine.read_f32(&self.store[mixing])?;
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = logits.iter().map(|l| (l - most).exp()).collect();
        let total: f32 = weights.iter().sum();
        let mixing = weights.iter().map(|w| w / total).collect();
        Ok(Clusters { prototypes, variances: Some(variances), mixing: Some(mixing) })
    }

    /// Compares every image with the prototypes, in evaluation mode.
    pub fn evaluate(&mut self) -> Result<Evaluation, TrainError> {
        let plans = self.prepare(self.course.active)?;
        let order: Vec<u32> = (0..self.set.len() as u32).collect();
        self.write_order(&order, 0)?;
        let (mut done, full) = (0, self.set.len() / self.config.batch_size);
        while done < full {
            let count = self.reach(done)?.min(full - done);
            self.engine.run(plans.evaluate, count)?;
            done += count;
        }
        if let Some(last) = plans.evaluate_last {
            self.reach(full)?;
            self.engine.run(last, 1)?;
        }
        let assignments = self.engine.read_u32(&self.store[self.ledger.winners])?;
        let distances = self.engine.read_f32(&self.store[self.ledger.minima])?;
        let costs = self.engine.read_f32(&self.store[self.ledger.costs])?;
        let evaluation = Evaluation::new(self.set, assignments, distances, &costs, self.config.clusters)?;
        let broken = broken_parameter(self.model.as_ref(), &self.store, self.engine)?;
        if broken.is_none() && evaluation.loss.is_finite() {
            return Ok(evaluation);
        }
        // The last update of the epoch did it: no training step has seen its loss.
        let (loss, step, epoch) = (evaluation.loss, self.steps(), self.course.epoch);
        let lr = schedule::learning_rate(&self.config, epoch.saturating_sub(1));
        let image = costs.iter().position(|c| !c.is_finite()).unwrap_or(0);
        let searched = |this: &mut Self| this.first_not_finite(image / this.config.batch_size, Mode::Eval);
        let place = broken.unwrap_or_else(|| searched(self).map_err(TrainError::from).unwrap_or_else(unknown));
        Err(TrainError::Diverged { loss, step, epoch, lr, place })
    }

    /// Prototype `chosen[i]` transformed for image `images[i]`, for all i: `[n,C,H,W]`.
    pub fn align(&mut self, images: &[u32], chosen: &[u32]) -> Result<Vec<f32>, TrainError> {
        let mut steps = self.chain(images, chosen)?;
        // The first of the steps is the prototype itself.
        Ok(steps.pop().unwrap_or_default())
    }

    /// Prototype `chosen[i]` for image `images[i]`, for all i, `[n,C,H,W]`: as it is, and after each active transformation.
    pub fn chain(&mut self, images: &[u32], chosen: &[u32]) -> Result<Vec<Vec<f32>>, TrainError> {
        let item = self.set.image_bytes();
        let prototypes = self.prototypes()?;
        let of = |&k: &u32| &prototypes[k as usize * item..][..item];
        let mut steps = vec![chosen.iter().flat_map(of).copied().collect::<Vec<f32>>()];
        let active = self.course.active;
        let Some(program) = alignment_step(self.model.as_ref(), &self.store, &self.ledger, active) else {
            return Ok(steps);
        };
        steps.resize(1 + active, Vec::new());
        self.plans = None;
        let plan = self.engine.load(&[program])?[0];
        self.peak = self.peak.max(self.engine.memory());
        let batch = self.store[self.ledger.chosen].shape.len();
        for (images, chosen) in images.chunks(batch).zip(chosen.chunks(batch)) {
            self.write_order(images, 0)?;
            self.reach(0)?;
            self.engine.write_u32(&self.store[self.ledger.chosen], chosen)?;
            self.engine.run(plan, 1)?;
            for (index, step) in steps[1..].iter_mut().enumerate() {
                let pixels: Vec<f32> = bytemuck::pod_collect_to_vec(&self.engine.read_output(plan, index)?);
                // What a last short batch leaves over shows whatever was there before.
                step.extend_from_slice(&pixels[..images.len() * item]);
            }
        }
        Ok(steps)
    }
}
