//! Gradients against central differences in f64, in the middle of a graph, and the rules of differentiation.
//!
//! Every case of the operation table that names differentiable inputs takes part: its results are projected on a
//! number by weighted distances to random targets, so that incoming gradients are nowhere 1, and the differences are
//! those of the reference interpreter on the forward operations alone.

mod common;

use common::adapter::say;
use common::builder::{Recorded, Rng};
use common::engines::{self, make_or_skip};
use common::reference::{Data, Memory, run};
use common::runner::try_execute;
use common::table::{Case, cases};
use proteus::tape::{Arena, Engine, Program};

/// Of a difference against the reference's own gradient. Steps of 3e-5 of a tensor's scale leave 1e-9 of a third derivative of order
/// one, and about 1e-11 of rounding.
const REFERENCE: f64 = 1e-6;

/// Of a difference against the gradient of an engine in f32.
const ENGINE: f64 = 1e-4;

/// Elements of each input that are differenced; the first, the last and random ones. Fewer where the forward pass
/// is long.
fn samples(program: &Program) -> usize {
    (30_000_000 / program.flops().max(1)).clamp(6, 24) as usize
}

/// Some elements of a gradient by central differences: position and value.
type Differences = Vec<(usize, f64)>;

/// Differences for each differentiable input of a case.
fn differences(case: &Case, recorded: &Recorded) -> Vec<Differences> {
    let program = recorded.loss.as_ref().expect("the case is differentiable");
    let initial = Memory::from_bytes(&recorded.initial);
    let samples = samples(program);
    let mut rng = Rng::new(&format!("differences of {}", case.name));
    let loss = |arena: Arena, at: usize, value: f64| {
        let mut memory = initial.clone();
        *memory.real_mut(arena, at) = value;
        run(program, &mut memory)[0].real()[0]
    };
    let of = |id: &_| {
        let t = &recorded.store[*id];
        let len = t.shape.len();
        let mut places: Vec<usize> = match len <= samples {
            true => (0..len).collect(),
            false => [0, len - 1].into_iter().chain((2..samples).map(|_| rng.below(len) as usize)).collect(),
        };
        places.sort_unstable();
        places.dedup();
        let values = initial.get(t.arena, t.offset, len);
        let scale = (values.real().iter().map(|x| x * x).sum::<f64>() / len as f64).sqrt();
        let slope = |i: usize| {
            let at = t.offset + i;
            let x = values.real()[i];
            let step = 3e-5 * x.abs().max(scale);
            (loss(t.arena, at, x + step) - loss(t.arena, at, x - step)) / (2.0 * step)
        };
        places.into_iter().map(|i| (i, slope(i))).collect()
    };
    recorded.wrt.iter().map(of).collect()
}

/// Whether a gradient agrees with differences: each element relative to itself plus the root mean square.
fn agrees(gradient: &[f64], differences: &Differences, tolerance: f64) -> Result<f64, String> {
    let rms = (gradient.iter().map(|g| g * g).sum::<f64>() / gradient.len() as f64).sqrt();
    let mut worst = 0.0f64;
    for &(i, expected) in differences {
        let error = (gradient[i] - expected).abs();
        // Where everything is zero the difference still carries the rounding of the loss.
        let allowed = tolerance * (gradient[i].abs() + rms) + 1e-10;
        if error.is_nan() || error > allowed {
            return Err(format!("[{i}] is {:e}, the difference quotient {expected:e}", gradient[i]));
        }
        worst = worst.max(error / (gradient[i].abs() + rms + 1e-10));
    }
    Ok(worst)
}

/// Cases for finite differences.
fn smooth() -> impl Iterator<Item = (Case, Recorded)> {
    let all = cases().into_iter().filter(|case| case.kinks.is_none());
    all.map(|case| (Recorded::new(&case), case)).map(|(r, c)| (c, r)).filter(|(_, r)| r.loss.is_some())
}

/// The gradients of a case, by the reference.
fn reference_gradients(recorded: &Recorded) -> Vec<Data> {
    run(&recorded.program, &mut Memory::from_bytes(&recorded.initial)).split_off(recorded.forward)
}

#[test]
fn gradients_agree_with_finite_differences() {
    let mut devices: Vec<Box<dyn Engine>> = engines::CPU.iter().take(1).filter_map(make_or_skip).collect();
    // One of the GPU's variants: that all agree is checked with the operation table.
    devices.extend(engines::GPU.iter().take(1).filter_map(make_or_skip));
    let (mut failures, mut count) = (Vec::new(), 0);
    let mut worst = 0.0f64;
    let started = std::time::Instant::now();
    for (case, recorded) in smooth() {
        count += 1;
        let expected = differences(&case, &recorded);
        let mut verdict = |who: &str, gradients: Result<Vec<Data>, String>, tolerance: f64| {
            let gradients = gradients.unwrap_or_else(|e| {
                failures.push(format!("  {}, {who}: {e}", case.name));
                Vec::new()
            });
            for (i, (gradient, differences)) in gradients.iter().zip(&expected).enumerate() {
                match agrees(gradient.real(), differences, tolerance) {
                    Ok(error) if who == "reference" => worst = worst.max(error),
                    Ok(_) => {}
                    Err(e) => failures.push(format!("  {}, {who}, input {i}: {e}", case.name)),
                }
            }
        };
        verdict("reference", Ok(reference_gradients(&recorded)), REFERENCE);
        for engine in &mut devices {
            let gradients = try_execute(engine.as_mut(), &recorded, 1).map(|[first, _]| {
                let outputs = first.outputs[recorded.forward..].iter();
                outputs.map(|bytes| Data::from_bytes(proteus::tape::Dtype::F32, bytes)).collect()
            });
            verdict(&engine.device(), gradients, ENGINE);
        }
    }
    say(&format!(
        "finite differences: {count} cases, the reference within {worst:.1e} ({:.1} s)",
        started.elapsed().as_secs_f64()
    ));
    assert!(failures.is_empty(), "{} gradients are wrong:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn wrong_gradients_are_rejected() {
    for (case, recorded) in smooth().step_by(5) {
        let expected = differences(&case, &recorded);
        for (gradient, differences) in reference_gradients(&recorded).iter().zip(&expected) {
            let good = gradient.real();
            assert!(agrees(good, differences, ENGINE).is_ok(), "{}", case.name);
            let place = differences[differences.len() / 2].0;
            let rms = (good.iter().map(|g| g * g).sum::<f64>() / good.len() as f64).sqrt();
            let mut bad = good.to_vec();
            bad[place] += 1e-3 * (rms + good[place].abs()) + 1e-6;
            assert!(agrees(&bad, differences, ENGINE).is_err(), "{}: one wrong element passes", case.name);
            bad[place] = f64::NAN;
            assert!(agrees(&bad, differences, ENGINE).is_err(), "{}: a NaN passes", case.name);
            if differences.iter().any(|d| d.1.abs() > 1e-6) {
                let constant: Vec<f64> = good.iter().map(|g| g * 1.7).collect();
                assert!(agrees(&constant, differences, ENGINE).is_err(), "{}: a lost factor passes", case.name);
                let none = vec![0.0; good.len()];
                assert!(agrees(&none, differences, ENGINE).is_err(), "{}: no gradient passes", case.name);
            }
        }
    }
}

#[test]
fn every_adjoint_is_differenced_in_every_mode() {
    use proteus::tape::{Op, Padding, Rows};
    if std::env::var_os("PROTEUS_CASES").is_some() {
        return;
    }
    let programs: Vec<Program> = smooth().map(|(_, recorded)| recorded.program).collect();
    let has = |what: String, wanted: &dyn Fn(&Op) -> bool| {
        assert!(programs.iter().flat_map(|p| &p.calls).any(|call| wanted(&call.op)), "no difference covers {what}");
    };
    for name in [
        "relu_grad",
        "conv2d_grad_input",
        "conv2d_grad_weight",
        "batch_norm_grad_params",
        "shortcut_grad",
        "pool_grad",
        "global_avg_pool_grad",
        "affine_grid_grad",
        "projective_grid_grad",
        "control_grid_grad",
        "color_grad_image",
        "morpho_weights_grad",
        "min_row_grad",
        "log_softmax_grad",
        "expected_cost_grad_distance",
        "expected_cost_grad_mixing",
        "sum_grad",
    ] {
        has(name.to_owned(), &|op| op.name() == name);
    }
    for stats in [false, true] {
        has(
            format!("batch_norm_grad_input, batch statistics {stats}"),
            &|op| matches!(op, Op::BatchNormGradInput { batch_stats, .. } if *batch_stats == stats),
        );
    }
    for rows in [Rows::Own, Rows::Each, Rows::Selected] {
        has(format!("linear_grad_input {rows:?}"), &|op| *op == Op::LinearGradInput(rows));
        has(format!("linear_grad_weight {rows:?}"), &|op| *op == Op::LinearGradWeight(rows));
        for weighted in [false, true] {
            has(format!("squared_distance_grad {rows:?}, weighted {weighted}"), &|op| {
                *op == Op::SquaredDistanceGrad { rows, weighted }
            });
        }
        for others in [Rows::Own, Rows::Each, Rows::Selected] {
            if [rows, others].contains(&Rows::Selected) && [rows, others].contains(&Rows::Each) {
                continue;
            }
            for masked in [false, true] {
                has(format!("neg_log_normal_grad_mean {rows:?} {others:?}, weighted {masked}"), &|op| {
                    matches!(op, Op::NegLogNormalGradMean { mean, deviation, weighted, .. }
                        if (*mean, *deviation, *weighted) == (rows, others, masked))
                });
                has(format!("neg_log_normal_grad_deviation {rows:?} {others:?}, weighted {masked}"), &|op| {
                    matches!(op, Op::NegLogNormalGradDeviation { mean, deviation, weighted, .. }
                        if (*mean, *deviation, *weighted) == (rows, others, masked))
                });
            }
        }
        for padding in [Padding::Border, Padding::Zeros] {
            has(format!("grid_sample_grad_grid {padding:?} {rows:?}"), &|op| {
                *op == Op::GridSampleGradGrid(padding, rows)
            });
            has(format!("grid_sample_grad_image {padding:?}"), &|op| *op == Op::GridSampleGradImage(padding));
        }
        has(format!("color_grad_beta {rows:?}"), &|op| *op == Op::ColorGradBeta(rows));
        has(
            format!("morpho_grad_image {rows:?}"),
            &|op| matches!(op, Op::MorphoGradImage { rows: r, .. } if *r == rows),
        );
        has(
            format!("morpho_grad_weights {rows:?}"),
            &|op| matches!(op, Op::MorphoGradWeights { rows: r, .. } if *r == rows),
        );
        if rows != Rows::Own {
            has(format!("sum_rows {rows:?}"), &|op| *op == Op::SumRows(rows));
        }
    }
}
