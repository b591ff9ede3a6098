//! A set that a device does not hold at once is streamed to it in chunks, with the results, to the bit, of the whole set.

mod adapter;
mod program;

use proteus::cpu::CpuEngine;
use proteus::data::{ImageSet, mnist5k};
use proteus::device::limit_images;
use proteus::gpu;
use proteus::tape::{Arena, Engine, EngineError, Launch, PlanId, Program, Store};
use proteus::train::{
    Config, Observer, Progress, Resumption, RunFolder, STATE, Streaming, TrainError, Trainer, evaluate_run, preset,
    train,
};
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

/// Side of the images. Their bytes are not whole words.
const SIDE: usize = 9;
/// Bytes of an image.
const IMAGE: usize = SIDE * SIDE;

/// Stops at a step of the run, and hears of chunks.
struct StopAt(usize, Option<Streaming>);

impl Observer for StopAt {
    fn streams(&mut self, streaming: &Streaming) {
        self.1 = Some(*streaming);
    }

    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        if progress.step >= self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

const NEVER: usize = usize::MAX;

/// Both stages, a last partial batch, looks for empty clusters that fall anywhere in a chunk.
fn config(changes: &[&str]) -> Config {
    let short = ["epochs=2", "batch_size=8", "check_cluster_interval=3", "limit=42", "eval_interval=1"];
    let stages = ["sequence=identity affine", "curriculum=[1]", "lr_milestones=[]", "clusters=4"];
    let all = [&short[..], &stages, &["empty_cluster_threshold=0.9"], changes].concat();
    preset("mnist5k").and_then(|c| c.set(&all)).expect("a good configuration")
}

fn images(config: &Config) -> ImageSet {
    let digits = mnist5k::load().expect("the embedded digits").spread(config.limit);
    // Every third pixel of every third row.
    let small = |i: usize| (0..IMAGE).map(move |p| (i, 28 * 3 * (p / SIDE) + 3 * (p % SIDE)));
    let pixels = (0..digits.len()).flat_map(small).map(|(i, p)| digits.image(i)[p]).collect();
    ImageSet::new("small digits", 1, SIDE, SIDE, pixels, digits.labels.clone()).expect("a set")
}

fn cpu() -> Box<dyn Engine> {
    Box::new(CpuEngine::new(Some(2)).expect("an engine"))
}

/// What a run left, without times.
fn left(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in ["val_metrics.tsv", "val_scores.tsv", "final_scores.tsv", "cluster_counts.tsv", "labels.csv"] {
        files.insert(name.to_string(), fs::read(path.join(name)).expect(name));
    }
    for name in ["model.safetensors", STATE] {
        let bytes = fs::read(path.join(name)).expect(name);
        let file = safetensors::SafeTensors::deserialize(&bytes).expect(name);
        for (tensor, view) in file.tensors().into_iter().filter(|(tensor, _)| tensor != "train_metrics.tsv") {
            files.insert(format!("{name}: {tensor}"), view.data().to_vec());
        }
    }
    files
}

fn same(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>, what: &str) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{what}");
    for (name, bytes) in a {
        assert!(*bytes == b[name], "{what}: {name} differs");
    }
}

/// Trains to the end or to a step; says how the images went to the device.
fn begin(path: &Path, config: &Config, engine: &mut dyn Engine, stop: usize) -> Option<Streaming> {
    let set = images(config);
    let mut folder = RunFolder::create(path, config, &set).expect("a folder");
    let mut observer = StopAt(stop, None);
    match train(config, &set, engine, &mut folder, &mut observer) {
        Ok(finished) => assert_eq!(finished.streaming, observer.1),
        Err(TrainError::Stopped { .. }) => assert_ne!(stop, NEVER),
        Err(other) => panic!("{other}"),
    }
    observer.1
}

fn go_on(path: &Path, config: &Config, engine: &mut dyn Engine) {
    let set = images(config);
    let mut resumption = Resumption::open(path, config.clone(), &set).expect("it fits");
    resumption.train(&set, engine, &mut StopAt(NEVER, None)).expect("the rest");
}

#[test]
fn chunks_change_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    for (name, changes) in [
        ("kmeans", &["init=kmeans"][..]),
        ("gmm", &["model=gmm", "seed=3"]),
        // The last batch is whole, and so is the last chunk.
        ("even", &["limit=32", "init=kmeans"]),
    ] {
        let (config, whole) = (config(changes), home.path().join(name));
        assert_eq!(begin(&whole, &config, cpu().as_mut(), NEVER), None);
        // A batch, two batches, all but one image.
        for images in [8, 17, config.limit - 1] {
            let path = home.path().join(format!("{name}{images}"));
            let streaming = begin(&path, &config, limit_images(cpu(), images * IMAGE).as_mut(), NEVER);
            let streaming = streaming.expect("it is said that images are streamed");
            assert_eq!(streaming.images, images / 8 * 8);
            assert_eq!(streaming.chunks, config.limit.div_ceil(streaming.images));
            same(&left(&path), &left(&whole), &format!("{name}, {images} images at once"));
        }
    }
}

#[test]
fn a_streamed_run_is_taken_up_anywhere_and_with_another_limit() {
    let home = tempfile::tempdir().expect("a folder");
    let (config, whole) = (config(&[]), home.path().join("whole"));
    begin(&whole, &config, cpu().as_mut(), NEVER);
    // In the middle of a chunk, at its end, in the second stage.
    for (stop, then) in [(1, 16 * IMAGE), (2, 24 * IMAGE), (3, NEVER), (9, 16 * IMAGE)] {
        let path = home.path().join(stop.to_string());
        begin(&path, &config, limit_images(cpu(), 16 * IMAGE).as_mut(), stop);
        go_on(&path, &config, limit_images(cpu(), then).as_mut());
        same(&left(&path), &left(&whole), &format!("stopped at {stop}, then {then} bytes"));
    }
}

#[test]
fn on_a_gpu_too() {
    // Half of the memory is for images.
    let budget = |images: usize| gpu::Options { memory_limit: Some(2 * images * IMAGE), ..Default::default() };
    let Some(engine) = adapter::open_or_skip(gpu::Options::default()) else { return };
    let small = adapter::open(budget(30_000)).expect("the same adapter");
    assert_eq!(small.image_limit(), 30_000 * IMAGE / 256 * 256);
    let mut engine: Box<dyn Engine> = Box::new(engine);
    let config = config(&["limit=26", "clusters=3"]);
    let home = tempfile::tempdir().expect("a folder");
    let whole = home.path().join("whole");
    assert_eq!(begin(&whole, &config, engine.as_mut(), NEVER), None);
    let mut engine = limit_images(engine, 17 * IMAGE);
    let streamed = home.path().join("streamed");
    let streaming = begin(&streamed, &config, engine.as_mut(), NEVER).expect("streamed");
    assert_eq!((streaming.images, streaming.chunks), (16, 2));
    same(&left(&streamed), &left(&whole), "streamed to a GPU");
    let stopped = home.path().join("stopped");
    begin(&stopped, &config, engine.as_mut(), 3);
    go_on(&stopped, &config, engine.as_mut());
    same(&left(&stopped), &left(&whole), "streamed and taken up");
}

/// Pictures of a run and its evaluation ask for images in orders of their own.
#[test]
fn evaluation_and_alignment_see_the_same_images() {
    let home = tempfile::tempdir().expect("a folder");
    let (config, run) = (config(&[]), home.path().join("run"));
    begin(&run, &config, cpu().as_mut(), NEVER);
    let set = images(&config);
    let found = |limit: usize| {
        let mut engine = limit_images(cpu(), limit);
        let evaluation = evaluate_run(&run, &config, &set, engine.as_mut(), false).expect("an evaluation");
        let mut trainer = proteus::train::open_run(&run, &config, &set, engine.as_mut()).expect("a model");
        assert_eq!(trainer.streaming().is_some(), limit < NEVER);
        let chosen: Vec<u32> = (0..41).step_by(2).collect();
        let clusters: Vec<u32> = chosen.iter().map(|i| i % 4).collect();
        let aligned = trainer.align(&chosen, &clusters).expect("aligned");
        (evaluation.assignments, evaluation.distances, aligned)
    };
    let whole = found(NEVER);
    assert!(found(16 * IMAGE) == whole && found(1) == whole);
}

/// Has no memory for more than so many bytes of images, which it only says when asked for them.
struct Small(CpuEngine, usize);

impl Engine for Small {
    fn device(&self) -> String {
        self.0.device()
    }
    fn kind(&self) -> &'static str {
        self.0.kind()
    }
    fn allocate(&mut self, store: &Store) -> Result<(), EngineError> {
        let bytes = store.arena_len(Arena::Images);
        if bytes > self.1 {
            return Err(EngineError::OutOfMemory { device: self.device(), what: "the images".into(), bytes });
        }
        self.0.allocate(store)
    }
    fn load(&mut self, programs: &[Program]) -> Result<Vec<PlanId>, EngineError> {
        self.0.load(programs)
    }
    fn run(&mut self, plan: PlanId, times: usize) -> Result<(), EngineError> {
        self.0.run(plan, times)
    }
    fn write(&mut self, arena: Arena, offset: usize, bytes: &[u8]) -> Result<(), EngineError> {
        self.0.write(arena, offset, bytes)
    }
    fn read(&mut self, arena: Arena, offset: usize, len: usize) -> Result<Vec<u8>, EngineError> {
        self.0.read(arena, offset, len)
    }
    fn read_output(&mut self, plan: PlanId, index: usize) -> Result<Vec<u8>, EngineError> {
        self.0.read_output(plan, index)
    }
    fn memory(&self) -> usize {
        self.0.memory()
    }
    fn launches(&self) -> &[Launch] {
        self.0.launches()
    }
}

#[test]
fn a_device_without_memory_for_the_set_gets_chunks() {
    let config = config(&[]);
    let set = images(&config);
    let small = |images: usize| Small(CpuEngine::new(Some(1)).expect("an engine"), images * IMAGE);
    let mut engine = small(20);
    let trainer = Trainer::new(config.clone(), &set, &mut engine).expect("half, a quarter");
    assert_eq!(trainer.streaming().expect("streamed").images, 16);
    let error = Trainer::new(config, &set, &mut small(7)).err().expect("not even a batch").to_string();
    assert!(error.contains("no memory for the images"), "{error}");
}

#[test]
fn the_program_says_that_it_streams() {
    let home = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| {
        let output = program::proteus(args, home.path());
        let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
        assert!(output.status.success(), "{args:?}: {text}");
        text
    };
    let short = ["train", "--device", "cpu", "--set", "limit=2000", "--set", "epochs=1", "--set", "sequence=identity"];
    let more = ["--set", "curriculum=[]", "--set", "lr_milestones=[]"];
    let whole = run(&[&short[..], &more, &["--out", "whole"]].concat());
    assert!(!whole.contains("streamed"), "{whole}");
    let streamed = run(&[&short[..], &more, &["--out", "streamed", "--image-memory", "1"]].concat());
    assert!(streamed.contains("its 2 MiB are streamed in 2 chunks of 1312 images (1 MiB)"), "{streamed}");
    let about = fs::read_to_string(home.path().join("streamed/run.json")).expect("readable");
    let about: serde_json::Value = serde_json::from_str(&about).expect("JSON");
    assert_eq!(about["streamed"], serde_json::json!({"chunks": 2, "images_of_a_chunk": 1312}));
    assert!(about["reproduce"].as_str().is_some_and(|line| line.ends_with("--image-memory 1")), "{about}");
    same(&left(&home.path().join("streamed")), &left(&home.path().join("whole")), "from the command line");
    let scores = |more: &[&str]| run(&[&["eval", "whole", "--device", "cpu", "--json"], more].concat());
    assert_eq!(scores(&["--image-memory", "1"]), scores(&[]));
}
