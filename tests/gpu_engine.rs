//! The GPU engine from end to end.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

mod adapter;

use adapter::open_or_skip as open;
use proteus::cpu::CpuEngine;
use proteus::gpu::{Fusion, GpuEngine, HALF, MATRIX, Options, VariantChoice, Variants, adapters, lower};
use proteus::tape::{
    AdamSpec, Arena, ConvSpec, Engine, EngineError, KernelTime, Padding, PersistentId, Program, Rows, Store, Tape,
};

/// One device at a time: software drivers leak and race when a process has many.
static DEVICE: Mutex<()> = Mutex::new(());

/// The shared engine, or nothing where the adapter is missing.
fn shared() -> Option<MutexGuard<'static, GpuEngine>> {
    static ENGINE: OnceLock<Option<Mutex<GpuEngine>>> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| open(Options { baseline_limits: true, ..Options::default() }).map(Mutex::new));
    engine.as_ref().map(|engine| engine.lock().unwrap_or_else(PoisonError::into_inner))
}

fn alone() -> MutexGuard<'static, ()> {
    DEVICE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A small model with an encoder, a warp and prototypes: store, training step, loss history and parameters.
struct Model {
    store: Store,
    step: Program,
    history: PersistentId,
    parameters: Vec<PersistentId>,
    initial: Vec<(PersistentId, Vec<f32>)>,
    images: Vec<u8>,
    order: PersistentId,
}

const STEPS: usize = 12;
const IMAGES: usize = 32;

impl Model {
    fn new() -> Self {
        let (batch, k, size) = (8, 3, 10);
        let (mut tape, mut store) = (Tape::new(), Store::new());
        let data = store.add("images", [IMAGES, 1, size, size], Arena::Images);
        let order = store.add("order", [STEPS * batch], Arena::Control);
        let clock = store.add("clock", [2], Arena::Control);
        let schedule = store.add("schedule", [STEPS, 1, 2], Arena::State);
        let history = store.add("history", [STEPS], Arena::State);
        let assigned = store.add("assigned", [STEPS * batch], Arena::Results);
        let counts = store.add("counts", [k], Arena::Results);
        let running = [store.add("mean", [6], Arena::State), store.add("variance", [6], Arena::State)];
        let parameters = vec![
            store.parameter("conv", [6, 1, 3, 3]),
            store.parameter("gamma", [6]),
            store.parameter("beta", [6]),
            store.parameter("conv2", [9, 6, 3, 3]),
            store.parameter("head", [k, 6, 9]),
            store.parameter("bias", [k, 6]),
            store.parameter("prototypes", [k, 1, size, size]),
        ];
        let var = |tape: &mut Tape, id| tape.persistent(&store, id);
        let [data_v, order_v, clock_v, schedule_v] = [data, order, clock, schedule].map(|id| var(&mut tape, id));
        let p: Vec<_> = parameters.iter().map(|&id| var(&mut tape, id)).collect();

        let x = tape.gather_images(data_v, order_v, clock_v, batch);
        let y = tape.conv2d(x, p[0], ConvSpec { stride: 1, pad: 1 });
        let stats = tape.batch_norm_stats(y);
        let running = running.map(|id| var(&mut tape, id));
        tape.running_stats(stats, (running[0], running[1]), 0.1, batch * size * size);
        let y = tape.batch_norm(y, stats, p[1], p[2], 1e-5, true);
        let y = tape.relu(y);
        let y = tape.conv2d(y, p[3], ConvSpec { stride: 2, pad: 1 });
        let features = tape.global_avg_pool(y);
        // The winner by plain distance has its head and its warp trained.
        let d = tape.squared_distance(x, p[6], None, Rows::Each, None);
        let (_, argmin) = tape.min_row(d);
        let beta = tape.linear(features, p[4], p[5], Rows::Selected, Some(argmin));
        let grid = tape.affine_grid(beta, size, size);
        let warped = tape.grid_sample(p[6], grid, Padding::Border, Rows::Selected, Some(argmin));
        let d = tape.squared_distance(x, warped, None, Rows::Own, None);
        let loss = tape.mean(d);
        tape.output(loss);
        let gradients = tape.gradients(loss, &p).expect("differentiable");
        for (&id, gradient) in parameters.iter().zip(gradients) {
            let view = |store: &mut Store, tape: &mut Tape, arena| {
                let view = store.view(id, id, arena);
                (view, tape.persistent(store, view))
            };
            let (gradient_id, gradient_v) = view(&mut store, &mut tape, Arena::Gradients);
            tape.store(gradient.expect("the loss depends on it"), &store, gradient_id);
            let state = [Arena::Parameters, Arena::Moment1, Arena::Moment2].map(|a| view(&mut store, &mut tape, a).1);
            let spec = AdamSpec { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
            tape.adam((state[0], state[1], state[2]), gradient_v, schedule_v, clock_v, 0, spec);
        }
        let [history_v, assigned_v, counts_v] = [history, assigned, counts].map(|id| tape.persistent(&store, id));
        tape.record(loss, clock_v, history_v);
        tape.store_rows(argmin, clock_v, assigned_v);
        tape.count(argmin, counts_v);
        tape.advance(clock_v, batch);

        let mut random = noise(7);
        let mut initial: Vec<(PersistentId, Vec<f32>)> = parameters
            .iter()
            .map(|&id| {
                let scale = if store[id].name == "prototypes" { 1.0 } else { 0.3 };
                (id, (0..store[id].shape.len()).map(|_| scale * random()).collect())
            })
            .collect();
        let lr = |t: usize| 0.01 / (1.0 - 0.9f64.powi(t as i32 + 1));
        let correction = |t: usize| 1.0 / (1.0 - 0.999f64.powi(t as i32 + 1)).sqrt();
        initial.push((schedule, (0..STEPS).flat_map(|t| [lr(t) as f32, correction(t) as f32]).collect()));
        let images = (0..IMAGES * size * size).map(|_| (random() * 255.0) as u8).collect();
        Model { step: Program::new(&tape), store, history, parameters, initial, images, order }
    }

    fn start(&self, engine: &mut dyn Engine) {
        engine.allocate(&self.store).expect("allocated");
        for (id, values) in &self.initial {
            engine.write_f32(&self.store[*id], values).expect("written");
        }
        let order: Vec<u32> = (0..self.store[self.order].shape.len()).map(|i| (i * 13 % IMAGES) as u32).collect();
        engine.write_u32(&self.store[self.order], &order).expect("written");
        engine.write(Arena::Images, 0, &self.images).expect("written");
    }

    /// Trains all steps; the bits of everything that training leaves behind.
    fn train(&self, engine: &mut dyn Engine) -> Trained {
        self.start(engine);
        let plan = engine.load(std::slice::from_ref(&self.step)).expect("loaded")[0];
        engine.run(plan, STEPS).expect("ran");
        Trained {
            losses: engine.read_f32(&self.store[self.history]).expect("read"),
            parameters: self
                .parameters
                .iter()
                .flat_map(|&id| engine.read_f32(&self.store[id]).expect("read"))
                .map(f32::to_bits)
                .collect(),
            results: engine.read(Arena::Results, 0, 4 * self.store.arena_len(Arena::Results)).expect("read"),
        }
    }
}

#[derive(PartialEq)]
struct Trained {
    losses: Vec<f32>,
    parameters: Vec<u32>,
    results: Vec<u8>,
}

fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    }
}

#[test]
fn training_matches_the_cpu_engine_and_repeats_to_the_bit() {
    let _alone = alone();
    let Some(mut engine) = shared() else { return };
    let model = Model::new();
    let first = model.train(&mut *engine);
    assert!(first.losses[STEPS - 1] < first.losses[0], "training lowers the loss: {:?}", first.losses);
    assert!(first == model.train(&mut *engine), "two runs give the same bits");

    let mut cpu = CpuEngine::new(Some(2)).expect("a CPU engine");
    let twin = model.train(&mut cpu);
    assert_eq!(first.results[..4 * IMAGES], twin.results[..4 * IMAGES], "both engines assign alike in the first epoch");
    for (step, (a, b)) in first.losses.iter().zip(&twin.losses).enumerate() {
        // Training is chaotic: what the engines round differently doubles from step to step.
        let tolerance = 1e-5 * 2f32.powi(step as i32);
        assert!((a - b).abs() <= tolerance * b.abs(), "loss of step {step}: {a} on the GPU, {b} on the CPU");
    }
}

/// Nine convolutions, whose weight gradients two launches sum.
#[test]
fn weight_gradients_that_are_summed_together_stay_apart() {
    let _alone = alone();
    let Some(mut gpu) = shared() else { return };
    let (mut tape, mut store) = (Tape::new(), Store::new());
    let x = store.add("x", [48, 3, 28, 28], Arena::Constants);
    let x_var = tape.persistent(&store, x);
    let mut gradients = Vec::new();
    for layer in 0..9 {
        // No two alike, so that a gradient in the place of another is noticed.
        let w = store.parameter(format!("w{layer}"), [2 + layer, 3, 3, 3]);
        let w_var = tape.persistent(&store, w);
        let y = tape.conv2d(x_var, w_var, ConvSpec { stride: 1 + layer % 2, pad: 1 });
        let y = tape.relu(y);
        let loss = tape.mean(y);
        let found = tape.gradients(loss, &[w_var]).expect("differentiable");
        let place = store.view(w, w, Arena::Gradients);
        tape.store(found[0].expect("depends on it"), &store, place);
        gradients.push((w, place));
    }
    let program = Program::new(&tape);
    let run = |engine: &mut dyn Engine| -> Vec<Vec<f32>> {
        let mut random = noise(3);
        let mut values = |n: usize| (0..n).map(|_| random() - 0.4).collect::<Vec<f32>>();
        engine.allocate(&store).expect("allocated");
        for id in [x].into_iter().chain(gradients.iter().map(|(w, _)| *w)) {
            engine.write_f32(&store[id], &values(store[id].shape.len())).expect("written");
        }
        let plan = engine.load(std::slice::from_ref(&program)).expect("loaded")[0];
        engine.run(plan, 1).expect("ran");
        gradients.iter().map(|(_, place)| engine.read_f32(&store[*place]).expect("read")).collect()
    };
    let twin = run(&mut CpuEngine::new(Some(2)).expect("a CPU engine"));
    let ours = run(&mut *gpu);
    for (layer, (a, b)) in ours.iter().zip(&twin).enumerate() {
        let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
        let off = a.iter().zip(b).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(off <= 1e-5 * largest, "weights of layer {layer}: {off} off, values up to {largest}");
    }
    let lowered = lower(&program, Fusion::default(), &Variants::default()).expect("lowers");
    assert_eq!(lowered.dispatches.iter().filter(|d| d.kernel == "sum_parts").count(), 2, "this tries what it says");
}

#[test]
fn checks_limits_and_memory_planning_do_not_change_a_bit() {
    let _alone = alone();
    let model = Model::new();
    let variants = [
        Options { checked: true, ..Options::default() },
        Options { checked: false, ..Options::default() },
        Options { checked: false, baseline_limits: true, ..Options::default() },
        Options { reuse: false, ..Options::default() },
    ];
    let mut outcomes = Vec::new();
    let mut memory = Vec::new();
    for options in variants {
        let Some(mut engine) = open(options) else { return };
        outcomes.push(model.train(&mut engine));
        memory.push(engine.memory());
    }
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "the same bits every time");
    assert!(memory[0] < memory[3], "reuse saves memory: {memory:?}");
}

#[test]
fn bytes_come_back_as_written() {
    let _alone = alone();
    let Some(mut engine) = shared() else { return };
    let mut store = Store::new();
    store.add("images", [3, 1, 3, 3], Arena::Images);
    let other = store.add("other", [5], Arena::State);
    engine.allocate(&store).expect("allocated");
    assert_eq!(engine.read(Arena::Images, 0, 27).expect("read"), [0; 27], "arenas start at zero");
    let bytes: Vec<u8> = (1..=27).collect();
    engine.write(Arena::Images, 0, &bytes).expect("written");
    engine.write(Arena::Images, 3, &[100, 101, 102, 103, 104, 105, 106]).expect("written at an odd offset");
    let mut expected = bytes;
    expected[3..10].copy_from_slice(&[100, 101, 102, 103, 104, 105, 106]);
    assert_eq!(engine.read(Arena::Images, 0, 27).expect("read"), expected);
    assert_eq!(engine.read(Arena::Images, 5, 9).expect("read"), expected[5..14]);
    assert_eq!(engine.read(Arena::Images, 5, 0).expect("read"), [0u8; 0]);
    engine.write_f32(&store[other], &[1.5; 5]).expect("written");
    assert_eq!(engine.read_f32(&store[other]).expect("read"), [1.5; 5]);

    engine.read(Arena::State, 0, 4096).expect_err("beyond the end");
    engine.write(Arena::Moment1, 0, &[1]).expect_err("an empty arena");
    // An error leaves the engine usable.
    assert_eq!(engine.read_f32(&store[other]).expect("read"), [1.5; 5]);
}

#[test]
fn arenas_are_kept_on_the_device_and_put_back() {
    let _alone = alone();
    let Some(mut engine) = shared() else { return };
    let mut store = Store::new();
    let [x, y] = [("x", Arena::State), ("y", Arena::Results)].map(|(name, arena)| store.add(name, [300], arena));
    engine.allocate(&store).expect("allocated");
    let before = engine.memory();
    let both = [Arena::State, Arena::Parameters, Arena::Results];
    let fill = |engine: &mut GpuEngine, value: u32| {
        engine.write_f32(&store[x], &[value as f32; 300]).expect("written");
        engine.write_u32(&store[y], &[value; 300]).expect("written");
    };
    let found = |engine: &mut GpuEngine| {
        let (x, y) = (engine.read_f32(&store[x]).expect("read"), engine.read_u32(&store[y]).expect("read"));
        assert!(x.iter().zip(&y).all(|(&x, &y)| x == y as f32 && y == x as u32), "{x:?} {y:?}");
        (x[0], x[299])
    };
    // An arena without tensors has nothing to keep; a second copy takes the place of the first.
    for value in [1, 2] {
        fill(&mut engine, value);
        assert!(engine.keep(&both).expect("kept"));
        fill(&mut engine, 7);
        assert_eq!(found(&mut engine), (7.0, 7.0));
    }
    assert_eq!(engine.memory(), 2 * before, "a copy of everything");
    for _ in 0..2 {
        engine.put_back().expect("put back");
        assert_eq!(found(&mut engine), (2.0, 2.0));
        fill(&mut engine, 7);
    }
    assert!(engine.keep(&both[..1]).expect("kept"));
    assert!(engine.memory() < 2 * before, "less than a copy of everything");
    let mut tape = Tape::new();
    let v = tape.persistent(&store, x);
    let total = tape.sum(v, 1.0);
    tape.output(total);
    let plans = engine.load(&[Program::new(&tape)]).expect("loaded");
    let loaded = engine.memory();
    assert!(engine.keep(&both[..1]).expect("kept") && engine.memory() > loaded);
    engine.load(&[Program::new(&tape)]).expect("loaded");
    assert_eq!((engine.memory(), plans.len()), (loaded, 1), "loading gives the copy up");
    engine.allocate(&Store::new()).expect("allocated");
    assert_eq!(engine.memory(), 0);
    drop(engine);

    let Some(mut engine) = open(Options { memory_limit: Some(3 * before / 2), ..Options::default() }) else { return };
    engine.allocate(&store).expect("allocated");
    assert!(!engine.keep(&both).expect("not kept"), "there is no room");
    assert_eq!(engine.memory(), before, "nothing is left behind");
}

#[test]
fn plans_share_memory_and_keep_their_outputs() {
    let _alone = alone();
    let Some(mut engine) = shared() else { return };
    let mut store = Store::new();
    let x = store.add("x", [1000], Arena::Constants);
    let programs: Vec<Program> = [1.0, 2.0]
        .iter()
        .map(|&value| {
            let mut tape = Tape::new();
            let v = tape.persistent(&store, x);
            let ones = tape.fill([1000], value);
            let sum = tape.add(v, ones);
            let total = tape.sum(sum, 1.0);
            tape.output(sum);
            tape.output(total);
            Program::new(&tape)
        })
        .collect();
    engine.allocate(&store).expect("allocated");
    engine.write_f32(&store[x], &[0.5; 1000]).expect("written");
    let plans = engine.load(&programs).expect("loaded");
    for &plan in &plans {
        engine.run(plan, 1).expect("ran");
    }
    for (plan, value) in plans.iter().zip([1.5, 2.5]) {
        let floats = |bytes: Vec<u8>| bytemuck::pod_collect_to_vec::<u8, f32>(&bytes);
        assert_eq!(floats(engine.read_output(*plan, 0).expect("read")), vec![value; 1000]);
        assert_eq!(floats(engine.read_output(*plan, 1).expect("read")), [1000.0 * value]);
    }
    let both = engine.memory();
    engine.load(&programs[..1]).expect("loaded");
    assert!(engine.memory() < both, "dropped plans give their memory back");
    engine.load(&programs).expect("loaded");
    assert_eq!(engine.memory(), both, "loading again takes the same");
}

#[test]
fn a_plan_replays_thousands_of_times() {
    let _alone = alone();
    let Some(mut engine) = shared() else { return };
    let (mut tape, mut store) = (Tape::new(), Store::new());
    let clock = store.add("clock", [2], Arena::Control);
    let clock_v = tape.persistent(&store, clock);
    tape.advance(clock_v, 3);
    engine.allocate(&store).expect("allocated");
    let plan = engine.load(&[Program::new(&tape)]).expect("loaded")[0];
    engine.run(plan, 0).expect("ran");
    engine.run(plan, 5000).expect("ran");
    engine.run(plan, 1).expect("ran");
    assert_eq!(engine.read_u32(&store[clock]).expect("read"), [15_003, 5001]);
}

#[test]
fn waiting_ends() {
    let _alone = alone();
    let timeout = std::time::Duration::from_nanos(1);
    let Some(mut engine) = open(Options { timeout, ..Options::default() }) else { return };
    let (mut tape, mut store) = (Tape::new(), Store::new());
    let x = store.add("x", [32, 16, 28, 28], Arena::State);
    let w = store.parameter("w", [16, 16, 3, 3]);
    let (x, w) = (tape.persistent(&store, x), tape.persistent(&store, w));
    let y = tape.conv2d(x, w, ConvSpec { stride: 1, pad: 1 });
    tape.output(y);
    engine.allocate(&store).expect("allocated");
    let plan = engine.load(&[Program::new(&tape)]).expect("loaded")[0];
    // Tens of milliseconds of work: nobody waits a nanosecond and finds it done.
    let times = if engine.adapter().software { 1 } else { 1000 };
    let error = engine.run(plan, times).and_then(|()| engine.finish()).expect_err("a nanosecond is not enough");
    assert!(matches!(error, EngineError::Timeout { .. }), "{error}");
}

#[test]
fn half_precision_is_less_exact_and_overflows() {
    let _alone = alone();
    for variant in [HALF, MATRIX] {
        let need = VariantChoice::new("conv2d", variant).need().expect("16-bit floats at least");
        let able = shared().is_some_and(|engine| engine.adapter().has(need));
        if able
            && let Some(engine) = open(Options { variants: VariantChoice::everywhere(variant), ..Options::default() })
        {
            is_half_precision(variant, engine);
        }
    }
}

/// 16-bit pixels reach to 65504: what is beyond does not come back as if nothing had happened.
fn is_half_precision(variant: &str, mut engine: GpuEngine) {
    let (mut tape, mut store) = (Tape::new(), Store::new());
    // As many channels as the largest matrix unit wants.
    let x = store.add("x", [1, 8, 1, 3], Arena::State);
    let w = store.parameter("w", [8, 8, 3, 3]);
    let (image, window) = (tape.persistent(&store, x), tape.persistent(&store, w));
    let y = tape.conv2d(image, window, ConvSpec { stride: 1, pad: 1 });
    tape.output(y);
    engine.allocate(&store).expect("allocated");
    let plan = engine.load(&[Program::new(&tape)]).expect("loaded")[0];
    let (mut centre, mut pixels) = ([0.0f32; 8 * 8 * 9], [0.0f32; 8 * 3]);
    centre[4] = 1.0;
    pixels[..3].copy_from_slice(&[1.0 + 1e-4, 65504.0, 1e5]);
    engine.write_f32(&store[w], &centre).expect("written");
    engine.write_f32(&store[x], &pixels).expect("written");
    engine.run(plan, 1).expect("runs");
    let y: Vec<f32> = bytemuck::pod_collect_to_vec(&engine.read_output(plan, 0).expect("read"));
    // An infinite pixel makes its neighbours undefined; where conversions saturate it is the largest number.
    let overflown = |v: f32| !v.is_finite() || v == 65504.0;
    assert_eq!(y[0], 1.0, "{variant}: eleven bits");
    assert!(overflown(y[1]) && overflown(y[2]), "{variant}: {y:?}");
}

#[test]
fn what_does_not_fit_is_an_error() {
    let _alone = alone();
    let Some(mut engine) = shared() else { return };
    let mut store = Store::new();
    store.add("huge", [1 << 30, 64], Arena::State);
    let error = engine.allocate(&store).expect_err("256 GiB");
    assert!(matches!(error, EngineError::TooLarge { .. }), "{error}");

    // A buffer that exists but cannot be bound whole at the baseline's 128 MiB.
    let (mut tape, mut store) = (Tape::new(), Store::new());
    let x = store.add("x", [40 << 20], Arena::State);
    let v = tape.persistent(&store, x);
    let total = tape.sum(v, 1.0);
    tape.output(total);
    engine.allocate(&store).expect("allocated");
    let error = engine.load(&[Program::new(&tape)]).expect_err("160 MiB");
    assert!(matches!(error, EngineError::TooLarge { limit: 134_217_728, .. }), "{error}");
    engine.allocate(&Store::new()).expect("the engine goes on");
    assert_eq!(engine.memory(), 0, "nothing is left behind");
    drop(engine);

    let Some(mut engine) = open(Options { memory_limit: Some(1 << 20), ..Options::default() }) else { return };
    let error = engine.allocate(&store).expect_err("more than the limit");
    assert!(matches!(error, EngineError::OutOfMemory { .. }), "{error}");
    assert!(error.to_string().contains("the training state"), "{error}");
    assert_eq!(engine.memory(), 0, "nothing is left behind");

    // Parameters that fit, a step that does not.
    let (mut tape, mut store) = (Tape::new(), Store::new());
    let x = store.add("x", [200 << 10], Arena::Constants);
    let v = tape.persistent(&store, x);
    let relu = tape.relu(v);
    let total = tape.sum(relu, 1.0);
    tape.output(total);
    engine.allocate(&store).expect("0.8 MiB of 1");
    let error = engine.load(&[Program::new(&tape)]).expect_err("another 0.8 MiB").to_string();
    assert!(error.contains("a smaller batch_size"), "{error}");
}

#[test]
fn kernels_are_timed_where_the_device_can() {
    let _alone = alone();
    let model = Model::new();
    for baseline_limits in [false, true] {
        let Some(mut engine) = open(Options { baseline_limits, ..Options::default() }) else { return };
        model.start(&mut engine);
        let plan = engine.load(std::slice::from_ref(&model.step)).expect("loaded")[0];
        if !engine.time_kernels(true) {
            assert!(baseline_limits || !engine.adapter().timestamps, "an adapter with timestamps times");
            continue;
        }
        engine.run(plan, 1).expect("ran");
        let times = KernelTime::by_kernel(engine.launches());
        assert_eq!(times.iter().map(|t| t.flops).sum::<u64>(), model.step.flops());
        assert!(times.windows(2).all(|pair| pair[0].time >= pair[1].time), "the longest first: {times:?}");
        assert!(times.iter().any(|t| !t.time.is_zero()), "something takes time: {times:?}");
        assert_eq!(times.iter().find(|t| t.name == "conv2d").map(|t| t.calls), Some(2));
        let losses = engine.read_f32(&model.store[model.history]).expect("read");
        assert!(losses[0] > 0.0 && losses[1] == 0.0, "the step ran once: {losses:?}");
    }
}

#[test]
fn kernels_can_be_replaced_and_dumped() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dump = folder.path().join("dump");
    let mine = folder.path().join("mine.wgsl");
    let kernels = vec![("relu".to_string(), mine.clone())];
    let options = Options { kernels, dump_wgsl: Some(dump.clone()), ..Options::default() };
    let (mut tape, mut store) = (Tape::new(), Store::new());
    let x = store.add("x", [4], Arena::Constants);
    let v = tape.persistent(&store, x);
    let y = tape.relu(v);
    tape.output(y);
    let program = Program::new(&tape);

    let relu = proteus::gpu::wgsl::source("relu", &[], &[]).expect("a kernel");
    std::fs::write(&mine, relu.replace("select(x[i], 0.0, x[i] < 0.0)", "7.0 * x[i]")).expect("written");
    {
        let Some(mut engine) = open(options.clone()) else { return };
        engine.allocate(&store).expect("allocated");
        engine.write_f32(&store[x], &[-1.0, 0.0, 1.0, 2.0]).expect("written");
        let plan = engine.load(std::slice::from_ref(&program)).expect("loaded")[0];
        engine.run(plan, 1).expect("ran");
        let bytes = engine.read_output(plan, 0).expect("read");
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes), [-7.0, 0.0, 7.0, 14.0]);
        assert!(std::fs::read_to_string(dump.join("relu.wgsl")).expect("dumped").contains("7.0 * x[i]"));
    }

    for (broken, word) in
        [(relu.replace("select(", "selectt("), "selectt"), (relu.replace("read_write", "read"), "relu")]
    {
        std::fs::write(&mine, broken).expect("written");
        let Some(mut engine) = open(options.clone()) else { return };
        engine.allocate(&store).expect("allocated");
        let error = engine.load(std::slice::from_ref(&program)).expect_err("it is broken").to_string();
        assert!(error.starts_with("kernel 'relu' failed") && error.contains(word), "{error}");
    }
}

#[test]
fn adapters_are_found_by_name_and_unknown_ones_refused() {
    let _alone = alone();
    let Err(error) = GpuEngine::new("no such adapter", Options::default()) else { panic!("there is no such adapter") };
    let error = error.to_string();
    assert!(error.contains("no such adapter") || error.contains("no GPU was found"), "{error}");
    assert!(GpuEngine::new("gpu:99", Options::default()).is_err());
    let Some(engine) = shared() else { return };
    assert!(adapters().iter().any(|a| a.name == engine.device()), "the list has the adapter in use");
    assert_eq!(engine.kind(), "gpu");
    let summary = engine.adapter().to_string();
    assert!(summary.contains(&engine.device()) && summary.starts_with("gpu:"), "{summary}");
    if engine.adapter().software {
        match GpuEngine::new("gpu", Options::default()) {
            Ok(other) => assert!(!other.adapter().software, "a software adapter is used only when named"),
            Err(error) => assert!(error.to_string().contains("only when named"), "{error}"),
        }
    }
}

/// A device that goes away is an error that says so, at whatever comes next, and never a panic.
#[test]
fn a_lost_device_is_reported() {
    let _alone = alone();
    let Some(mut engine) = open(Options::default()) else { return };
    let model = Model::new();
    model.start(&mut engine);
    let plan = engine.load(std::slice::from_ref(&model.step)).expect("loaded")[0];
    engine.run(plan, 1).expect("a step");
    engine.lose();
    let history = &model.store[model.history];
    let after: [Result<(), EngineError>; 4] = [
        engine.run(plan, 1).and_then(|()| engine.finish()),
        engine.read_f32(history).map(|_| ()),
        engine.write_f32(history, &vec![0.0; history.shape.len()]),
        engine.load(std::slice::from_ref(&model.step)).map(|_| ()),
    ];
    for (i, result) in after.into_iter().enumerate() {
        match result {
            Err(EngineError::DeviceLost { .. }) => {}
            other => panic!("call {i} after the loss: {other:?}"),
        }
    }
}
