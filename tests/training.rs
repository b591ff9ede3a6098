//! Short training runs: the loss falls, repetitions agree to the bit, the engines agree step by step, and nothing is
//! lost when something goes wrong.

mod adapter;

use proteus::cpu::{CpuEngine, Isa, Options};
use proteus::data::{ImageSet, mnist5k};
use proteus::gpu;
use proteus::report::illustrate;
use proteus::tape::{Engine, Program, Store};
use proteus::train::{Config, Ledger, RunFolder, TrainError, Trainer, evaluate_run, preset, train, training_step};
use std::ops::ControlFlow;

struct Silent;

impl proteus::train::Observer for Silent {
    fn progress(&mut self, _: proteus::train::Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Both stages, a last partial batch, looks for empty clusters.
fn config(changes: &[&str]) -> Config {
    // Shares of so few batches say little: only clusters that are all but empty restart.
    let short = ["epochs=4", "batch_size=64", "check_cluster_interval=3", "empty_cluster_threshold=0.2", "limit=200"];
    let stages = ["sequence=identity affine", "curriculum=[2]", "lr_milestones=[]", "eval_interval=1"];
    preset("mnist5k")
        .and_then(|c| c.set(&short))
        .and_then(|c| c.set(&stages))
        .and_then(|c| c.set(changes))
        .expect("a good configuration")
}

fn images(config: &Config) -> ImageSet {
    mnist5k::load().expect("the embedded digits").spread(config.limit)
}

/// Losses of all steps and final assignments.
fn run(config: &Config, engine: &mut dyn Engine) -> (Vec<f32>, Vec<u32>, Vec<f32>) {
    let set = images(config);
    let mut trainer = Trainer::new(config.clone(), &set, engine).expect("a trainer");
    let mut losses = Vec::new();
    for _ in 0..config.epochs {
        let epoch = trainer.train_epoch(&mut |_, _| ControlFlow::Continue(())).expect("an epoch");
        let epoch = epoch.expect("not stopped");
        assert!((epoch.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "every image is won once: {:?}", epoch.shares);
        losses.extend(epoch.losses);
    }
    let evaluation = trainer.evaluate().expect("an evaluation");
    (losses, evaluation.assignments, evaluation.distances)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn cpu(threads: usize) -> CpuEngine {
    CpuEngine::new(Some(threads)).expect("an engine")
}

#[test]
fn the_loss_falls_and_repetitions_agree_to_the_bit() {
    let config = config(&[]);
    let (losses, assignments, distances) = run(&config, &mut cpu(2));
    assert_eq!(losses.len(), 16, "three full batches and a partial one, four times");
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let (first, identity, last) = (mean(&losses[..4]), mean(&losses[4..8]), mean(&losses[12..]));
    assert!(identity < first && last < 0.9 * identity, "the loss falls: {losses:?}");
    for threads in [2, 1, 3] {
        let (again, same, close) = run(&config, &mut cpu(threads));
        assert_eq!(bits(&again), bits(&losses), "{threads} threads");
        assert_eq!(same, assignments);
        assert_eq!(bits(&close), bits(&distances));
    }
    // A negative control: another seed is another run.
    let (other, ..) = run(&Config { seed: 1, ..config }, &mut cpu(2));
    assert_ne!(bits(&other), bits(&losses));
}

#[test]
fn memory_reuse_chains_and_instruction_sets_do_not_change_the_result() {
    let all =
        ["epochs=3", "limit=80", "sequence=identity color affine projective morpho tps", "curriculum=[1,1,1,1,1]"];
    let config = config(&all);
    let (losses, ..) = run(&config, &mut cpu(2));
    let options = Options { threads: Some(2), chains: false, ..Options::default() };
    let (unchained, ..) = run(&config, &mut CpuEngine::with_options(options).expect("an engine"));
    assert_eq!(bits(&unchained), bits(&losses), "operations on rows one by one");
    let mixture = Config { model: "gmm".into(), limit: 20, ..config.clone() };
    let (losses_of_mixture, ..) = run(&mixture, &mut cpu(2));
    let (unchained, ..) = run(&mixture, &mut CpuEngine::with_options(options).expect("an engine"));
    assert_eq!(bits(&unchained), bits(&losses_of_mixture), "operations on rows of a mixture one by one");
    let options = Options { threads: Some(2), reuse: false, ..Options::default() };
    let mut apart = CpuEngine::with_options(options).expect("an engine");
    let (again, ..) = run(&config, &mut apart);
    assert_eq!(bits(&again), bits(&losses), "planned memory");
    let mut shared = cpu(2);
    run(&config, &mut shared);
    assert!(shared.memory() < apart.memory() / 2, "{} of {}", shared.memory(), apart.memory());
    let options = Options { threads: Some(2), isa: Isa::Portable, ..Options::default() };
    let (portable, ..) = run(&config, &mut CpuEngine::with_options(options).expect("an engine"));
    close(&portable, &losses, 2e-3);
}

/// Fails unless two losses differ by less than `tolerance` of their size at every step.
fn close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (step, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs(), "step {step}: {a} and {b}");
    }
}

#[test]
#[should_panic(expected = "step 1")]
fn the_comparison_of_losses_can_fail() {
    close(&[1.0, 1.0], &[1.0, 1.01], 1e-3);
}

/// The same steps on WGSL kernels and on the CPU: losses agree step by step, and the GPU with itself to the bit.
#[test]
fn the_engines_agree_step_by_step() {
    let Some(mut engine) = adapter::open_or_skip(gpu::Options::default()) else { return };
    let config = config(&["limit=40", "batch_size=16", "epochs=2", "curriculum=[1]", "clusters=5"]);
    let (on_cpu, ..) = run(&config, &mut cpu(2));
    let (on_gpu, assignments, _) = run(&config, &mut engine);
    assert_eq!(on_gpu.len(), 6);
    eprintln!("cpu {on_cpu:?}\ngpu {on_gpu:?}");
    close(&on_gpu, &on_cpu, 1e-3);
    let (again, same, _) = run(&config, &mut engine);
    assert_eq!(bits(&again), bits(&on_gpu));
    assert_eq!(same, assignments);
    // As large GPUs start: with normalisations folded into the convolutions beside them.
    drop(engine);
    let tiled = gpu::Options { variants: gpu::VariantChoice::everywhere(gpu::TILED), ..gpu::Options::default() };
    let Some(mut engine) = adapter::open_or_skip(tiled) else { return };
    close(&run(&config, &mut engine).0, &on_cpu, 1e-3);
}

#[test]
fn a_diverging_run_stops_and_keeps_its_last_good_weights() {
    // The second epoch is ruined by its learning rate; the first left good weights.
    let config = config(&["lr_milestones=[1]", "lr_gamma=1e33"]);
    let set = images(&config);
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("run");
    let mut folder = RunFolder::create(&path, &config, &set).expect("a folder");
    let error = train(&config, &set, &mut cpu(2), &mut folder, &mut Silent).expect_err("no loss survives that");
    let TrainError::Diverged { epoch, step, .. } = error else { panic!("{error}") };
    assert!(epoch == 2 && step > 1, "epoch {epoch}, step {step}");
    let text = error.to_string();
    assert!(text.contains("smaller lr") && text.contains("is in the distances"), "{text}");
    let kept = evaluate_run(&path, &config, &set, &mut cpu(2), false).expect("the weights of the first epoch");
    let good = Config { epochs: 1, ..config.clone() };
    let (_, assignments, _) = run(&good, &mut cpu(2));
    assert_eq!(kept.assignments, assignments);

    // Ruined by the very last update, which no training step sees.
    let last = Config { batch_size: 200, epochs: 2, ..config };
    let mut folder = RunFolder::create(&home.path().join("last"), &last, &set).expect("a folder");
    let error = train(&last, &set, &mut cpu(2), &mut folder, &mut Silent).expect_err("no evaluation survives that");
    assert!(matches!(error, TrainError::Diverged { epoch: 2, .. }), "{error}");
    assert!(error.to_string().contains("is in the distances"), "{error}");
    assert!(evaluate_run(&home.path().join("last"), &last, &set, &mut cpu(2), false).is_ok());
}

/// The beginning of the epoch is kept on the device, or read by the host where there is no room: the diagnosis is the same.
#[test]
fn a_divergence_on_a_gpu_is_done_again_from_what_the_device_kept() {
    let changes = ["sequence=identity", "curriculum=[]", "lr_milestones=[1]", "lr_gamma=1e33", "batch_size=20"];
    let config = config(&changes);
    let set = images(&config);
    let diverged = |engine: &mut dyn Engine| {
        let mut trainer = Trainer::new(config.clone(), &set, engine).expect("a trainer");
        let mut epoch = || trainer.train_epoch(&mut |_, _| ControlFlow::Continue(()));
        epoch().expect("good").expect("not stopped");
        let error = epoch().expect_err("no loss survives that");
        assert!(matches!(error, TrainError::Diverged { epoch: 2, step: 2.., .. }), "{error}");
        let state = trainer.snapshot().expect("a snapshot");
        assert_eq!(state.course.part.step + 1, 2, "up to the last good step");
        (error.to_string(), state.arenas, trainer.peak_memory())
    };
    let (told, ..) = diverged(&mut cpu(2));
    assert!(told.contains("is in the distances"), "{told}");
    let Some(mut engine) = adapter::open_or_skip(gpu::Options::default()) else { return };
    let (on_device, state, peak) = diverged(&mut engine);
    drop(engine);
    let limit = gpu::Options { memory_limit: Some(peak - 1), ..gpu::Options::default() };
    let Some(mut engine) = adapter::open_or_skip(limit) else { return };
    let (on_host, same, less) = diverged(&mut engine);
    assert!(less < peak, "{less} and {peak} bytes");
    assert!(told == on_device && told == on_host, "{told}\n{on_device}\n{on_host}");
    assert!(state == same, "the same state, to the bit");
}

#[test]
fn a_run_can_be_scored_from_its_checkpoint_and_damage_is_noticed() {
    let config = config(&["epochs=3"]);
    let set = images(&config);
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("run");
    let mut folder = RunFolder::create(&path, &config, &set).expect("a folder");
    let finished = train(&config, &set, &mut cpu(2), &mut folder, &mut Silent).expect("a run");
    let again = evaluate_run(&path, &config, &set, &mut cpu(1), false).expect("an evaluation");
    assert_eq!(again.assignments, finished.evaluation.assignments);
    assert_eq!(bits(&again.distances), bits(&finished.evaluation.distances));

    // Names and shapes are those of the published state dict.
    let weights = path.join("model.safetensors");
    let bytes = std::fs::read(&weights).expect("readable");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    for (name, shape) in [
        ("prototypes", vec![10, 1, 28, 28]),
        ("transformer.encoder.encoder.0.weight", vec![16, 1, 3, 3]),
        ("transformer.encoder.encoder.1.running_var", vec![16]),
        ("transformer.encoder.encoder.4.0.conv1.weight", vec![32, 16, 3, 3]),
        ("transformer.tsf_sequences.9.tsf_modules.1.regressor.4.weight", vec![6, 128]),
    ] {
        assert_eq!(file.tensor(name).expect(name).shape(), shape, "{name}");
    }

    let damage = |bytes: &[u8]| {
        std::fs::write(&weights, bytes).expect("writable");
        evaluate_run(&path, &config, &set, &mut cpu(1), false).expect_err("damaged").to_string()
    };
    for cut in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(damage(&bytes[..cut]).contains("model.safetensors"), "cut to {cut} bytes");
    }
    let other = Config { clusters: 7, ..config.clone() };
    std::fs::write(&weights, &bytes).expect("writable");
    let error = evaluate_run(&path, &other, &set, &mut cpu(1), false).expect_err("another model").to_string();
    assert!(error.contains("'prototypes'") && error.contains("[10, 1, 28, 28]"), "{error}");
}

/// Evaluation may replace morphology by dilations and erosions; training still uses what has a gradient.
#[test]
fn hard_limits_of_morphology_can_be_evaluated() {
    let changes = ["sequence=identity morpho", "curriculum=[0]", "kernel_size=3", "epochs=2", "limit=100"];
    let config = config(&changes);
    let set = images(&config);
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("run");
    let mut folder = RunFolder::create(&path, &config, &set).expect("a folder");
    let finished = train(&config, &set, &mut cpu(2), &mut folder, &mut Silent).expect("a run");
    let hard = evaluate_run(&path, &config, &set, &mut cpu(2), true).expect("an evaluation");
    assert!(hard.loss.is_finite() && hard.loss != finished.evaluation.loss, "{}", hard.loss);
    let soft = evaluate_run(&path, &config, &set, &mut cpu(2), false).expect("an evaluation");
    assert_eq!(bits(&soft.distances), bits(&finished.evaluation.distances));

    // After two epochs the weights have hardly moved: the only one above one half is that of the centre, and the limit
    // leaves prototypes as they are.
    let mut engine = cpu(2);
    let mut trainer = Trainer::new(config.clone(), &set, &mut engine).expect("a trainer");
    trainer.evaluate_hard_morphology();
    trainer.train_epoch(&mut |_, _| ControlFlow::Continue(())).expect("it trains").expect("not stopped");
    let all: Vec<u32> = (0..10).collect();
    let (aligned, prototypes) = (trainer.align(&all, &all).expect("aligned"), trainer.prototypes().expect("read"));
    assert_eq!(bits(&aligned), bits(&prototypes));
}

#[test]
fn images_too_small_for_an_encoder_are_refused() {
    let set = |h: usize, w: usize| {
        let pixels = (0..20 * h * w).map(|p| (p * 37 % 256) as u8).collect();
        ImageSet::new("made", 1, h, w, pixels, None).expect("a set")
    };
    let config = config(&["encoder=resnet18"]);
    for (h, w) in [(6, 28), (28, 6), (1, 1)] {
        let error = TrainError::from(config.spec(&set(h, w)).expect_err("too small"));
        let message = error.to_string();
        assert!(error.is_users() && message.contains("encoder = resnet18") && message.contains("7x7"), "{message}");
        // Without transformations there is no encoder, and the others take any image.
        let plain = ["sequence=identity", "curriculum=[]"];
        assert!(config.clone().set(&plain).and_then(|c| c.spec(&set(h, w))).is_ok());
        assert!(config.clone().set(&["encoder=resnet20"]).and_then(|c| c.spec(&set(h, w))).is_ok());
    }
    assert!(config.spec(&set(7, 7)).is_ok());
}

#[test]
fn photographs_encoder_trains_small_images_too() {
    let config = config(&["encoder=resnet18", "limit=40", "batch_size=32", "epochs=1", "curriculum=[0]"]);
    let (losses, assignments, distances) = run(&config, &mut cpu(2));
    assert_eq!((losses.len(), assignments.len()), (2, 40));
    assert!(losses.iter().chain(&distances).all(|l| l.is_finite() && *l > 0.0), "{losses:?}");
}

#[test]
fn a_full_set_of_one_batch_and_one_of_less_than_a_batch_train() {
    for limit in ["limit=64", "limit=30"] {
        let config = config(&[limit]);
        let (losses, assignments, _) = run(&config, &mut cpu(2));
        assert_eq!(losses.len(), 4, "{limit}");
        assert_eq!(assignments.len(), config.limit);
    }
}

/// What a step does not compute: no encoder while only the identity is active, and one chain of warps and heads backward
/// for each image, not one for each prototype.
#[test]
fn steps_leave_out_what_the_loss_does_not_need() {
    let config = config(&["clusters=7"]);
    let set = images(&config);
    let mut store = Store::new();
    let model = config.spec(&set).expect("a model").declare(&mut store);
    let ledger = Ledger::new(&mut store, &set, &config, model.groups(1).len());
    let mut step =
        |active| training_step(model.as_ref(), &mut store, &ledger, &config, 16, active).expect("differentiable");
    let names = |program: &Program| program.calls.iter().map(|c| c.op.name()).collect::<Vec<_>>();
    let (identity, affine) = (step(0), step(1));
    for name in ["conv2d", "linear", "grid_sample", "batch_norm_stats"] {
        assert!(!names(&identity).contains(&name), "{name} in the identity stage");
        assert!(names(&affine).contains(&name), "{name} in the affine stage");
    }
    for call in &affine.calls {
        let rows = match call.op.name() {
            "grid_sample_grad_image" | "affine_grid_grad" | "linear_grad_input" => call.outputs[0].shape.0[0],
            "grid_sample_grad_grid" => call.inputs[1].shape.0[0],
            "linear_grad_weight" => call.inputs[0].shape.0[0],
            _ => continue,
        };
        assert_eq!(rows, 16, "rows of {}", call.op.name());
    }
    // Forward there are all of them.
    assert!(affine.calls.iter().any(|c| c.op.name() == "grid_sample" && c.outputs[0].shape.0[..2] == [16, 7]));
}

/// Shapes that nobody tunes for: one prototype, one image, tiny images, three channels, no labels.
#[test]
fn unusual_sets_train() {
    for (n, shape, k, labelled) in [
        (1, [1, 28, 28], 1, true),
        (5, [1, 4, 4], 2, true),
        (33, [3, 9, 7], 4, false),
        (40, [3, 16, 16], 3, true),
        (12, [1, 1, 5], 12, false),
    ] {
        let [channels, height, width] = shape;
        let item = channels * height * width;
        // Images of three brightnesses with some texture.
        let pixels = (0..n * item).map(|p| ((p / item % 3) * 80 + p * 2654435761 / 977 % 60) as u8).collect();
        let labels = labelled.then(|| (0..n as u32).map(|i| i % 3).collect());
        let set = ImageSet::new("made", channels, height, width, pixels, labels).expect("a set");
        let config = config(&["epochs=3", "batch_size=16", "curriculum=[1]", "gaussian_weights_std=3", "limit=0"]);
        let config = Config { clusters: k, ..config };
        let home = tempfile::tempdir().expect("a folder");
        let mut folder = RunFolder::create(&home.path().join("run"), &config, &set).expect("a folder");
        let finished = train(&config, &set, &mut cpu(2), &mut folder, &mut Silent).expect("a run");
        assert_eq!(finished.evaluation.sizes.iter().sum::<usize>(), n, "{n} images of {shape:?}");
        assert_eq!(finished.evaluation.scores.is_some(), labelled);
        let about = serde_json::Value::Null;
        let pictured = illustrate(folder.path(), &config, &set, &mut cpu(1), &finished.evaluation, &about);
        pictured.expect("pictures and a report");
    }
}

/// What it is all for: digits are told apart better when prototypes transform than when they do not. The preset on a
/// fifth of its digits, with margins for other processors' roundings.
#[test]
fn transforming_prototypes_cluster_digits_better() {
    let nmi = |sequence: &[&str]| {
        let short = ["limit=1000", "batch_size=50", "epochs=12", "lr_milestones=[10]"];
        let config = config(&[&short[..], sequence].concat());
        let set = images(&config);
        let (_, assignments, _) = run(&config, &mut cpu(2));
        let labels = set.labels.expect("digits have labels");
        proteus::metrics::score(&labels, &assignments, 10, 10).expect("a score").nmi
    };
    let plain = nmi(&["sequence=identity", "curriculum=[]"]);
    let affine = nmi(&["sequence=identity affine", "curriculum=[2]"]);
    assert!(plain > 0.3, "K-means: NMI {plain}");
    assert!(affine > 0.52 && affine > plain + 0.05, "NMI {affine} with affine maps, {plain} without");
}
