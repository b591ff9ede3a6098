//! Vector-Jacobian products: gradients from several outputs with gradients that come in from outside.

use proteus::cpu::CpuEngine;
use proteus::tape::{Arena, Engine, Program, Store, Tape, TapeError, Var};

const X: [f32; 4] = [1.0, -2.0, 3.0, -4.0];
const SEED: [f32; 4] = [10.0, 20.0, 30.0, 40.0];

/// Records on x and seed, both [2,2], and returns the value of what was recorded.
fn value(record: impl FnOnce(&mut Tape, Var, Var) -> Var) -> Vec<f32> {
    let mut store = Store::new();
    let ids = ["x", "seed"].map(|name| store.add(name, [2, 2], Arena::Constants));
    let mut tape = Tape::new();
    let [x, seed] = ids.map(|id| tape.persistent(&store, id));
    let result = record(&mut tape, x, seed);
    tape.output(result);
    let mut engine = CpuEngine::new(Some(1)).expect("a processor");
    engine.allocate(&store).expect("memory");
    let plan = engine.load(&[Program::new(&tape)]).expect("a plan")[0];
    engine.write_f32(&store[ids[0]], &X).expect("x");
    engine.write_f32(&store[ids[1]], &SEED).expect("seed");
    engine.run(plan, 1).expect("a run");
    bytemuck::pod_collect_to_vec(&engine.read_output(plan, 0).expect("the result"))
}

fn gradient(tape: &mut Tape, outputs: &[(Var, Var)], x: Var) -> Var {
    tape.gradients_from(outputs, &[x]).expect("differentiable")[0].expect("outputs depend on x")
}

#[test]
fn the_incoming_gradient_is_used() {
    let found = value(|tape, x, seed| {
        let y = tape.relu(x);
        gradient(tape, &[(y, seed)], x)
    });
    assert_eq!(found, [10.0, 0.0, 30.0, 0.0]);
}

#[test]
fn outputs_add_up_also_one_between_x_and_another() {
    let found = value(|tape, x, seed| {
        let twice = tape.add(x, x);
        let y = tape.relu(twice);
        let flat = tape.reshape(y, [4]);
        let ones = tape.fill([4], 1.0);
        // 2 seed from the inner output, 2 [x > 0] from the outer.
        gradient(tape, &[(twice, seed), (flat, ones)], x)
    });
    assert_eq!(found, [22.0, 40.0, 62.0, 80.0]);
}

#[test]
fn an_output_may_be_given_twice_and_may_be_the_variable_itself() {
    let found = value(|tape, x, seed| gradient(tape, &[(x, seed), (x, seed)], x));
    assert_eq!(found, SEED.map(|s| 2.0 * s));
}

#[test]
fn incoming_gradients_are_constants() {
    // <x, relu(x)> with relu(x) held constant.
    let found = value(|tape, x, _| {
        let y = tape.relu(x);
        gradient(tape, &[(x, y)], x)
    });
    assert_eq!(found, [1.0, 0.0, 3.0, 0.0]);
}

#[test]
fn gradients_of_a_loss_are_the_special_case() {
    let found = value(|tape, x, _| {
        let y = tape.relu(x);
        let loss = tape.mean(y);
        tape.gradients(loss, &[x]).expect("differentiable")[0].expect("the loss depends on x")
    });
    assert_eq!(found, [0.25, 0.0, 0.25, 0.0]);
}

#[test]
fn what_does_not_matter_has_no_gradient() {
    let mut tape = Tape::new();
    let [a, b] = [1.0, 2.0].map(|v| tape.fill([3], v));
    let y = tape.relu(a);
    let one = tape.fill([3], 1.0);
    let found = tape.gradients_from(&[(y, one)], &[b, a]).expect("differentiable");
    assert_eq!((found[0], found[1].is_some()), (None, true));
    assert_eq!(tape.gradients_from(&[], &[a]), Ok(vec![None]));
    assert!(matches!(tape.gradients(y, &[a]), Err(TapeError::NotScalar { elements: 3, .. })));
}

#[test]
#[should_panic(expected = "an output and its incoming gradient")]
fn shapes_must_agree() {
    let mut tape = Tape::new();
    let (x, seed) = (tape.fill([3], 1.0), tape.fill([1], 1.0));
    let _ = tape.gradients_from(&[(x, seed)], &[x]);
}
