//! Where a training run is: everything besides the tensors that decides how it goes on.

use super::reassign::Restart;
use crate::tape::{Arena, Engine, EngineError, Store};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Streams of the seed, so that one use of randomness does not disturb another.
#[derive(Clone, Copy)]
pub enum Stream {
    /// Starting values.
    Initial = 0,
    /// Order of the images.
    Order = 1,
    /// Noise on restarted prototypes.
    Restart = 2,
}

/// The random numbers of a stream.
pub fn random(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}

/// The host's share of the state of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// Whole epochs done.
    pub epoch: usize,
    /// Transformations after the identity that took part in the last epoch.
    pub active: usize,
    /// Steps of each optimiser group in whole epochs.
    pub taken: Vec<u64>,
    /// Steps since the last look for empty clusters.
    pub since_check: usize,
    /// Images counted since the last look for empty clusters.
    pub counted: Vec<u32>,
    /// Order of the images, as it was before this epoch's was drawn.
    pub order: ChaCha8Rng,
    /// Noise on restarted prototypes.
    pub restarts: ChaCha8Rng,
    /// The epoch under way.
    pub part: Part,
}

/// What is done of an epoch. The losses of its steps are in the history on the device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Steps done.
    pub step: usize,
    /// Images won by each prototype.
    pub won: Vec<u32>,
    /// Restarts and the step (from 1) after which they happened.
    pub restarts: Vec<(usize, Restart)>,
    /// Seconds it took.
    pub seconds: f64,
}

impl Part {
    fn new(clusters: usize) -> Self {
        Part { won: vec![0; clusters], ..Part::default() }
    }
}

impl Course {
    /// The start of a run of `clusters` clusters whose parameters are in `groups` groups.
    pub fn new(seed: u64, clusters: usize, groups: usize) -> Self {
        Course {
            epoch: 0,
            active: 0,
            taken: vec![0; groups],
            since_check: 0,
            counted: vec![0; clusters],
            order: random(seed, Stream::Order),
            restarts: random(seed, Stream::Restart),
            part: Part::new(clusters),
        }
    }

    /// Closes an epoch of `steps` steps in which the first `groups` groups took part; the next order is drawn from `order`.
    pub fn end_epoch(&mut self, steps: usize, groups: usize, order: ChaCha8Rng) -> Part {
        self.epoch += 1;
        self.order = order;
        self.taken.iter_mut().take(groups).for_each(|taken| *taken += steps as u64);
        let clusters = self.counted.len();
        std::mem::replace(&mut self.part, Part::new(clusters))
    }
}

/// The order of the images in an epoch.
pub struct Drawn {
    /// The random numbers that it was drawn from.
    pub from: ChaCha8Rng,
    /// Which image comes when.
    pub order: Vec<u32>,
    /// The random numbers after it, from which the next is drawn.
    pub after: ChaCha8Rng,
}

impl Drawn {
    /// Draws the order of `images` images.
    pub fn new(from: &ChaCha8Rng, images: usize) -> Self {
        let (mut order, mut after): (Vec<u32>, _) = ((0..images as u32).collect(), from.clone());
        order.shuffle(&mut after);
        Drawn { from: from.clone(), order, after }
    }
}

/// The whole state of a run at some time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The host's share.
    pub course: Course,
    /// The device's.
    pub arenas: Vec<(Arena, Vec<u8>)>,
}

/// What a step changes on the device and does not make anew.
pub const CHANGED: [Arena; 5] = [Arena::Parameters, Arena::Moment1, Arena::Moment2, Arena::State, Arena::Results];

impl Snapshot {
    /// Reads it.
    pub fn take(course: &Course, store: &Store, engine: &mut dyn Engine) -> Result<Self, EngineError> {
        let mut arenas = Vec::new();
        for arena in CHANGED {
            let bytes = store.arena_len(arena) * arena.dtype().size();
            arenas.push((arena, engine.read(arena, 0, bytes)?));
        }
        Ok(Snapshot { course: course.clone(), arenas })
    }

    /// Goes back to it.
    pub fn restore(self, course: &mut Course, engine: &mut dyn Engine) -> Result<(), EngineError> {
        for (arena, bytes) in &self.arenas {
            engine.write(*arena, 0, bytes)?;
        }
        *course = self.course;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    /// Random numbers go on where they were, wherever that was in their buffer of 64 words.
    #[test]
    fn a_course_survives_json() {
        let mut course = Course::new(7, 3, 2);
        course.part.restarts.push((4, Restart { restarted: vec![2], from: 0 }));
        course.part.seconds = 0.5;
        for words in 0..200 {
            let text = serde_json::to_string(&course).expect("plain values");
            let mut again: Course = serde_json::from_str(&text).expect("its own text");
            assert_eq!(again, course);
            let draw = |course: &mut Course| -> Vec<u32> { (0..words).map(|_| course.restarts.next_u32()).collect() };
            assert_eq!(draw(&mut again), draw(&mut course), "{words} words");
            assert_eq!(Drawn::new(&again.order, 9).order, Drawn::new(&course.order, 9).order);
            course.order = Drawn::new(&course.order, words + 2).after;
        }
    }
}
