//! Values for the operands of single operations: such as a training step has, where they decide about the work.

use crate::tape::{Call, Dtype, Op, Rows};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Bytes for input `i` of a call.
pub fn input(call: &Call, i: usize, dtype: Dtype, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let shape = &call.inputs[i].shape;
    let n = shape.len();
    match dtype {
        Dtype::U8 => (0..n).map(|_| rng.random()).collect(),
        Dtype::U32 => {
            let bound = bound(call, i).max(1) as u32;
            let values: Vec<u32> = (0..n).map(|_| rng.random_range(0..bound)).collect();
            bytemuck::cast_slice(&values).to_vec()
        }
        Dtype::F32 => {
            let values: Vec<f32> = if is_grid(call, i) {
                grid(&shape.0, rng)
            } else {
                let (low, high) = range(call, i);
                (0..n).map(|_| rng.random_range(low..high)).collect()
            };
            bytemuck::cast_slice(&values).to_vec()
        }
    }
}

/// Indices are below this number.
fn bound(call: &Call, i: usize) -> usize {
    let rows = |i: usize, tail: usize| call.inputs[i].shape.rows(tail);
    match &call.op {
        // Order; the clock stays at the beginning.
        Op::GatherImages if i == 1 => call.inputs[0].shape.0[0],
        Op::MinRowGrad => call.outputs[0].shape.tail::<1>()[0],
        Op::Count => call.outputs[0].shape.len(),
        Op::Linear(Rows::Selected) | Op::LinearGradInput(Rows::Selected) => rows(1, 2),
        Op::LinearGradWeight(Rows::Selected) => call.outputs[0].shape.rows(2),
        Op::SumRows(Rows::Selected) => {
            let row = call.inputs[0].shape.len() / call.inputs[1].shape.len();
            call.outputs[0].shape.len() / row
        }
        Op::SquaredDistance { .. }
        | Op::SquaredDistanceGrad { .. }
        | Op::NegLogNormal { .. }
        | Op::NegLogNormalGradMean { .. }
        | Op::NegLogNormalGradDeviation { .. } => {
            let image: usize = call.inputs[0].shape.len() / call.inputs[0].shape.0[0];
            call.inputs[1].shape.len() / image
        }
        // The transformations index images, their first operand.
        _ if call.inputs[0].shape.rank() >= 3 => rows(0, 3),
        _ => 1,
    }
}

/// Numbers of an operand: between -1 and 1, but for what must be positive, and for gradients where kernels with 16-bit floats
/// count on those of a mean.
fn range(call: &Call, i: usize) -> (f32, f32) {
    match &call.op {
        Op::Conv2dGradInput(_) if i == 0 => mean_gradient(call, i),
        Op::Conv2dGradWeight(_) if i == 1 => mean_gradient(call, i),
        Op::BatchNorm { .. } | Op::BatchNormGradInput { .. } | Op::BatchNormGradParams { .. } if i == 2 || i == 3 => {
            (0.5, 1.5)
        }
        Op::RunningStats { .. } => (0.5, 1.5),
        // Weights that could add up to nothing have no mean.
        Op::Morpho { .. } | Op::MorphoLimit { .. } if i == 1 => (0.05, 1.0),
        Op::Morpho { .. } if i == 2 => (0.5, 1.5),
        Op::MorphoGradImage { .. } | Op::MorphoGradWeights { .. } if (2..5).contains(&i) => (0.1, 1.5),
        Op::LogSoftmaxGrad if i == 0 => (-3.0, -0.1),
        Op::Responsibilities if i == 1 => (-3.0, -0.1),
        Op::ExpectedCost | Op::ExpectedCostGradDistance | Op::ExpectedCostGradMixing if i == 0 => (0.0, 0.2),
        // Small parameters: images stay near their place.
        Op::AffineGrid | Op::ProjectiveGrid | Op::ControlGrid => (-0.1, 0.1),
        Op::ProjectiveGridGrad if i == 0 => (-0.1, 0.1),
        _ => (-1.0, 1.0),
    }
}

/// The gradient of a mean over a batch, no more than one over the positions of the map.
fn mean_gradient(call: &Call, i: usize) -> (f32, f32) {
    let [batch, _, height, width] = call.inputs[i].shape.tail();
    let largest = 1.0 / (batch * height * width) as f32;
    (-largest, largest)
}

/// Whether input `i` says where to sample.
fn is_grid(call: &Call, i: usize) -> bool {
    match call.op {
        Op::GridSample(..) | Op::GridSampleGradGrid(..) => i == 1,
        Op::GridSampleGradImage(_) => i == 0,
        _ => false,
    }
}

/// Grids [R,H,W,2] of small affine maps: neighbours sample neighbours, as they do in training.
fn grid(shape: &[usize], rng: &mut ChaCha8Rng) -> Vec<f32> {
    let [.., h, w, _] = *shape else { return Vec::new() };
    let rows: usize = shape[..shape.len() - 3].iter().product();
    let centre = |i: usize, n: usize| (2 * i + 1) as f32 / n as f32 - 1.0;
    let mut values = Vec::with_capacity(rows * h * w * 2);
    for _ in 0..rows {
        let t: [f32; 6] = std::array::from_fn(|_| rng.random_range(-0.15..0.15));
        for (y, x) in (0..h).flat_map(|i| (0..w).map(move |j| (centre(i, h), centre(j, w)))) {
            values.push(x + t[0] * x + t[1] * y + t[2]);
            values.push(y + t[3] * x + t[4] * y + t[5]);
        }
    }
    values
}
