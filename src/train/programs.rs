//! The programs of a run: a training step and an evaluation step, for full and for last batches.

use super::config::Config;
use super::schedule::{BETAS, EPS};
use crate::data::ImageSet;
use crate::model::{Group, Model};
use crate::nn::Mode;
use crate::tape::{AdamSpec, Arena, PersistentId, Program, Store, Tape, TapeError, Var};

/// The bookkeeping of a run on the device.
#[derive(Clone, Copy, Debug)]
pub struct Ledger {
    /// The data set, or a chunk of it, u8 `[M,C,H,W]`.
    pub images: PersistentId,
    /// Which of these images comes when, u32 `[N]`.
    pub order: PersistentId,
    /// Position in the order and step of the epoch, u32 `[2]`.
    pub clock: PersistentId,
    /// Adam's rates, `[steps of an epoch, groups, 2]`.
    pub schedule: PersistentId,
    /// Loss of each step of the epoch.
    pub history: PersistentId,
    /// Images won by each prototype since the last look, u32 `[K]`.
    pub counts: PersistentId,
    /// Winner of each image by position in the order, u32 `[N]`.
    pub winners: PersistentId,
    /// Distance to the winner by position in the order, `[N]`.
    pub minima: PersistentId,
    /// What each image adds to the loss by position in the order, `[N]`.
    pub costs: PersistentId,
    /// Prototypes to align to a batch of images, u32 `[B]`.
    pub chosen: PersistentId,
}

impl Ledger {
    /// Declares it for a data set and a model of at most `groups` optimiser groups.
    pub fn new(store: &mut Store, set: &ImageSet, config: &Config, groups: usize) -> Self {
        Self::with_room(store, set, config, groups, set.len())
    }

    /// As [`Self::new`], with room for `room` of the images.
    pub(super) fn with_room(store: &mut Store, set: &ImageSet, config: &Config, groups: usize, room: usize) -> Self {
        let n = set.len();
        let steps = n.div_ceil(config.batch_size);
        Ledger {
            images: store.add("images", [room, set.channels, set.height, set.width], Arena::Images),
            order: store.add("order", [n], Arena::Control),
            clock: store.add("clock", [2], Arena::Control),
            schedule: store.add("schedule", [steps, groups, 2], Arena::State),
            history: store.add("history", [steps], Arena::State),
            counts: store.add("counts", [config.clusters], Arena::Results),
            winners: store.add("winners", [n], Arena::Results),
            minima: store.add("minima", [n], Arena::State),
            costs: store.add("costs", [n], Arena::State),
            chosen: store.add("chosen", [config.batch_size.min(n)], Arena::Control),
        }
    }

    /// The next `batch` images.
    fn gather(&self, tape: &mut Tape, store: &Store, batch: usize) -> (Var, Var) {
        let [images, order, clock] = [self.images, self.order, self.clock].map(|id| tape.persistent(store, id));
        (tape.gather_images(images, order, clock, batch), clock)
    }
}

/// What decides how far a step goes.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// `[T,G,2]`: for each step the rates of each group of parameters.
    pub schedule: Var,
    /// Its second element counts steps, u32 `[2]`.
    pub clock: Var,
    /// L2 decay of the groups that are decayed.
    pub weight_decay: f32,
}

/// Appends the gradients of a loss, stored where Adam finds them, and a step of Adam for every group of parameters.
pub fn update(
    tape: &mut Tape,
    store: &mut Store,
    model: &dyn Model,
    loss: Var,
    active: usize,
    rates: Rates,
) -> Result<(), TapeError> {
    let groups = model.groups(active);
    let parameters: Vec<PersistentId> = groups.iter().flat_map(|g| g.parameters.iter().copied()).collect();
    let handles: Vec<Var> = parameters.iter().map(|&id| tape.persistent(store, id)).collect();
    let gradients = tape.gradients(loss, &handles)?;
    for (&id, gradient) in parameters.iter().zip(gradients) {
        let place = store.view(id, id, Arena::Gradients);
        // A parameter without influence has the gradient zero.
        let gradient = gradient.unwrap_or_else(|| tape.fill(store[id].shape.clone(), 0.0));
        tape.store(gradient, store, place);
    }
    for (column, Group { parameters, decayed }) in groups.iter().enumerate() {
        let (first, last) = (parameters[0], parameters[parameters.len() - 1]);
        let [p, g, m, v] = [Arena::Parameters, Arena::Gradients, Arena::Moment1, Arena::Moment2].map(|arena| {
            let view = store.view(first, last, arena);
            tape.persistent(store, view)
        });
        let weight_decay = if *decayed { rates.weight_decay } else { 0.0 };
        let spec = AdamSpec { beta1: BETAS.0, beta2: BETAS.1, eps: EPS, weight_decay };
        tape.adam((p, m, v), g, rates.schedule, rates.clock, column, spec);
    }
    Ok(())
}

/// One training step on the next `batch` images: forward, backward, Adam, and the notes that the host reads later.
pub fn training_step(
    model: &dyn Model,
    store: &mut Store,
    ledger: &Ledger,
    config: &Config,
    batch: usize,
    active: usize,
) -> Result<Program, TapeError> {
    let mut tape = Tape::new();
    let tape = &mut tape;
    let (x, clock) = ledger.gather(tape, store, batch);
    let objective = model.objective(tape, store, x, active);

    let schedule = tape.persistent(store, ledger.schedule);
    let rates = Rates { schedule, clock, weight_decay: config.weight_decay as f32 };
    update(tape, store, model, objective.loss, active, rates)?;

    let [history, counts] = [ledger.history, ledger.counts].map(|id| tape.persistent(store, id));
    tape.record(objective.loss, clock, history);
    tape.count(objective.winner, counts);
    tape.advance(clock, batch);
    Ok(Program::new(tape))
}

/// One evaluation step on the next `batch` images: winners and distances are noted by position.
pub fn evaluation_step(model: &dyn Model, store: &Store, ledger: &Ledger, batch: usize, active: usize) -> Program {
    let mut tape = Tape::new();
    let (x, clock) = ledger.gather(&mut tape, store, batch);
    let found = model.evaluate(&mut tape, store, x, active);
    let [winners, minima, costs] = [ledger.winners, ledger.minima, ledger.costs].map(|id| tape.persistent(store, id));
    tape.store_rows(found.winner, clock, winners);
    tape.store_rows(found.minimum, clock, minima);
    tape.store_rows(found.cost, clock, costs);
    tape.advance(clock, batch);
    Program::new(&tape)
}

/// The next `batch` images through the model with `active` transformations, every intermediate result an output; and what
/// these are.
pub fn tracing_step(
    model: &dyn Model,
    store: &Store,
    ledger: &Ledger,
    (batch, active, mode): (usize, usize, Mode),
) -> (Program, Vec<String>) {
    let mut tape = Tape::new();
    let (x, _) = ledger.gather(&mut tape, store, batch);
    let images = tape.persistent(store, model.prototypes());
    let results = model.common().transformer.trace(&mut tape, store, x, images, active, mode);
    let distances = match mode {
        Mode::Train => model.objective(&mut tape, store, x, active).distances,
        Mode::Eval => model.evaluate(&mut tape, store, x, active).distances,
    };
    let results = results.into_iter().chain([("the distances".to_string(), distances)]);
    let names = results.map(|(name, v)| {
        tape.output(v);
        name
    });
    let names = names.collect();
    (Program::new(&tape), names)
}

/// The next images' prototypes by `chosen`, one output for each active transformation in order: the last is aligned.
/// `None` while only the identity is active.
pub fn alignment_step(model: &dyn Model, store: &Store, ledger: &Ledger, active: usize) -> Option<Program> {
    let batch = store[ledger.chosen].shape.len();
    let mut tape = Tape::new();
    let (x, _) = ledger.gather(&mut tape, store, batch);
    let chosen = tape.persistent(store, ledger.chosen);
    let steps = model.align(&mut tape, store, x, chosen, active);
    steps.iter().for_each(|&image| tape.output(image));
    (!steps.is_empty()).then(|| Program::new(&tape))
}

/// Distances `[B,K]` of the next `batch` images to all prototypes, as output 0.
pub fn distance_step(model: &dyn Model, store: &Store, ledger: &Ledger, batch: usize, active: usize) -> Program {
    let mut tape = Tape::new();
    let (x, _) = ledger.gather(&mut tape, store, batch);
    let distances = model.evaluate(&mut tape, store, x, active).distances;
    tape.output(distances);
    Program::new(&tape)
}
