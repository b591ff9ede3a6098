//! Where a training run is: everything besides the tensors that decides how it goes on.

use crate::tape::{Arena, Engine, EngineError, Store};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

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
#[derive(Clone, Debug)]
pub struct Course {
    /// Whole epochs done.
    pub epoch: usize,
    /// Transformations after the identity that took part in the last epoch.
    pub active: usize,
    /// Steps of each optimiser group.
    pub taken: Vec<u64>,
    /// Steps since the last look for empty clusters.
    pub since_check: usize,
    /// Images counted since the last look for empty clusters.
    pub counted: Vec<u32>,
    /// Order of the images.
    pub order: ChaCha8Rng,
    /// Noise on restarted prototypes.
    pub restarts: ChaCha8Rng,
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
        }
    }
}

/// The whole state of a run at some time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    course: Course,
    arenas: Vec<(Arena, Vec<u8>)>,
}

/// What a step changes on the device and does not make anew.
const CHANGED: [Arena; 5] = [Arena::Parameters, Arena::Moment1, Arena::Moment2, Arena::State, Arena::Results];

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
