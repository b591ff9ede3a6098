//! Rules of differentiation and of program construction that no kernel takes part in.

mod common;

use common::reference::{Memory, run, written};
use proteus::tape::{Arena, ConvSpec, Dtype, PersistentId, Program, Rows, Store, Tape, TapeError, Var};

/// A store with one parameter `x` of the given values, and a tape.
struct Small {
    store: Store,
    tape: Tape,
    x: Var,
    id: PersistentId,
    values: Vec<f32>,
}

fn small(values: &[f32]) -> Small {
    let (mut store, mut tape) = (Store::new(), Tape::new());
    let id = store.parameter("x", [values.len()]);
    let x = tape.persistent(&store, id);
    Small { store, tape, x, id, values: values.to_vec() }
}

impl Small {
    /// The gradient of `loss` with respect to x, evaluated.
    fn gradient(&mut self, loss: Var) -> Option<Vec<f64>> {
        let gradient = self.tape.gradients(loss, &[self.x]).expect("differentiable")[0]?;
        let mut tape = self.tape.clone();
        tape.output(gradient);
        Some(self.run(&Program::new(&tape)))
    }

    fn run(&self, program: &Program) -> Vec<f64> {
        let mut bytes = Memory::zero_bytes(&self.store);
        let source: &[u8] = bytemuck::cast_slice(&self.values);
        bytes[Arena::Parameters.index()][..source.len()].copy_from_slice(source);
        run(program, &mut Memory::from_bytes(&bytes)).last().expect("an output").real().to_vec()
    }
}

#[test]
fn a_loss_is_one_real_number() {
    let mut s = small(&[1.0, 2.0]);
    let y = s.tape.relu(s.x);
    assert_eq!(s.tape.gradients(y, &[s.x]), Err(TapeError::NotScalar { elements: 2, dtype: Dtype::F32 }));
    let row = s.tape.reshape(s.x, [1, 2]);
    let (_, at) = s.tape.min_row(row);
    assert_eq!(s.tape.gradients(at, &[s.x]), Err(TapeError::NotScalar { elements: 1, dtype: Dtype::U32 }));
}

#[test]
fn data_has_no_gradient() {
    let mut s = small(&[1.0, 2.0]);
    let x = s.tape.reshape(s.x, [1, 1, 1, 2]);
    let t = s.tape.fill([1, 1, 1, 2], 0.5);
    let d = s.tape.squared_distance(x, t, None, Rows::Own, None);
    let loss = s.tape.sum(d, 1.0);
    let refused = TapeError::NotDifferentiable { op: "squared_distance", input: 0 };
    assert_eq!(s.tape.gradients(loss, &[s.x]), Err(refused));
}

#[test]
fn weights_of_pixels_have_no_gradient() {
    let mut s = small(&[1.0, 2.0]);
    let (x, t) = (s.tape.fill([1, 1, 1, 2], 0.1), s.tape.fill([1, 1, 1, 2], 0.5));
    let d = s.tape.squared_distance(x, t, Some(s.x), Rows::Own, None);
    let loss = s.tape.sum(d, 1.0);
    let refused = TapeError::NotDifferentiable { op: "squared_distance", input: 2 };
    assert_eq!(s.tape.gradients(loss, &[s.x]), Err(refused));
}

#[test]
fn there_are_no_second_derivatives() {
    let mut s = small(&[1.0, -2.0]);
    let y = s.tape.relu(s.x);
    let d = s.tape.add(y, s.x);
    let d = s.tape.reshape(d, [1, 1, 1, 2]);
    let zero = s.tape.fill([1, 1, 1, 2], 0.0);
    let d = s.tape.squared_distance(zero, d, None, Rows::Own, None);
    let loss = s.tape.sum(d, 1.0);
    let gradient = s.tape.gradients(loss, &[s.x]).expect("differentiable once")[0].expect("it depends on x");
    let again = s.tape.sum(gradient, 1.0);
    let verdict = s.tape.gradients(again, &[s.x]);
    assert!(matches!(verdict, Err(TapeError::NotDifferentiable { .. })), "{verdict:?}");
}

/// The statistics of a batch pass their gradient on within `batch_norm` and nowhere else.
#[test]
fn statistics_alone_are_not_differentiable() {
    for eval in [false, true] {
        let mut s = small(&[1.0, -2.0, 0.5, 3.0]);
        let x = s.tape.reshape(s.x, [1, 1, 2, 2]);
        let stats = s.tape.batch_norm_stats(x);
        let (gamma, beta) = (s.tape.fill([1], 1.0), s.tape.fill([1], 0.0));
        let (y, op, input) = match eval {
            true => (s.tape.batch_norm(x, stats, gamma, beta, 1e-5, false), "batch_norm", 1),
            false => (stats.0, "batch_norm_stats", 0),
        };
        let loss = s.tape.sum(y, 1.0);
        assert_eq!(s.tape.gradients(loss, &[s.x]), Err(TapeError::NotDifferentiable { op, input }));
    }
}

/// Dilation by a set of pixels is the limit of something differentiable, but for evaluation only.
#[test]
fn limits_of_morphology_are_not_differentiable() {
    for input in [0, 1] {
        let mut s = small(&[1.0, -2.0]);
        let other = s.tape.fill([1, 2], 0.5);
        let (image, beta) = if input == 0 { (s.x, other) } else { (other, s.x) };
        let (image, beta) = (s.tape.reshape(image, [1, 1, 1, 2]), s.tape.reshape(beta, [1, 2]));
        let y = s.tape.morpho_limit(image, beta, 1, Rows::Own, None);
        let loss = s.tape.sum(y, 1.0);
        let refused = TapeError::NotDifferentiable { op: "morpho_limit", input };
        assert_eq!(s.tape.gradients(loss, &[s.x]), Err(refused));
    }
}

#[test]
fn what_the_loss_does_not_depend_on_has_none() {
    let mut s = small(&[1.0, 2.0]);
    let y = s.tape.fill([3], 1.0);
    let loss = s.tape.sum(y, 1.0);
    assert_eq!(s.gradient(loss), None);
}

/// With constant responsibilities the gradient of the expected cost is that of the negative log-likelihood,
/// - log sum over k of pi exp(-d).
#[test]
fn responsibilities_are_constants() {
    let mut s = small(&[1.0, 2.5, 0.5]);
    let d = s.tape.reshape(s.x, [1, 3]);
    let log_pi = s.tape.fill([3], -(3.0f32.ln()));
    let gamma = s.tape.responsibilities(d, log_pi);
    let loss = s.tape.sum(gamma, 1.0);
    assert_eq!(s.gradient(loss), None);
    let q = s.tape.expected_cost(gamma, d, log_pi);
    let gradient = s.gradient(q).expect("through the distances");
    let densities = [1.0f64, 2.5, 0.5].map(|d| (-d).exp());
    for (g, density) in gradient.iter().zip(densities) {
        assert!((g - density / densities.iter().sum::<f64>()).abs() < 1e-12, "{gradient:?}");
    }
}

#[test]
#[should_panic(expected = "rows are selected or taken in turn")]
fn means_selected_do_not_go_with_deviations_in_turn() {
    let mut s = small(&[1.0; 2]);
    let x = s.tape.reshape(s.x, [1, 1, 1, 2]);
    let (_, index) = s.tape.min_row(x);
    s.tape.neg_log_normal(x, (x, Rows::Selected), (x, Rows::Each), None, Some(index), 0.1);
}

#[test]
#[should_panic(expected = "neg_log_normal: [2, 1, 1, 3] and [3, 1, 1, 3] for 2 images")]
fn means_and_deviations_make_the_same_rows() {
    let mut s = small(&[1.0; 3]);
    let [x, sigma] = [2, 3].map(|b| s.tape.fill([b, 1, 1, 3], 0.5));
    s.tape.neg_log_normal(x, (x, Rows::Own), (sigma, Rows::Each), None, None, 0.1);
}

#[test]
fn gradients_of_a_tensor_used_twice_add_up() {
    let mut s = small(&[2.0, -3.0]);
    let y = s.tape.relu(s.x);
    let z = s.tape.add(y, s.x);
    let loss = s.tape.sum(z, 0.5);
    assert_eq!(s.gradient(loss), Some(vec![1.0, 0.5]));

    let mut s = small(&[2.0, -3.0]);
    let z = s.tape.add(s.x, s.x);
    let loss = s.tape.sum(z, 0.5);
    assert_eq!(s.gradient(loss), Some(vec![1.0, 1.0]), "both inputs of one operation");

    let mut s = small(&[2.0, -3.0]);
    let wide = s.tape.reshape(s.x, [1, 2]);
    let tall = s.tape.reshape(wide, [2, 1]);
    let (a, b) = (s.tape.sum(wide, 3.0), s.tape.sum(tall, 4.0));
    let loss = s.tape.add(a, b);
    assert_eq!(s.gradient(loss), Some(vec![7.0, 7.0]), "under two shapes");
}

#[test]
fn handles_on_one_persistent_tensor_count_as_one() {
    let mut s = small(&[2.0, -3.0]);
    let (second, third) = (s.tape.persistent(&s.store, s.id), s.tape.persistent(&s.store, s.id));
    let y = s.tape.relu(second);
    let (a, b) = (s.tape.sum(y, 1.0), s.tape.sum(s.x, 10.0));
    let loss = s.tape.add(a, b);
    let found = s.tape.gradients(loss, &[s.x, second, third]).expect("differentiable");
    assert!(found[0].is_some() && found[0] == found[1] && found[1] == found[2], "{found:?}");
    let mut tape = s.tape.clone();
    tape.output(found[0].expect("checked"));
    assert_eq!(s.run(&Program::new(&tape)), [11.0, 10.0]);
}

#[test]
fn gradients_of_intermediate_tensors_can_be_had() {
    let mut s = small(&[2.0, -3.0]);
    let y = s.tape.relu(s.x);
    let z = s.tape.relu(y);
    let loss = s.tape.sum(z, 0.25);
    let dy = s.tape.gradients(loss, &[y]).expect("differentiable")[0].expect("it depends on y");
    s.tape.output(dy);
    assert_eq!(s.run(&Program::new(&s.tape)), [0.25, 0.0]);
}

/// A result that goes to a persistent tensor is not what the tensor held before.
#[test]
fn a_stored_result_passes_its_gradient_on() {
    let mut s = small(&[2.0, -3.0]);
    let id = s.store.add("kept", [2], Arena::State);
    let before = s.tape.persistent(&s.store, id);
    let sum = s.tape.sum(before, 1.0);
    let y = s.tape.relu(s.x);
    s.tape.store(y, &s.store, id);
    let loss = s.tape.sum(y, 0.5);
    let loss = s.tape.add(loss, sum);
    assert_eq!(s.gradient(loss), Some(vec![0.5, 0.0]));
}

#[test]
fn dead_code_is_removed() {
    let mut s = small(&[2.0, -3.0, 1.0, 1.0]);
    let map = s.tape.reshape(s.x, [1, 1, 2, 2]);
    let w = s.tape.fill([1, 1, 1, 1], 2.0);
    s.tape.conv2d(map, w, ConvSpec { stride: 1, pad: 0 });
    assert!(Program::new(&s.tape).calls.is_empty(), "nobody reads the result");

    let y = s.tape.relu(s.x);
    let loss = s.tape.sum(y, 1.0);
    s.tape.gradients(loss, &[s.x]).expect("differentiable");
    s.tape.output(y);
    let names = |p: &Program| p.calls.iter().map(|c| c.op.name()).collect::<Vec<_>>();
    let program = Program::new(&s.tape);
    assert_eq!(names(&program), ["relu"], "neither loss nor gradients were asked for");
    assert_eq!(program.storages.len(), 2, "no storages of removed calls");

    let [clock, noted, seen] = [("clock", 2, Arena::Control), ("noted", 1, Arena::State), ("seen", 4, Arena::State)]
        .map(|(name, len, arena)| s.store.add(name, [len], arena));
    let clock = s.tape.persistent(&s.store, clock);
    s.tape.store(loss, &s.store, noted);
    s.tape.store(y, &s.store, seen);
    s.tape.advance(clock, 3);
    let program = Program::new(&s.tape);
    assert_eq!(names(&program), ["relu", "sum", "copy", "advance"], "whatever a persistent tensor depends on stays");
    assert_eq!(written(&program).len(), 3);
}

#[test]
fn storing_an_output_copies_it() {
    let mut s = small(&[2.0, -3.0]);
    let id = s.store.add("kept", [2], Arena::State);
    let y = s.tape.relu(s.x);
    s.tape.output(y);
    s.tape.store(y, &s.store, id);
    let program = Program::new(&s.tape);
    assert_eq!(program.calls.len(), 2);
    assert_eq!(s.run(&program), [2.0, 0.0], "the output is there as well");
}

#[test]
#[should_panic(expected = "storing")]
fn indices_are_not_stored_among_reals() {
    let mut s = small(&[2.0, -3.0]);
    let row = s.tape.reshape(s.x, [1, 2]);
    let (_, at) = s.tape.min_row(row);
    let id = s.store.add("kept", [1], Arena::State);
    s.tape.store(at, &s.store, id);
}

#[test]
fn costs_count_what_a_step_touches() {
    let mut store = Store::new();
    let images = store.add("images", [1000, 1, 4, 4], Arena::Images);
    let order = store.add("order", [1000], Arena::Control);
    let clock = store.add("clock", [2], Arena::Control);
    let weight = store.add("weight", [8, 1, 3, 3], Arena::Parameters);
    let mut tape = Tape::new();
    let [images, order, clock, weight] = [images, order, clock, weight].map(|id| tape.persistent(&store, id));
    let x = tape.gather_images(images, order, clock, 2);
    let y = tape.conv2d(x, weight, ConvSpec { stride: 1, pad: 1 });
    tape.output(y);
    let program = Program::new(&tape);
    let costs: Vec<(u64, u64)> = program.calls.iter().map(|c| (c.flops(), c.bytes())).collect();
    // Two images of 16 bytes become 32 numbers; their two places in the order and the clock are read.
    // 2 x 8 outputs of 4x4 pixels take 9 multiply-adds each.
    assert_eq!(costs, [(32, 32 + 4 * 32 + 8 + 4), (2 * 2 * 8 * 16 * 9, 4 * (32 + 72 + 256))]);
    assert_eq!(program.flops(), costs[0].0 + costs[1].0);
}
