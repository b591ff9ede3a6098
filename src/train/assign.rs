//! New images under the prototypes of a run.

use super::checkpoint::{Checkpoint, image_shape};
use super::config::Config;
use super::error::TrainError;
use super::programs::{Ledger, distance_step};
use super::run::WEIGHTS;
use crate::data::ImageSet;
use crate::tape::{Engine, PlanId, Store};
use std::path::Path;

/// Where an image belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assignment {
    /// The nearest prototype.
    pub cluster: u32,
    /// Its distance, as in training: a mean of squares, or -log N in a mixture.
    pub distance: f32,
    /// The second nearest prototype and its distance, if there are two.
    pub second: Option<(u32, f32)>,
}

impl Assignment {
    /// How much farther the second nearest prototype is: near zero, the image could as well be in its cluster.
    pub fn margin(&self) -> Option<f32> {
        self.second.map(|(_, distance)| distance - self.distance)
    }

    /// By the distances to all prototypes; the first of equal ones is the nearer, as in training.
    fn new(distances: &[f32]) -> Self {
        let mut order: Vec<u32> = (0..distances.len() as u32).collect();
        let of = |k: u32| distances[k as usize];
        // Stable, so that equal distances stay in the order of their clusters.
        order.sort_by(|&a, &b| of(a).total_cmp(&of(b)));
        let second = order.get(1).map(|&k| (k, of(k)));
        Assignment { cluster: order[0], distance: of(order[0]), second }
    }
}

/// The model of a run, ready to compare images with its prototypes.
pub struct Assigner<'a> {
    engine: &'a mut dyn Engine,
    store: Store,
    ledger: Ledger,
    plan: PlanId,
    batch: usize,
    shape: [usize; 3],
    clusters: usize,
}

impl<'a> Assigner<'a> {
    /// Loads the weights of the run folder `run`, whose configuration is `config`. The data set is not needed.
    ///
    /// # Errors
    /// [`TrainError`] if the weights cannot be read or do not fit the configuration, or the device fails.
    pub fn open(run: &Path, config: &Config, engine: &'a mut dyn Engine) -> Result<Self, TrainError> {
        let path = run.join(WEIGHTS);
        let shape = image_shape(&path)?;
        let [channels, height, width] = shape;
        // A stand-in for the images, a batch of which is on the device at a time.
        let batch = config.batch_size;
        let pixels = vec![0; batch.max(config.clusters) * channels * height * width];
        let batches = ImageSet::new("images", channels, height, width, pixels, None)?;
        let mut store = Store::new();
        let model = config.spec(&batches)?.declare(&mut store);
        let groups = model.groups(model.spec().sequence.0.len()).len();
        let ledger = Ledger::new(&mut store, &batches, config, groups);
        engine.allocate(&store)?;
        model.write_constants(&store, engine)?;
        let Checkpoint { active, .. } = Checkpoint::load(&path, model.as_ref(), &store, engine)?;
        let order: Vec<u32> = (0..batch as u32).collect();
        engine.write_u32(&store[ledger.order], &order)?;
        let program = distance_step(model.as_ref(), &store, &ledger, batch, active);
        let plan = engine.load(&[program])?[0];
        Ok(Assigner { engine, store, ledger, plan, batch, shape, clusters: config.clusters })
    }

    /// Channels, height and width of the images.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// How many images are compared at a time: other numbers than multiples of it leave the device idle.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Assigns images, bytes `[N,C,H,W]` of the [shape](Self::shape).
    ///
    /// # Errors
    /// [`TrainError::Engine`] if the device fails.
    ///
    /// # Panics
    /// If `pixels` is not a whole number of images.
    pub fn assign(&mut self, pixels: &[u8]) -> Result<Vec<Assignment>, TrainError> {
        let item: usize = self.shape.iter().product();
        assert!(pixels.len().is_multiple_of(item), "{} bytes are no images of {:?}", pixels.len(), self.shape);
        let mut assignments = Vec::with_capacity(pixels.len() / item);
        for images in pixels.chunks(self.batch * item) {
            let (arena, clock) = (self.store[self.ledger.images].arena, &self.store[self.ledger.clock]);
            self.engine.write(arena, 0, images)?;
            self.engine.write_u32(clock, &[0, 0])?;
            self.engine.run(self.plan, 1)?;
            let distances: Vec<f32> = bytemuck::pod_collect_to_vec(&self.engine.read_output(self.plan, 0)?);
            // What a last short batch leaves over are images of the one before.
            let rows = distances.chunks_exact(self.clusters).take(images.len() / item);
            assignments.extend(rows.map(Assignment::new));
        }
        Ok(assignments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_distances_is_nearest() {
        let found = Assignment::new(&[3.0, 1.0, 2.0, 1.0]);
        assert_eq!(found, Assignment { cluster: 1, distance: 1.0, second: Some((3, 1.0)) });
        assert_eq!(found.margin(), Some(0.0));
        assert_eq!(Assignment::new(&[0.5, -2.0]).margin(), Some(2.5));
        assert_eq!(Assignment::new(&[0.5]).margin(), None);
    }
}
