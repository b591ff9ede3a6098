//! Transformations of prototypes that end in a distance, as one kernel: the images on the way stay in workgroup memory.

use super::launch::Launch;
use super::{Lowered, WORKGROUP_BYTES, workgroups};
use crate::tape::{Arena, Call, Dtype, Op, Operand, Padding, Place, Program, Rows, Storage};

/// The kernel.
pub const KERNEL: &str = "squared_distance_chain";

/// Invocations of a workgroup (WG_SIZE in the kernel), each of which has a partial sum there.
const INVOCATIONS: usize = 128;
/// Stages that the kernel has bindings for.
const STAGES: [&str; 4] = ["STAGE_0", "STAGE_1", "STAGE_2", "STAGE_3"];

/// One transformation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    // As the kernel numbers them.
    Color = 1,
    Affine = 2,
    Projective = 3,
    Control = 4,
    Morpho = 5,
}

/// Transformations of a source, one after the other.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Positions of the calls that compute them.
    pub members: Vec<usize>,
    /// Floating-point operations of these, and the bytes that the kernel moves with the distance.
    pub flops: u64,
    pub bytes: u64,
    source: Operand,
    /// The first first, with their parameters.
    stages: Vec<(Kind, Operand)>,
    padding: Option<Padding>,
    /// Extent of the window of morphologies.
    window: Option<usize>,
    /// Matrix and base of control points, tensors of one arena.
    control: Option<[Operand; 2]>,
    /// Weights of the distance.
    weights: Option<Operand>,
}

/// A call that may be part of a chain: what it reads as its image, and the calls that compute its other operand.
struct Stage {
    kind: Kind,
    image: Operand,
    parameters: Operand,
    rows: Rows,
    /// Calls that go with it.
    members: Vec<usize>,
}

impl Chain {
    /// The transformations that end in the distance at `index`; `readers` has those of each storage. None if there are none,
    /// or if one row does not fit.
    pub fn ending_at(program: &Program, readers: &[Vec<usize>], index: usize) -> Option<Chain> {
        let distance = &program.calls[index];
        let Op::SquaredDistance { rows: Rows::Own, weighted } = distance.op else { return None };
        let (x, t) = (&distance.inputs[0], &distance.inputs[1]);
        let mut chain = Chain {
            members: Vec::new(),
            flops: 0,
            bytes: 0,
            source: t.clone(),
            stages: Vec::new(),
            padding: None,
            window: None,
            control: None,
            weights: distance.inputs.get(2).filter(|_| weighted).cloned(),
        };
        // The last binding may be taken by the weights.
        while chain.stages.len() < STAGES.len() - usize::from(weighted)
            && chain.source.shape.rows(3) == t.shape.rows(3)
            && let Some(stage) = chain.before(program, readers, index)
        {
            chain.members.extend(stage.members);
            chain.stages.push((stage.kind, stage.parameters));
            chain.source = stage.image;
        }
        chain.stages.reverse();
        let [images, bordered, row] = chain.workgroup_lens();
        let fits = 4 * (images + 2 * bordered + row + INVOCATIONS) <= WORKGROUP_BYTES;
        if chain.stages.is_empty() || !fits {
            return None;
        }
        let read = [x, &chain.source].into_iter().chain(chain.stages.iter().map(|(_, p)| p));
        let read = read.chain(chain.control.iter().flatten()).chain(&chain.weights);
        let moved = read.chain(&distance.outputs).map(|o| o.shape.len());
        chain.bytes = 4 * moved.sum::<usize>() as u64;
        chain.flops = chain.members.iter().map(|&m| program.calls[m].flops()).sum();
        Some(chain)
    }

    /// The stage whose result the chain begins with so far, if nobody else reads it and it goes with the others.
    fn before(&mut self, program: &Program, readers: &[Vec<usize>], index: usize) -> Option<Stage> {
        let at = producer(program, self.source.storage)?;
        let call = &program.calls[at];
        let stage = stage(program, at, call)?;
        // Whoever reads a result on the way is part of the chain.
        let inside =
            |&reader: &usize| reader == index || self.members.contains(&reader) || stage.members.contains(&reader);
        let own = |o: &Operand| {
            program.storages[o.storage].place == Place::Transient && readers[o.storage].iter().all(inside)
        };
        let alone = stage.members.iter().all(|&m| program.calls[m].outputs.iter().all(own));
        let same_size = stage.image.shape.tail::<3>() == self.source.shape.tail::<3>();
        if !alone || !same_size || stage.rows == Rows::Selected {
            return None;
        }
        match call.op {
            Op::GridSample(padding, _) if *self.padding.get_or_insert(padding) != padding => return None,
            Op::Morpho { kernel, .. } if *self.window.get_or_insert(kernel) != kernel => return None,
            _ => {}
        }
        if stage.kind == Kind::Control {
            let grid = &program.calls[stage.members[1]];
            let found = [grid.inputs[0].clone(), grid.inputs[1].clone()];
            let arenas = found.each_ref().map(|o| arena(program, o));
            let storages = |control: &[Operand; 2]| control.each_ref().map(|o| o.storage);
            if arenas[0].is_none() || arenas[0] != arenas[1] {
                return None;
            }
            let known = self.control.get_or_insert_with(|| found.clone());
            if storages(known) != storages(&found) {
                return None;
            }
        }
        Some(stage)
    }

    /// Elements in workgroup memory: of two images, of pairs of an image with its border, and of a row of parameters.
    fn workgroup_lens(&self) -> [usize; 3] {
        let [height, width] = self.source.shape.tail();
        let bordered = |kernel: usize| (height + kernel - 1) * (4 * width.div_ceil(4) + kernel - 1);
        let window = self.window.map_or(0, |kernel| 1 + kernel * kernel);
        [2 * height * width, self.window.map_or(1, bordered), window.max(2 * self.controls())]
    }

    /// Control points of the splines, 1 without any.
    fn controls(&self) -> usize {
        self.control.as_ref().map_or(1, |[matrix, _]| matrix.shape.tail::<3>()[0])
    }

    /// Names of the stages.
    pub fn names(&self) -> String {
        let names: Vec<String> = self.stages.iter().map(|(kind, _)| format!("{kind:?}").to_lowercase()).collect();
        names.join(" ")
    }

    /// Appends the dispatch of the distance `call` with all that comes before it.
    pub fn lower(&self, lowered: &mut Lowered, call: &Call) {
        let [channels, height, width] = self.source.shape.tail();
        let [images, per_image] = call.outputs[0].shape.tail();
        let [images_len, bordered_len, row_len] = self.workgroup_lens();
        let mut launch = Launch::new(KERNEL).padding(self.padding.unwrap_or(Padding::Border));
        for (i, name) in STAGES.into_iter().enumerate() {
            launch = launch.constant(name, self.stages.get(i).map_or(0, |(kind, _)| *kind as u32));
        }
        launch = launch.constant("WEIGHTED", self.weights.is_some()).constants(&[
            ("CHANNELS", channels),
            ("HEIGHT", height),
            ("WIDTH", width),
            ("CONTROLS", self.controls()),
            ("KERNEL", self.window.unwrap_or(1)),
            ("IMAGES_LEN", images_len),
            ("BORDERED_LEN", bordered_len),
            ("ROW_LEN", row_len),
        ]);
        let control = self.control.as_ref().map(|tensors| both(lowered, tensors));
        let [matrix, base] = control.map_or([0; 2], |(_, offsets)| offsets);
        let rows = images * per_image;
        launch = launch.param("rows", rows).param("per_image", per_image);
        launch = launch.param("shared_rows", self.source.shape.rows(3)).param("matrix", matrix).param("base", base);
        launch = launch.read(&self.source).read(&call.inputs[0]);
        for i in 0..STAGES.len() {
            let last = if i + 1 == STAGES.len() { self.weights.as_ref() } else { None };
            launch = launch.read_optional(self.stages.get(i).map(|(_, parameters)| parameters).or(last));
        }
        launch = match control {
            Some((storage, _)) => launch.read_storage(storage),
            None => launch.read_optional(None),
        };
        launch.write_all(&call.outputs).groups(lowered, workgroups(rows));
    }
}

/// A transformation as part of a chain; `None` if it is none that the kernel knows.
fn stage(program: &Program, at: usize, call: &Call) -> Option<Stage> {
    let of = |kind, parameters: &Operand, rows, members| {
        Some(Stage { kind, image: call.inputs[0].clone(), parameters: parameters.clone(), rows, members })
    };
    match call.op {
        Op::Color(rows) => of(Kind::Color, &call.inputs[1], rows, vec![at]),
        Op::Morpho { rows, .. } => {
            let exponentials = producer(program, call.inputs[2].storage)?;
            of(Kind::Morpho, &call.inputs[1], rows, vec![at, exponentials])
        }
        Op::GridSample(_, rows) => {
            let grid = producer(program, call.inputs[1].storage)?;
            let call = &program.calls[grid];
            let (kind, parameters) = match call.op {
                Op::AffineGrid => (Kind::Affine, &call.inputs[0]),
                Op::ProjectiveGrid => (Kind::Projective, &call.inputs[0]),
                Op::ControlGrid => (Kind::Control, &call.inputs[2]),
                _ => return None,
            };
            of(kind, parameters, rows, vec![at, grid])
        }
        _ => None,
    }
}

/// The call that computes a storage.
fn producer(program: &Program, storage: usize) -> Option<usize> {
    program.calls.iter().position(|c| c.outputs.iter().any(|o| o.storage == storage))
}

fn arena(program: &Program, operand: &Operand) -> Option<Arena> {
    match program.storages[operand.storage].place {
        Place::Persistent { arena, .. } => Some(arena),
        Place::Transient => None,
    }
}

/// A storage that covers two tensors of one arena, for devices that bind no more than eight; with the first elements of both.
fn both(lowered: &mut Lowered, tensors: &[Operand; 2]) -> (usize, [usize; 2]) {
    let places = tensors.each_ref().map(|o| {
        let storage = &lowered.storages[o.storage];
        match storage.place {
            Place::Persistent { arena, offset } => (arena, offset, offset + storage.len),
            Place::Transient => unreachable!("tensors of an arena"),
        }
    });
    let [(arena, a, a_end), (_, b, b_end)] = places;
    let first = a.min(b);
    let place = Place::Persistent { arena, offset: first };
    lowered.storages.push(Storage { len: a_end.max(b_end) - first, dtype: Dtype::F32, place });
    (lowered.storages.len() - 1, [a - first, b - first])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{CHAIN, Fusion, Variants, lower};
    use crate::tape::{Store, Tape, Var};

    /// The kernels of a distance after an affine map and a color of images of these sizes; `also` may want more.
    fn kernels([h, w]: [usize; 2], weighted: bool, also: impl Fn(&mut Tape, Var)) -> Vec<&'static str> {
        let (mut tape, mut store) = (Tape::new(), Store::new());
        let mut add = |tape: &mut Tape, shape: &[usize]| {
            let id = store.add("operand", shape, Arena::Constants);
            tape.persistent(&store, id)
        };
        let [x, t] = [4, 3].map(|n| add(&mut tape, &[n, 1, h, w]));
        let [theta, beta] = [6, 2].map(|n| add(&mut tape, &[4, 3, n]));
        let weights = weighted.then(|| add(&mut tape, &[1, h, w]));
        let grid = tape.affine_grid(theta, h, w);
        let warped = tape.grid_sample(t, grid, Padding::Border, Rows::Each, None);
        let colored = tape.color(warped, beta, Rows::Own, None);
        let d = tape.squared_distance(x, colored, weights, Rows::Own, None);
        tape.output(d);
        also(&mut tape, warped);
        let lowered = lower(&Program::new(&tape), Fusion::Loads, &Variants::all(CHAIN)).expect("lowers");
        lowered.dispatches.iter().map(|d| d.kernel).collect()
    }

    #[test]
    fn what_nobody_else_reads_is_computed_on_the_way() {
        assert_eq!(kernels([28, 28], false, |_, _| {}), [KERNEL]);
        assert_eq!(kernels([28, 28], true, |_, _| {}), [KERNEL]);
        let wanted = kernels([28, 28], false, |tape, warped| tape.output(warped));
        assert_eq!(wanted, ["affine_grid", "grid_sample", KERNEL], "from there on");
        assert_eq!(kernels([64, 48], false, |_, _| {}).last(), Some(&"squared_distance"), "two images have no room");
    }
}
