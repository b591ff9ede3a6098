//! Runs that are stopped and taken up again end as if they had never been stopped, to the bit.

mod adapter;

use proteus::cpu::{CpuEngine, Isa, Options};
use proteus::data::{ImageSet, mnist5k};
use proteus::gpu;
use proteus::tape::Engine;
use proteus::train::{
    Config, Evaluation, Observer, Progress, Restart, Resumption, RunFolder, STATE, TrainError, Trainer, preset, train,
};
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

/// Stops at a step of the run, or never.
struct StopAt(usize);

impl Observer for StopAt {
    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        if progress.step >= self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Counts restarts.
struct Restarts(usize);

impl Observer for Restarts {
    fn progress(&mut self, _: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn restarted(&mut self, _: usize, _: &Restart) {
        self.0 += 1;
    }
}

/// Looks at aligned prototypes at every evaluation, and counts them.
struct Looks(usize);

impl Observer for Looks {
    fn progress(&mut self, _: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn evaluated(&mut self, _: usize, evaluation: &Evaluation, trainer: &mut Trainer) {
        let images: Vec<u32> = (0..20).rev().collect();
        let chosen: Vec<u32> = images.iter().map(|&i| evaluation.assignments[i as usize]).collect();
        let aligned = trainer.align(&images, &chosen).expect("aligned");
        self.0 += usize::from(aligned.iter().all(|x| x.is_finite()) && aligned.len() == 20 * 28 * 28);
    }
}

const NEVER: usize = usize::MAX;

/// Both stages, a last partial batch, restarts of clusters at looks that fall anywhere in an epoch.
fn config(changes: &[&str]) -> Config {
    let short = ["epochs=4", "batch_size=16", "check_cluster_interval=3", "limit=50"];
    let stages = ["sequence=identity affine", "curriculum=[2]", "lr_milestones=[]", "eval_interval=1"];
    let small = ["clusters=4", "empty_cluster_threshold=0.9"];
    let all = [&short[..], &stages, &small, changes].concat();
    preset("mnist5k").and_then(|c| c.set(&all)).expect("a good configuration")
}

fn images(config: &Config) -> ImageSet {
    mnist5k::load().expect("the embedded digits").spread(config.limit)
}

fn cpu() -> CpuEngine {
    CpuEngine::new(Some(2)).expect("an engine")
}

/// What a run left: its files but for times, and the tensors of its state by name.
fn left(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let tables = ["val_metrics.tsv", "val_scores.tsv", "final_scores.tsv", "cluster_counts.tsv", "labels.csv"];
    for name in [&tables[..], &["config.toml", "model.safetensors"]].concat() {
        files.insert(name.to_string(), fs::read(path.join(name)).expect(name));
    }
    let table = fs::read_to_string(path.join("train_metrics.tsv")).expect("readable");
    let timeless = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        [&columns[..3], &columns[4..]].concat().join("\t")
    };
    files.insert("train_metrics.tsv".into(), table.lines().map(timeless).collect::<Vec<_>>().join("\n").into_bytes());
    let bytes = fs::read(path.join(STATE)).expect(STATE);
    let state = safetensors::SafeTensors::deserialize(&bytes).expect(STATE);
    for (tensor, view) in state.tensors().into_iter().filter(|(tensor, _)| tensor != "train_metrics.tsv") {
        files.insert(format!("{STATE}: {tensor}"), view.data().to_vec());
    }
    files
}

fn same(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>, what: &str) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{what}");
    for (name, bytes) in a {
        assert!(*bytes == b[name], "{what}: {name} differs");
    }
}

fn whole(path: &Path, config: &Config, engine: &mut dyn Engine) -> BTreeMap<String, Vec<u8>> {
    let set = images(config);
    let mut folder = RunFolder::create(path, config, &set).expect("a folder");
    train(config, &set, engine, &mut folder, &mut StopAt(NEVER)).expect("a run");
    left(path)
}

fn resume(path: &Path, config: &Config, engine: &mut dyn Engine, observer: &mut StopAt) -> Result<(), TrainError> {
    let set = images(config);
    Resumption::open(path, config.clone(), &set)?.train(&set, engine, observer).map(|_| ())
}

fn stopped(result: Result<(), TrainError>) -> bool {
    match result {
        Ok(()) => false,
        Err(TrainError::Stopped { .. }) => true,
        Err(other) => panic!("{other}"),
    }
}

/// Stops a run at each of `stops` and takes it up again until it is through.
fn interrupted(path: &Path, config: &Config, engine: &mut dyn Engine, stops: &[usize]) -> BTreeMap<String, Vec<u8>> {
    let set = images(config);
    let mut folder = RunFolder::create(path, config, &set).expect("a folder");
    assert!(stopped(train(config, &set, engine, &mut folder, &mut StopAt(stops[0])).map(|_| ())), "{stops:?}");
    drop(folder);
    for &stop in &stops[1..] {
        assert!(stopped(resume(path, config, engine, &mut StopAt(stop))), "{stops:?}");
    }
    assert!(!stopped(resume(path, config, engine, &mut StopAt(NEVER))));
    left(path)
}

#[test]
fn stopped_anywhere_a_run_ends_as_if_it_had_not_been() {
    let home = tempfile::tempdir().expect("a folder");
    for (name, changes, stops) in [
        ("kmeans", &[][..], &[&[1][..], &[4], &[6], &[16], &[2, 3, 7, 9, 9, 12, 14]][..]),
        ("gmm", &["model=gmm", "eval_interval=3", "seed=5"], &[&[2, 10, 15]]),
    ] {
        let config = config(changes);
        let expected = whole(&home.path().join(name), &config, &mut cpu());
        for stops in stops {
            let found = interrupted(&home.path().join(format!("{name}{stops:?}")), &config, &mut cpu(), stops);
            same(&found, &expected, &format!("{name} stopped at {stops:?}"));
        }
    }
    // A negative control: a run that goes on from another's state is another run.
    let other = Config { seed: 1, ..config(&[]) };
    let found = whole(&home.path().join("other"), &other, &mut cpu());
    let expected = left(&home.path().join("kmeans"));
    assert!(found.iter().filter(|(name, bytes)| expected[*name] != **bytes).count() > expected.len() / 2);
    let mut seen = Restarts(0);
    let (config, set) = (config(&[]), images(&config(&[])));
    let mut folder = RunFolder::create(&home.path().join("seen"), &config, &set).expect("a folder");
    train(&config, &set, &mut cpu(), &mut folder, &mut seen).expect("a run");
    assert!(seen.0 > 1, "clusters do restart");
}

#[test]
fn on_a_gpu_too() {
    let Some(mut engine) = adapter::open_or_skip(gpu::Options::default()) else { return };
    let config = config(&["limit=24", "epochs=2", "curriculum=[1]", "clusters=3"]);
    let home = tempfile::tempdir().expect("a folder");
    let expected = looked_at(&home.path().join("looked"), &config, &mut engine);
    let found = interrupted(&home.path().join("stopped"), &config, &mut engine, &[1, 3]);
    same(&found, &expected, "on a GPU");
}

fn looked_at(path: &Path, config: &Config, engine: &mut dyn Engine) -> BTreeMap<String, Vec<u8>> {
    let set = images(config);
    let mut folder = RunFolder::create(path, config, &set).expect("a folder");
    let mut looks = Looks(0);
    train(config, &set, engine, &mut folder, &mut looks).expect("a run");
    assert_eq!(looks.0, config.epochs);
    left(path)
}

#[test]
fn looking_at_a_run_changes_no_bit_of_it() {
    let home = tempfile::tempdir().expect("a folder");
    let config = config(&[]);
    let expected = whole(&home.path().join("whole"), &config, &mut cpu());
    same(&looked_at(&home.path().join("looked"), &config, &mut cpu()), &expected, "looked at");
}

/// States between evaluations do not disturb the run, and a run that is killed goes on from the last of them, whatever it
/// had written since.
#[test]
fn a_killed_run_goes_on_from_its_last_state() {
    let config = config(&["eval_interval=2"]);
    let set = images(&config);
    let home = tempfile::tempdir().expect("a folder");
    let expected = whole(&home.path().join("whole"), &config, &mut cpu());
    let path = home.path().join("often");
    let mut folder = RunFolder::create(&path, &config, &set).expect("a folder");
    folder.save_every = Duration::ZERO;
    train(&config, &set, &mut cpu(), &mut folder, &mut StopAt(NEVER)).expect("a run");
    drop(folder);
    same(&left(&path), &expected, "saved after every step");

    // A state of the middle of the second epoch in the folder of a finished run, with a torn line.
    let early = home.path().join("early");
    let mut folder = RunFolder::create(&early, &config, &set).expect("a folder");
    assert!(stopped(train(&config, &set, &mut cpu(), &mut folder, &mut StopAt(6)).map(|_| ())));
    fs::copy(early.join(STATE), path.join(STATE)).expect("copied");
    let table = path.join("val_metrics.tsv");
    fs::write(&table, fs::read_to_string(&table).expect("readable") + "16\t1").expect("written");
    assert!(!stopped(resume(&path, &config, &mut cpu(), &mut StopAt(NEVER))));
    same(&left(&path), &expected, "killed");

    // Killed before the first state: from the start.
    for name in [STATE, "model.safetensors"] {
        fs::remove_file(path.join(name)).expect("removed");
    }
    assert!(!stopped(resume(&path, &config, &mut cpu(), &mut StopAt(NEVER))));
    same(&left(&path), &expected, "from the start");
    // Weights alone are not enough.
    fs::remove_file(path.join(STATE)).expect("removed");
    let error = resume(&path, &config, &mut cpu(), &mut StopAt(NEVER)).expect_err("no state").to_string();
    assert!(error.contains("has weights but no state.safetensors"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused_and_more_epochs_are_not() {
    let config = config(&["curriculum=[1]", "epochs=3"]);
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("run");
    whole(&path, &config, &mut cpu());
    let refused = |config: &Config| {
        let error = resume(&path, config, &mut cpu(), &mut StopAt(NEVER)).expect_err("refused");
        assert!(error.is_users(), "{error}");
        error.to_string()
    };
    let error = refused(&Config { lr: 0.5, ..config.clone() });
    assert!(error.contains("lr = 0.5") && error.contains("began with 0.001"), "{error}");
    assert!(refused(&Config { epochs: 2, ..config.clone() }).contains("begun its epoch 3"));
    let mut set = images(&config);
    set.pixels[7] ^= 1;
    let error = Resumption::open(&path, config.clone(), &set).expect_err("other images").to_string();
    assert!(error.contains("--data"), "{error}");
    let held = RunFolder::reopen(&path).expect("free");
    assert!(refused(&config).contains("another process"));
    drop(held);

    // Damage anywhere is noticed.
    let state = path.join(STATE);
    let bytes = fs::read(&state).expect("readable");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 4;
    for damaged in [&bytes[..0], &bytes[..7], &bytes[..bytes.len() / 2], &bytes[..bytes.len() - 1], &flipped] {
        fs::write(&state, damaged).expect("written");
        assert!(refused(&config).contains("state.safetensors"), "{} bytes", damaged.len());
    }
    fs::write(&state, &bytes).expect("written");
    // Tables come back as they were.
    fs::write(path.join("train_metrics.tsv"), "").expect("written");

    // Another instruction set is noticed, and allowed.
    let portable = Options { threads: Some(1), isa: Isa::Portable, ..Options::default() };
    let portable = CpuEngine::with_options(portable).expect("an engine");
    let resumption = Resumption::open(&path, config.clone(), &images(&config)).expect("it fits");
    assert_eq!(resumption.other_device(&cpu()), None, "the number of threads does not matter");
    assert_eq!(resumption.other_device(&portable).is_some(), Isa::detect() != Isa::Portable);
    drop(resumption);

    // Two epochs more are those of a run that was to have them from the start.
    let longer = Config { epochs: 5, ..config.clone() };
    assert!(!stopped(resume(&path, &longer, &mut cpu(), &mut StopAt(NEVER))));
    same(&left(&path), &whole(&home.path().join("longer"), &longer, &mut cpu()), "five epochs");
}
