//! A transformation of one's own: rotations with a change of scale, by two numbers. One digit is turned and shrunk, and
//! gradient descent finds out how. `cargo run --release --example transformation`

use proteus::cpu::CpuEngine;
use proteus::data::mnist5k;
use proteus::tape::{Arena, Engine, Padding, Program, Rows, Shape, Store, Tape, Var};
use proteus::warp::{Constant, Source, Transformation};
use std::error::Error;

/// y(u,v) = x(theta (u,v)), theta = identity + [[a, -b], [b, a]] for beta = (a, b).
struct Similarity;

impl Transformation for Similarity {
    fn parameters(&self, _channels: usize) -> usize {
        2
    }

    /// The affine map [6] of beta [2] is a product with a constant matrix.
    fn constants(&self, _height: usize, _width: usize) -> Vec<Constant> {
        #[rustfmt::skip]
        let matrix = vec![
            1.0,  0.0,
            0.0, -1.0,
            0.0,  0.0,
            0.0,  1.0,
            1.0,  0.0,
            0.0,  0.0,
        ];
        let bias = Constant { name: "bias", shape: Shape::from([1, 6]), values: vec![0.0; 6] };
        vec![Constant { name: "matrix", shape: Shape::from([1, 6, 2]), values: matrix }, bias]
    }

    fn apply(&self, tape: &mut Tape, source: Source, beta: Var, constants: &[Var], padding: Padding) -> Var {
        let [height, width] = tape.shape(source.image).tail();
        let affine = tape.linear(beta, constants[0], constants[1], Rows::Each, None);
        let grid = tape.affine_grid(affine, height, width);
        tape.grid_sample(source.image, grid, padding, source.rows, source.index)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let digits = mnist5k::load()?;
    let digit: Vec<f32> = digits.image(2500).iter().map(|&p| f32::from(p) / 255.0).collect();
    let (height, width) = (digits.height, digits.width);

    // Tensors that outlive a step.
    let mut store = Store::new();
    let beta = store.parameter("beta", [1, 2]);
    let image = store.add("image", [1, 1, height, width], Arena::State);
    let target = store.add("target", [1, 1, height, width], Arena::State);
    let constants = Similarity.constants(height, width);
    let places: Vec<_> = constants.iter().map(|c| store.add(c.name, c.shape.clone(), Arena::Constants)).collect();

    // Loss and gradient are recorded once; the adjoints come from the operations that `apply` used.
    let mut tape = Tape::new();
    let [b, i, t] = [beta, image, target].map(|id| tape.persistent(&store, id));
    let c: Vec<Var> = places.iter().map(|&id| tape.persistent(&store, id)).collect();
    let source = Source { image: i, rows: Rows::Each, index: None };
    let fitted = Similarity.apply(&mut tape, source, b, &c, Padding::Zeros);
    let distance = tape.squared_distance(t, fitted, None, Rows::Own, None);
    let loss = tape.mean(distance);
    let gradient = tape.gradients(loss, &[b])?[0].ok_or("beta has no influence")?;
    [fitted, loss, gradient].into_iter().for_each(|v| tape.output(v));

    let mut engine = CpuEngine::new(None)?;
    engine.allocate(&store)?;
    for (&place, constant) in places.iter().zip(&constants) {
        engine.write_f32(&store[place], &constant.values)?;
    }
    engine.write_f32(&store[image], &digit)?;
    let plan = engine.load(&[Program::new(&tape)])?[0];

    // What is to be found: the digit turned and shrunk.
    let hidden = [0.15f32, 0.4];
    engine.write_f32(&store[beta], &hidden)?;
    engine.run(plan, 1)?;
    let turned: Vec<f32> = bytemuck::pod_collect_to_vec(&engine.read_output(plan, 0)?);
    engine.write_f32(&store[target], &turned)?;

    let mut found = [0.0f32; 2];
    for step in 0..=200 {
        engine.write_f32(&store[beta], &found)?;
        engine.run(plan, 1)?;
        let read = |engine: &mut CpuEngine, index| engine.read_output(plan, index);
        let loss: Vec<f32> = bytemuck::pod_collect_to_vec(&read(&mut engine, 1)?);
        let gradient: Vec<f32> = bytemuck::pod_collect_to_vec(&read(&mut engine, 2)?);
        if step % 40 == 0 {
            println!("step {step:3}: loss {:.6}, beta {found:.3?}", loss[0]);
        }
        found.iter_mut().zip(gradient).for_each(|(b, g)| *b -= 0.5 * g);
    }
    let error = found.iter().zip(hidden).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if error > 0.02 { Err(format!("found {found:?}, not {hidden:?}").into()) } else { Ok(()) }
}
