//! Layers, warps and training steps against vectors of the published implementation, on both engines.
//!
//! The vectors are in `tests/golden`, or in the folder that PROTEUS_GOLDEN names. `--nocapture` shows the agreement of
//! every tensor. Not compared, because they are still to be written: the train vectors of Gaussian mixtures.

mod adapter;
mod golden_support;

use std::collections::BTreeMap;

use golden_support::compare::{Comparison, Tolerance, digest};
use golden_support::formula;
use golden_support::ties::under_ties;
use golden_support::training;
use golden_support::vectors::{Tensor, Vectors};
use proteus::cpu::{self, CpuEngine, Isa};
use proteus::model::gaussian_weights;
use proteus::nn::{Declare, Encoder, EncoderKind, Init, Mode};
use proteus::tape::{Arena, Engine, EngineError, Padding, PersistentId, PlanId, Program, Store, Tape, Var};
use proteus::warp::{Affine, Color, Constant, Morpho, Projective, Source, Tps, Transformation};

// | vectors | tensors                | float32 PyTorch | allowed | why                                               |
// |---------|------------------------|-----------------|---------|---------------------------------------------------|
// | affine  | y                      | 3e-6            | 3e-5    | coordinates are rounded before they are sampled   |
// | affine  | grad_x, grad_beta      | 3e-6            | 3e-5    | sums over all pixels of products of the above     |
// | color   | y, grad_x, grad_beta   | 3e-6            | 3e-5    | as above                                          |
// | projective | y, grad_x, grad_beta | 3e-6           | 3e-5    | as affine                                         |
// | tps     | y                      | 2e-5            | 2e-4    | as affine, after a sum over the control points    |
// | tps     | grad_x, grad_beta      | 5e-5            | 5e-4    | as above                                          |
// | morpho  | y, grad_x, grad_beta   | 3e-6            | 3e-5    | as color                                          |
// | encoder | y_train, y_eval        | 1e-6            | 1e-5    | the final average evens out the errors of pixels  |
// | encoder | grad_x                 | 4e-6            | 4e-5    | errors of 19 to 31 normalisations, not averaged   |
// | encoder | digest.after           | 1e-6            | 1e-5    | averages of the forward pass, as y_train is       |
// | encoder | digest.grad            | 1e-4            | 1e-3    | a bias before another normalisation has a gradient |
// |         |                        |                 |         | a thousandth of what cancels in it                |
// |         | digest.grad, resnet18  | 4e-3            | 4e-2    | as above; and where two values of a pooling window |
// |         |                        |                 |         | are nearly equal, rounding decides which of them   |
// |         |                        |                 |         | gets the gradient (golden_support/ties.rs)         |
// | train   | loss                   | 3e-5            | 3e-4    | tests/golden/README.md gives ranges over all train |
// | train   | distances, after       | 2e-4            | 2e-3    | vectors, of which these are the ends: errors grow  |
// | train   | eval_transformed       | 3e-4            | 3e-3    | over the four steps                                |
// | train   | eval_loss, eval_transformed with projective maps | | 1e-2, 3e-1 | see golden_support/training.rs       |
// | train   | digests                | 2e-3            | 2e-2    |                                                   |
// | gaussian_weights | w             | exact           | exact   | computed in f64, rounded once                     |
const AFFINE_Y: Tolerance = Tolerance { pytorch: 3e-6 };
const AFFINE_GRAD: Tolerance = Tolerance { pytorch: 3e-6 };
const COLOR: Tolerance = Tolerance { pytorch: 3e-6 };
const PROJECTIVE: Tolerance = Tolerance { pytorch: 3e-6 };
const TPS_Y: Tolerance = Tolerance { pytorch: 2e-5 };
const TPS_GRAD: Tolerance = Tolerance { pytorch: 5e-5 };
const MORPHO: Tolerance = Tolerance { pytorch: 3e-6 };
const ENCODER_Y: Tolerance = Tolerance { pytorch: 1e-6 };
const ENCODER_GRAD_X: Tolerance = Tolerance { pytorch: 4e-6 };
const ENCODER_AFTER: Tolerance = Tolerance { pytorch: 1e-6 };
const ENCODER_GRAD: Tolerance = Tolerance { pytorch: 1e-4 };
const ENCODER_GRAD_RESNET18: Tolerance = Tolerance { pytorch: 4e-3 };

/// Makes an engine, or says why this machine cannot.
type Make = fn() -> Result<Box<dyn Engine>, String>;

fn cpu() -> Result<Box<dyn Engine>, String> {
    open_cpu(cpu::Options { threads: Some(2), ..Default::default() })
}

fn cpu_portable() -> Result<Box<dyn Engine>, String> {
    open_cpu(cpu::Options { threads: Some(2), isa: Isa::Portable, ..Default::default() })
}

fn open_cpu(options: cpu::Options) -> Result<Box<dyn Engine>, String> {
    CpuEngine::with_options(options).map(|engine| Box::new(engine) as _).map_err(|e| e.to_string())
}

fn gpu() -> Result<Box<dyn Engine>, String> {
    adapter::open(Default::default()).map(|engine| Box::new(engine) as _).map_err(|e| e.to_string())
}

/// All comparisons on one engine, as tests `ENGINE::CASE`.
macro_rules! compare_on {
    ($engine:ident, $make:path) => {
        mod $engine {
            #[test]
            fn affine_border_c1() {
                super::test($make, "affine_border_c1", super::affine);
            }

            #[test]
            fn affine_border_c3() {
                super::test($make, "affine_border_c3", super::affine);
            }

            #[test]
            fn affine_zeros_c1() {
                super::test($make, "affine_zeros_c1", super::affine);
            }

            #[test]
            fn affine_zeros_c3() {
                super::test($make, "affine_zeros_c3", super::affine);
            }

            #[test]
            fn color_c1() {
                super::test($make, "color_c1", super::color);
            }

            #[test]
            fn color_c3() {
                super::test($make, "color_c3", super::color);
            }

            #[test]
            fn projective_border_c1() {
                super::test($make, "projective_border_c1", super::projective);
            }

            #[test]
            fn projective_border_c3() {
                super::test($make, "projective_border_c3", super::projective);
            }

            #[test]
            fn projective_zeros_c1() {
                super::test($make, "projective_zeros_c1", super::projective);
            }

            #[test]
            fn projective_zeros_c3() {
                super::test($make, "projective_zeros_c3", super::projective);
            }

            #[test]
            fn tps_border_c1() {
                super::test($make, "tps_border_c1", super::tps);
            }

            #[test]
            fn tps_border_c3() {
                super::test($make, "tps_border_c3", super::tps);
            }

            #[test]
            fn tps_zeros_c1() {
                super::test($make, "tps_zeros_c1", super::tps);
            }

            #[test]
            fn tps_zeros_c3() {
                super::test($make, "tps_zeros_c3", super::tps);
            }

            #[test]
            fn tps_grid5() {
                super::test($make, "tps_grid5", super::tps);
            }

            #[test]
            fn morpho_k3_c1() {
                super::test($make, "morpho_k3_c1", super::morpho);
            }

            #[test]
            fn morpho_k5_c3() {
                super::test($make, "morpho_k5_c3", super::morpho);
            }

            #[test]
            fn morpho_k7_c1() {
                super::test($make, "morpho_k7_c1", super::morpho);
            }

            #[test]
            fn train_gmm_aff_morpho_tps() {
                super::test($make, "train_gmm_aff_morpho_tps", super::train);
            }

            #[test]
            fn train_gmm_color_aff_tps() {
                super::test($make, "train_gmm_color_aff_tps", super::train);
            }

            #[test]
            fn train_kmeans_aff_morpho_tps() {
                super::test($make, "train_kmeans_aff_morpho_tps", super::train);
            }

            #[test]
            fn train_kmeans_color_aff_tps_zeros() {
                super::test($make, "train_kmeans_color_aff_tps_zeros", super::train);
            }

            #[test]
            fn train_kmeans_color_proj_weighted() {
                super::test($make, "train_kmeans_color_proj_weighted", super::train);
            }

            #[test]
            fn encoder_resnet20_c1() {
                super::test($make, "encoder_resnet20_c1", super::encoder);
            }

            #[test]
            fn encoder_resnet20_c3() {
                super::test($make, "encoder_resnet20_c3", super::encoder);
            }

            #[test]
            fn encoder_resnet32_c3() {
                super::test($make, "encoder_resnet32_c3", super::encoder);
            }

            #[test]
            fn encoder_resnet18_c3() {
                super::test($make, "encoder_resnet18_c3", super::encoder);
            }
        }
    };
}

compare_on!(cpu_engine, super::cpu);
compare_on!(cpu_portable, super::cpu_portable);
compare_on!(gpu_engine, super::gpu);

/// Results of a case by the names of the vectors.
type Results = BTreeMap<String, Vec<f32>>;

/// What a case computes, and how that is compared.
struct Case {
    compute: fn(&Vectors, &mut dyn Engine) -> Result<Results, String>,
    compare: fn(&Vectors, &Results) -> Result<String, String>,
}

fn test(make: Make, name: &str, case: fn() -> Case) {
    let mut engine = match make() {
        Ok(engine) => engine,
        Err(why) => {
            adapter::skip(name, &why);
            return;
        }
    };
    let vectors = Vectors::load(name).unwrap_or_else(|e| panic!("{e}"));
    let Case { compute, compare } = case();
    let results = compute(&vectors, &mut *engine).unwrap_or_else(|e| panic!("{name}: {e}"));
    match compare(&vectors, &results) {
        Ok(report) => println!("{name} on {}:\n{report}", engine.device()),
        Err(wrong) => panic!("{name} on {}:\n{wrong}", engine.device()),
    }
}

/// Declares an input; it gets its values from [`write`].
fn input(store: &mut Store, vectors: &Vectors, name: &str) -> Result<PersistentId, String> {
    Ok(store.add(name, &vectors.tensor(name)?.shape[..], Arena::Constants))
}

fn write(engine: &mut dyn Engine, store: &Store, id: PersistentId, tensor: &Tensor) -> Result<(), String> {
    let (declared, given) = (&store[id], &tensor.shape);
    if declared.shape.0 != *given {
        return Err(format!("{} has shape {:?}, not {given:?}", declared.name, declared.shape));
    }
    engine.write_f32(declared, &tensor.values).map_err(|e| e.to_string())
}

fn output(engine: &mut dyn Engine, plan: PlanId, index: usize) -> Result<Vec<f32>, EngineError> {
    Ok(bytemuck::pod_collect_to_vec(&engine.read_output(plan, index)?))
}

fn affine() -> Case {
    Case { compute: compute_affine, compare: compare_affine }
}

fn compute_affine(vectors: &Vectors, engine: &mut dyn Engine) -> Result<Results, String> {
    transform(vectors, engine, &Affine)
}

/// Applies a transformation and differentiates it.
fn transform(
    vectors: &Vectors,
    engine: &mut dyn Engine,
    transformation: &dyn Transformation,
) -> Result<Results, String> {
    let padding = match vectors.setting("padding").unwrap_or("border") {
        "border" => Padding::Border,
        "zeros" => Padding::Zeros,
        other => return Err(format!("padding '{other}'")),
    };
    let mut store = Store::new();
    let names = ["x", "beta", "grad_y"];
    let mut ids = Vec::new();
    for name in names {
        ids.push(input(&mut store, vectors, name)?);
    }
    let [.., height, width] = store[ids[0]].shape.0[..] else { return Err("x is no image".into()) };
    let constants = transformation.constants(height, width);
    let declare = |c: &Constant| store.add(c.name, c.shape.clone(), Arena::Constants);
    let constant_ids: Vec<PersistentId> = constants.iter().map(declare).collect();
    let mut tape = Tape::new();
    let [x, beta, grad_y] = [0, 1, 2].map(|i| tape.persistent(&store, ids[i]));
    let constant_vars: Vec<Var> = constant_ids.iter().map(|&id| tape.persistent(&store, id)).collect();
    let y = transformation.apply(&mut tape, Source::own(x), beta, &constant_vars, padding);
    let gradients = tape.gradients_from(&[(y, grad_y)], &[x, beta]).map_err(|e| e.to_string())?;
    tape.output(y);
    for gradient in gradients {
        tape.output(gradient.ok_or("a gradient is missing")?);
    }

    engine.allocate(&store).map_err(|e| e.to_string())?;
    let plan = engine.load(&[Program::new(&tape)]).map_err(|e| e.to_string())?[0];
    for (id, name) in ids.into_iter().zip(names) {
        write(engine, &store, id, vectors.tensor(name)?)?;
    }
    for (&id, constant) in constant_ids.iter().zip(&constants) {
        engine.write_f32(&store[id], &constant.values).map_err(|e| e.to_string())?;
    }
    engine.run(plan, 1).map_err(|e| e.to_string())?;
    let mut results = Results::new();
    for (i, name) in ["y", "grad_x", "grad_beta"].into_iter().enumerate() {
        results.insert(name.into(), output(engine, plan, i).map_err(|e| e.to_string())?);
    }
    Ok(results)
}

fn compare_affine(vectors: &Vectors, results: &Results) -> Result<String, String> {
    compare_transformed(vectors, results, AFFINE_Y, AFFINE_GRAD)
}

fn compare_transformed(vectors: &Vectors, results: &Results, y: Tolerance, grad: Tolerance) -> Result<String, String> {
    let mut comparison = Comparison::new(vectors);
    for (name, tolerance) in [("y", y), ("grad_x", grad), ("grad_beta", grad)] {
        comparison.tensor(name, &results[name], tolerance);
    }
    comparison.finish()
}

fn color() -> Case {
    Case {
        compute: |vectors, engine| transform(vectors, engine, &Color),
        compare: |vectors, results| compare_transformed(vectors, results, COLOR, COLOR),
    }
}

fn projective() -> Case {
    Case {
        compute: |vectors, engine| transform(vectors, engine, &Projective),
        compare: |vectors, results| compare_transformed(vectors, results, PROJECTIVE, PROJECTIVE),
    }
}

fn tps() -> Case {
    Case {
        compute: |vectors, engine| {
            let grid_size = vectors.setting("grid_size")?.parse().map_err(|e| format!("grid_size: {e}"))?;
            transform(vectors, engine, &Tps { grid_size })
        },
        compare: |vectors, results| compare_transformed(vectors, results, TPS_Y, TPS_GRAD),
    }
}

fn morpho() -> Case {
    Case {
        compute: |vectors, engine| {
            let kernel_size = vectors.setting("kernel_size")?.parse().map_err(|e| format!("kernel_size: {e}"))?;
            transform(vectors, engine, &Morpho { kernel_size, hard: false })
        },
        compare: |vectors, results| compare_transformed(vectors, results, MORPHO, MORPHO),
    }
}

fn train() -> Case {
    Case { compute: training::compute, compare: training::compare }
}

fn encoder() -> Case {
    Case { compute: compute_encoder, compare: compare_encoder }
}

fn compute_encoder(vectors: &Vectors, engine: &mut dyn Engine) -> Result<Results, String> {
    let weights = formula::weights(vectors)?;
    let mut store = Store::new();
    let x = input(&mut store, vectors, "x")?;
    let grad_y = input(&mut store, vectors, "grad_y")?;
    let channels = store[x].shape.0[1];
    let kind: EncoderKind = vectors.setting("encoder")?.parse().map_err(|e| format!("{e}"))?;
    let mut declare = Declare::new(&mut store);
    let encoder = Encoder::new(&mut declare, "encoder", kind, channels);
    let initial = declare.initial;
    let parameters = encoder.parameters();

    let mut train = Tape::new();
    let x_train = train.persistent(&store, x);
    let y = encoder.forward(&mut train, &store, x_train, Mode::Train);
    let incoming = train.persistent(&store, grad_y);
    let mut wrt = vec![x_train];
    wrt.extend(parameters.iter().map(|&id| train.persistent(&store, id)));
    let mut gradients = train.gradients_from(&[(y, incoming)], &wrt).map_err(|e| e.to_string())?.into_iter();
    let missing = |name: &str| format!("{name}: the features do not depend on it");
    train.output(y);
    train.output(gradients.next().flatten().ok_or_else(|| missing("x"))?);
    // Gradients of parameters go where training keeps them.
    for (&id, gradient) in parameters.iter().zip(gradients) {
        let gradient = gradient.ok_or_else(|| missing(&store[id].name))?;
        let place = store.view(id, id, Arena::Gradients);
        train.store(gradient, &store, place);
    }
    let mut eval = Tape::new();
    let x_eval = eval.persistent(&store, x);
    let y = encoder.forward(&mut eval, &store, x_eval, Mode::Eval);
    eval.output(y);

    engine.allocate(&store).map_err(|e| e.to_string())?;
    let plans = engine.load(&[Program::new(&train), Program::new(&eval)]).map_err(|e| e.to_string())?;
    write(engine, &store, x, vectors.tensor("x")?)?;
    write(engine, &store, grad_y, vectors.tensor("grad_y")?)?;
    for (id, init) in &initial {
        let tensor = &store[*id];
        match (weights.get(&tensor.name), init) {
            (Some(weight), _) => write(engine, &store, *id, weight)?,
            // Running statistics start from constants, which the formula leaves out.
            (None, Init::Constant(value)) if !parameters.contains(id) => {
                engine.write_f32(tensor, &vec![*value; tensor.shape.len()]).map_err(|e| e.to_string())?;
            }
            (None, _) => return Err(format!("{}: the formula has no weights for it", tensor.name)),
        }
    }
    if weights.len() != parameters.len() {
        return Err(format!("weights for {} tensors, but {} parameters", weights.len(), parameters.len()));
    }

    engine.run(plans[0], 1).map_err(|e| e.to_string())?;
    let mut results = Results::new();
    let mut keep = |name: String, values: Result<Vec<f32>, EngineError>| -> Result<(), String> {
        results.insert(name, values.map_err(|e| e.to_string())?);
        Ok(())
    };
    keep("y_train".into(), output(engine, plans[0], 0))?;
    keep("grad_x".into(), output(engine, plans[0], 1))?;
    for (id, _) in &initial {
        if parameters.contains(id) {
            let place = store.view(*id, *id, Arena::Gradients);
            keep(format!("grad.{}", store[*id].name), engine.read_f32(&store[place]))?;
        } else {
            keep(format!("after.{}", store[*id].name), engine.read_f32(&store[*id]))?;
        }
    }
    engine.run(plans[1], 1).map_err(|e| e.to_string())?;
    keep("y_eval".into(), output(engine, plans[1], 0))?;
    Ok(results)
}

fn compare_encoder(vectors: &Vectors, results: &Results) -> Result<String, String> {
    let mut comparison = Comparison::new(vectors);
    let resnet18 = vectors.setting("encoder")? == "resnet18";
    let grad = if resnet18 { ENCODER_GRAD_RESNET18 } else { ENCODER_GRAD };
    for (name, values) in results {
        match name.as_str() {
            "y_train" | "y_eval" => comparison.tensor(name, values, ENCODER_Y),
            "grad_x" if resnet18 => comparison.tensor_but(name, values, &under_ties(vectors)?, ENCODER_GRAD_X),
            "grad_x" => comparison.tensor(name, values, ENCODER_GRAD_X),
            after if after.starts_with("after.") => comparison.digest(name, values, ENCODER_AFTER),
            _ => comparison.digest(name, values, grad),
        }
    }
    comparison.finish()
}

#[test]
fn gaussian_weights_are_exact() {
    let vectors = Vectors::load("gaussian_weights").unwrap_or_else(|e| panic!("{e}"));
    let expected = vectors.tensor("w").expect("the weights");
    let std: f64 = vectors.setting("std").expect("the deviation").parse().expect("a number");
    let [c, h, w] = expected.shape[..] else { panic!("shape {:?}", expected.shape) };
    let differing = |std: f64| {
        let found = gaussian_weights(c, h, w, std);
        assert_eq!(found.len(), expected.values.len());
        found.iter().zip(&expected.values).filter(|(f, e)| f.to_bits() != e.to_bits()).count()
    };
    assert_eq!(differing(std), 0, "of {} weights differ", expected.values.len());
    assert_ne!(differing(std * (1.0 + 1e-6)), 0, "another deviation passed");
    assert!(vectors.unused().is_empty());
}

/// Negative controls: what the comparisons above must notice. Each starts from results that pass.
mod controls {
    use super::*;

    fn passing(name: &str, case: &Case) -> (Vectors, Results) {
        let vectors = Vectors::load(name).unwrap_or_else(|e| panic!("{e}"));
        let results = (case.compute)(&vectors, &mut *cpu().expect("a processor")).expect(name);
        (case.compare)(&vectors, &results).expect(name);
        (vectors, results)
    }

    /// The complaint about spoilt results.
    fn complaint(case: &Case, vectors: &Vectors, results: &Results, what: &str) -> String {
        match (case.compare)(vectors, results) {
            Ok(_) => panic!("{what} passed"),
            Err(complaint) => complaint,
        }
    }

    fn with(results: &Results, name: &str, spoil: impl FnOnce(&mut Vec<f32>)) -> Results {
        let mut spoilt = results.clone();
        spoil(spoilt.get_mut(name).expect(name));
        spoilt
    }

    /// Exchanges items `a` and `b` of `len` elements.
    fn swap(values: &mut [f32], len: usize, a: usize, b: usize) {
        (0..len).for_each(|i| values.swap(a * len + i, b * len + i));
    }

    fn scale(values: &[f32]) -> f32 {
        values.iter().fold(0.0, |m, v| m.max(v.abs()))
    }

    #[test]
    fn one_wrong_element_is_noticed() {
        for (name, case) in [("affine_zeros_c3", affine()), ("encoder_resnet20_c1", encoder())] {
            let (vectors, results) = passing(name, &case);
            for (tensor, values) in results.iter().filter(|(t, _)| !t.contains('.')) {
                let limit = if name.starts_with("affine") { AFFINE_Y } else { ENCODER_GRAD_X }.limit() as f32;
                for at in [0, values.len() / 2, values.len() - 1] {
                    let spoilt = with(&results, tensor, |v| v[at] += 3.0 * limit * scale(values));
                    let complaint = complaint(&case, &vectors, &spoilt, tensor);
                    assert!(complaint.starts_with(tensor.as_str()) && complaint.lines().count() == 1, "{complaint}");
                    let spoilt = with(&results, tensor, |v| v[at] = f32::NAN);
                    super::controls::complaint(&case, &vectors, &spoilt, "NaN");
                }
            }
            // A digest sees one element where it is a hundredth of the norm.
            for (tensor, values) in results.iter().filter(|(t, _)| t.contains('.')) {
                let spoilt = with(&results, tensor, |v| v[0] += 0.01 * digest(values).0 as f32);
                let complaint = complaint(&case, &vectors, &spoilt, tensor);
                assert!(complaint.starts_with(&format!("digest.{tensor}:")), "{complaint}");
                let spoilt = with(&results, tensor, |v| v[0] = f32::NAN);
                super::controls::complaint(&case, &vectors, &spoilt, "NaN");
            }
        }
    }

    #[test]
    fn wrong_training_is_noticed() {
        let (name, case) = ("train_kmeans_color_aff_tps_zeros", train());
        let (vectors, results) = passing(name, &case);
        for tensor in ["loss", "distances", "grad.prototypes", "after.prototypes", "eval_transformed"] {
            let spoilt = with(&results, tensor, |v| v[0] += 0.01 * scale(&results[tensor]));
            assert!(complaint(&case, &vectors, &spoilt, tensor).starts_with(tensor), "{tensor}");
        }
        let heads = "after.transformer.tsf_sequences.1.tsf_modules.2.regressor.4.bias";
        let spoilt = with(&results, heads, |v| v[0] += 0.1 * digest(&results[heads]).0 as f32);
        complaint(&case, &vectors, &spoilt, heads);
    }

    #[test]
    fn swapped_channels_are_noticed() {
        let case = affine();
        let (vectors, results) = passing("affine_border_c3", &case);
        let [_, _, h, w] = vectors.tensor("y").expect("y").shape[..] else { panic!("y is no image") };
        for tensor in ["y", "grad_x"] {
            complaint(&case, &vectors, &with(&results, tensor, |v| swap(v, h * w, 0, 1)), tensor);
        }
        let case = encoder();
        let (vectors, results) = passing("encoder_resnet20_c1", &case);
        for (tensor, len) in [
            ("y_train", 1),
            ("y_eval", 1),
            ("grad_x", 28 * 28),
            ("grad.encoder.0.weight", 9),
            ("grad.encoder.4.1.conv2.weight", 32 * 9),
            ("grad.encoder.5.2.bn2.bias", 1),
            ("after.encoder.1.running_mean", 1),
            ("after.encoder.4.0.bn1.running_var", 1),
        ] {
            complaint(&case, &vectors, &with(&results, tensor, |v| swap(v, len, 0, 1)), tensor);
        }
    }

    #[test]
    fn wrong_inputs_are_noticed() {
        let swapped_pixels = |name: &str, case: Case| {
            let (mut vectors, _) = passing(name, &case);
            vectors.tensors_mut().get_mut("x").expect("x").values.swap(400, 401);
            let results = (case.compute)(&vectors, &mut *cpu().expect("a processor")).expect(name);
            complaint(&case, &vectors, &results, name);
        };
        swapped_pixels("affine_border_c1", affine());
        swapped_pixels("encoder_resnet20_c1", encoder());
    }

    #[test]
    fn missing_and_unknown_tensors_are_noticed() {
        for (name, case) in [("affine_zeros_c1", affine()), ("encoder_resnet20_c1", encoder())] {
            let (_, results) = passing(name, &case);
            for tensor in results.keys() {
                let tensor = if tensor.contains('.') { format!("digest.{tensor}") } else { tensor.clone() };
                let mut vectors = Vectors::load(name).unwrap_or_else(|e| panic!("{e}"));
                // The inputs are not what this control is about.
                for input in ["x", "beta", "grad_y"] {
                    let _ = vectors.tensor(input);
                }
                let removed = vectors.tensors_mut().remove(&tensor).expect(&tensor);
                let wrong = complaint(&case, &vectors, &results, &tensor);
                assert_eq!(wrong, format!("{tensor}: not among the vectors"));

                vectors.tensors_mut().insert(tensor, removed.clone());
                vectors.tensors_mut().insert("another".into(), removed);
                let wrong = complaint(&case, &vectors, &results, "an unknown tensor");
                assert_eq!(wrong, "another: nothing was compared with it");
            }
        }
        assert!(Vectors::load("no_such_case").is_err());
    }

    #[test]
    fn only_few_elements_are_excused_and_only_from_rounding() {
        let vectors = Vectors::load("encoder_resnet18_c3").unwrap_or_else(|e| panic!("{e}"));
        let expected = &vectors.tensor("grad_x").expect("the gradient").values;
        let excused = under_ties(&vectors).expect("ResNet-18");
        let complaints = |values: &[f32], excused: &[bool]| {
            let mut comparison = Comparison::new(&vectors);
            comparison.tensor_but("grad_x", values, excused, ENCODER_GRAD_X);
            let wrong = comparison.finish().expect_err("nothing else was compared");
            wrong.lines().filter(|l| l.starts_with("grad_x")).count()
        };
        let spoilt = |at: usize, value: f32| {
            let mut values = expected.clone();
            values[at] += value;
            complaints(&values, &excused)
        };
        assert_eq!(complaints(expected, &excused), 0);
        assert_eq!(complaints(expected, &vec![true; expected.len()]), 1, "all excused");
        let judged = excused.iter().position(|e| !e).expect("most are judged");
        assert_eq!((spoilt(judged, 0.01), spoilt(judged, f32::NAN)), (1, 1));
        println!("{} of {} elements are excused", excused.iter().filter(|e| **e).count(), excused.len());
        if let Some(tied) = excused.iter().position(|e| *e) {
            assert_eq!((spoilt(tied, 0.01), spoilt(tied, f32::NAN)), (0, 1));
        }
        assert_eq!(complaints(&expected[1..], &excused), 1, "a missing element");
    }

    #[test]
    fn lengths_are_compared() {
        let case = affine();
        let (vectors, results) = passing("affine_border_c1", &case);
        let wrong = complaint(&case, &vectors, &with(&results, "y", |v| v.truncate(5)), "a short tensor");
        assert_eq!(wrong, "y: 5 elements, expected 4704");
    }
}
