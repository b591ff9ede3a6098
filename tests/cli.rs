//! The program as a user runs it.

mod adapter;
mod program;

use program::{command, proteus, refused, text};
use std::fs;

/// A run that is short but goes through both stages and a last partial batch.
const SHORT: [&str; 14] = [
    "train",
    "mnist5k",
    "--device",
    "cpu",
    "--set",
    "limit=150",
    "--set",
    "epochs=2",
    "--set",
    "sequence=identity affine",
    "--set",
    "curriculum=[1]",
    "--set",
    "batch_size=64",
];

#[test]
fn a_run_leaves_its_files_and_can_be_scored_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = proteus(&[&SHORT[..], &["--out", "run", "--tensorboard"]].concat(), folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for expected in ["device  cpu", "150 images", "ACC", "NMI", "ARI", "sizes", "run/report.html"] {
        assert!(shown.contains(expected), "'{expected}' in {shown}");
    }
    assert!(shown.starts_with("device"), "the device comes first: {shown}");

    let run = folder.path().join("run");
    for name in [
        "config.toml",
        "run.json",
        "model.safetensors",
        "train_metrics.tsv",
        "val_metrics.tsv",
        "val_scores.tsv",
        "final_scores.tsv",
        "cluster_counts.tsv",
        "labels.csv",
    ] {
        assert!(fs::metadata(run.join(name)).is_ok_and(|m| m.len() > 0), "{name} is there");
    }
    assert_eq!(fs::read_to_string(run.join("train_metrics.tsv")).expect("readable").lines().count(), 3);
    assert_eq!(fs::read_to_string(run.join("labels.csv")).expect("readable").lines().count(), 151);
    let counts = fs::read_to_string(run.join("cluster_counts.tsv")).expect("readable");
    let sizes: Vec<usize> =
        counts.lines().nth(1).expect("two lines").split('\t').map(|c| c.parse().expect("a count")).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 150);

    // The pictures can be opened and are not blank.
    for name in ["prototypes.png", "aligned.png", "prototypes/prototype9.png"] {
        let picture = image::open(run.join(name)).expect(name).to_luma8();
        let (low, high) = picture.pixels().fold((255, 0), |(l, h), p| (p.0[0].min(l), p.0[0].max(h)));
        assert!(high - low > 100, "{name} shows something: {low} to {high}");
    }

    // Pictures as DTI users know them, frames of every epoch, events.
    for name in ["prototypes/evolution.gif", "transformations/cluster0.png", "prototypes/evolution/epoch00002.png"] {
        assert!(image::open(run.join(name)).is_ok(), "{name}");
    }
    let events: Vec<_> = fs::read_dir(run.join("tensorboard")).expect("events").collect();
    assert_eq!(events.len(), 1);
    let events = fs::read(events[0].as_ref().expect("a file").path()).expect("readable");
    for part in ["brain.Event:2", "loss/batches", "loss/all", "score/nmi", "share/cluster_9", "prototypes"] {
        assert!(events.windows(part.len()).any(|w| w == part.as_bytes()), "{part} in the events");
    }

    // The report can be written again from the folder, and is the same.
    let page = fs::read_to_string(run.join("report.html")).expect("a report");
    for part in ["id=\"evolution\"", "epoch 2", "proteus train run/config.toml --device cpu", "Cluster 9", "finished"] {
        assert!(page.contains(part), "'{part}' in the report");
    }
    assert!(page.len() < 3 << 20, "{} bytes", page.len());
    fs::remove_file(run.join("report.html")).expect("removed");
    let output = proteus(&["report", "run", "--device", "cpu"], folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("run/report.html ("), "{}", text(&output.stdout));
    assert!(fs::read_to_string(run.join("report.html")).expect("a report") == page, "the same page");
    refused(&proteus(&["report", "no-such-run"], folder.path()), &["no-such-run is no run folder"]);

    // Scoring the run again gives the numbers that the run ended with, for any number of threads.
    let about: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(run.join("run.json")).expect("readable")).expect("JSON");
    let [again, _] = ["1", "3"].map(|threads| {
        let output = proteus(&["eval", "run", "--device", "cpu", "--threads", threads, "--json"], folder.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let again: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(again, about["final"], "{threads} threads");
        again
    });
    assert_eq!(again["cluster_sizes"], serde_json::json!(sizes));
    for key in ["loss", "acc", "nmi", "ari"] {
        assert!(again[key].is_f64(), "{key} in {again}");
    }

    // The sequence of the preset has no morphology whose limits could be taken.
    let output = proteus(&["eval", "run", "--device", "cpu", "--hard-morphology"], folder.path());
    refused(&output, &["--hard-morphology", "'identity affine'", "no morpho"]);

    // Nothing is overwritten.
    let output = proteus(&[&SHORT[..], &["--out", "run"]].concat(), folder.path());
    refused(&output, &["run already holds files", "--out"]);
}

#[test]
fn runs_get_folders_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let quick = ["train", "--device", "cpu", "--quiet", "--set", "limit=20", "--set", "epochs=1"];
    // Started together: none may take another's folder.
    let runs: Vec<_> = (0..3).map(|_| command(&quick, folder.path()).spawn().expect("the program starts")).collect();
    for run in runs {
        let output = run.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "--quiet: {output:?}");
    }
    let runs: Vec<_> = fs::read_dir(folder.path().join("runs/mnist5k")).expect("runs").collect();
    assert_eq!(runs.len(), 3);
}

#[test]
fn mistakes_get_one_clear_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let cases: [(&[&str], &[&str]); 9] = [
        (&["train", "mnist5kk"], &["unknown preset 'mnist5kk'", "did you mean 'mnist5k'?"]),
        (&["train", "--set", "batchsize=8"], &["unknown key 'batchsize'", "did you mean 'batch_size'?"]),
        (&["train", "--set", "lr"], &["'--set lr' is not of the form key=value"]),
        (&["train", "--set", "clusters=9000"], &["clusters = 9000", "only 5000 images"]),
        (&["train", "--set", "limit=8"], &["clusters = 10", "only 8 images"]),
        (&["train", "--set", "dataset=mnist5j"], &["mnist5j", "mnist5k"]),
        (&["train", "missing.toml"], &["missing.toml", "cannot read"]),
        (&["eval", "no-such-run"], &["no-such-run is no run folder"]),
        (&["train", "--device", "no-such-gpu"], &["no-such-gpu"]),
    ];
    for (args, parts) in cases {
        refused(&proteus(args, here), parts);
    }
    assert!(!here.join("runs").exists(), "mistakes leave nothing behind");
    fs::write(here.join("bad.toml"), "clusters = 10\nepoch = 3\n").expect("written");
    refused(&proteus(&["train", "bad.toml"], here), &["unknown key 'epoch' in bad.toml", "did you mean 'epochs'?"]);
    fs::write(here.join("syntax.toml"), "clusters = = 10\n").expect("written");
    refused(&proteus(&["train", "syntax.toml"], here), &["syntax.toml, line 1"]);
    fs::write(here.join("type.toml"), "lr = 1e-3\nclusters = 'many'\n").expect("written");
    refused(&proteus(&["train", "type.toml"], here), &["type.toml", "clusters"]);
    refused(&proteus(&["train", "--set", "clusters=-1"], here), &["clusters"]);
    refused(&proteus(&["train", "--set", "clusters=many"], here), &["clusters"]);
    refused(&proteus(&["train", "--device", "cpu", "--dump-wgsl", "wgsl"], here), &["--dump-wgsl is for a GPU"]);
}

/// What a run shows besides its result is not worth the run.
#[test]
fn a_run_survives_the_loss_of_its_report() {
    let folder = tempfile::tempdir().expect("a folder");
    // A file where the folder of pictures should be, as the run is taken up.
    let identity = ["--out", "run", "--set", "sequence=identity", "--set", "curriculum=[]"];
    assert!(proteus(&[&SHORT[..], &identity].concat(), folder.path()).status.success());
    fs::remove_dir_all(folder.path().join("run/prototypes")).expect("removed");
    fs::write(folder.path().join("run/prototypes"), "in the way").expect("written");
    let args = ["train", "--resume", "run", "--device", "cpu", "--set", "epochs=4", "--quiet"];
    let output = proteus(&args, folder.path());
    let warned = text(&output.stderr);
    assert!(output.status.success(), "{warned}");
    assert!(warned.contains("the training goes on without"), "{warned}");
    assert!(warned.contains("proteus report run"), "{warned}");
    let about = fs::read_to_string(folder.path().join("run/run.json")).expect("readable");
    assert!(about.contains("\"final\""), "{about}");
}

#[test]
fn completions_and_the_manual_are_complete() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = proteus(&["completions", shell], folder.path());
        assert!(output.status.success(), "{shell}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("tensorboard"), "{shell}");
    }
    assert!(proteus(&["man", "man1"], folder.path()).status.success());
    let page = fs::read_to_string(folder.path().join("man1/proteus-train.1")).expect("a page");
    assert!(page.starts_with(".ie") || page.contains(".TH"), "{:.80}", page);
    assert!(folder.path().join("man1/proteus-assign.1").exists());
}

#[test]
fn no_adapter_and_no_room_are_said() {
    let folder = tempfile::tempdir().expect("a folder");
    // A loader without drivers finds no adapter.
    let mut command = command(&["train", "--device", "gpu"], folder.path());
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        command.env(variable, "/nonexistent/driver.json");
    }
    refused(&command.output().expect("the program starts"), &["GPU"]);

    // A folder below a file cannot be made.
    fs::write(folder.path().join("file"), "").expect("written");
    let output = proteus(&["train", "--device", "cpu", "--out", "file/run"], folder.path());
    refused(&output, &["file/run", "cannot create"]);
}

#[test]
fn broken_data_files_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let header = |magic: u32, dims: &[u32]| -> Vec<u8> {
        std::iter::once(&magic).chain(dims).flat_map(|v| v.to_be_bytes()).collect()
    };
    let train = ["train", "--device", "cpu", "--set", "dataset=usps", "--data", "."];
    let images = here.join("usps-images-idx3-ubyte");
    let labels = here.join("usps-labels-idx1-ubyte");
    fs::write(&labels, [header(0x801, &[20]), vec![0; 20]].concat()).expect("written");

    fs::write(&images, [header(0x803, &[20, 16, 16]), vec![0; 999]].concat()).expect("written");
    refused(&proteus(&train, here), &["usps-images-idx3-ubyte", "5136"]);
    fs::write(&images, [header(0x801, &[20]), vec![0; 20]].concat()).expect("written");
    refused(&proteus(&train, here), &["usps-images-idx3-ubyte", "label"]);
    fs::write(&images, b"not an IDX file at all").expect("written");
    refused(&proteus(&train, here), &["usps-images-idx3-ubyte"]);
    fs::remove_file(&images).expect("removed");
    refused(&proteus(&train, here), &["usps", "usps-images-idx3-ubyte"]);
}

#[test]
fn help_and_devices_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = proteus(&["train", "--help"], folder.path());
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.contains("Examples:"), "{shown}");
    for key in proteus::train::KEYS {
        assert!(shown.contains(key), "--help names the key {key}");
    }
    for (preset, _) in proteus::train::PRESETS {
        assert!(shown.contains(preset), "--help names the preset {preset}");
    }
    let output = proteus(&["devices"], folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("cpu ("), "{}", text(&output.stdout));
    let output = proteus(&["trian"], folder.path());
    assert_eq!(output.status.code(), Some(2));
}

/// The WGSL path as a user takes it: a few steps on the software adapter, kernels written out.
#[test]
fn a_named_adapter_trains_and_shows_its_kernels() {
    if adapter::open_or_skip(proteus::gpu::Options::default()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let name = std::env::var("PROTEUS_TEST_GPU").unwrap_or("gpu:0".into());
    let short = ["limit=24", "epochs=2", "sequence=identity affine", "curriculum=[1]", "batch_size=16", "clusters=3"];
    let common = short.iter().flat_map(|s| ["--set", s]).collect::<Vec<_>>();
    let on_gpu = [&["train", "--device", &name, "--out", "gpu", "--dump-wgsl", "wgsl"], &common[..]].concat();
    let output = proteus(&on_gpu, folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let kernels = fs::read_dir(folder.path().join("wgsl")).expect("kernels").count();
    assert!(kernels > 30, "{kernels} kernels were written");
    let output = proteus(&[&["train", "--device", "cpu", "--out", "cpu"], &common[..]].concat(), folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let losses = |run: &str| -> Vec<f64> {
        let table = fs::read_to_string(folder.path().join(run).join("train_metrics.tsv")).expect("readable");
        table.lines().skip(1).map(|l| l.split('\t').nth(4).expect("a loss").parse().expect("a number")).collect()
    };
    let (gpu, cpu) = (losses("gpu"), losses("cpu"));
    assert_eq!(gpu.len(), 2);
    assert!(gpu.iter().zip(&cpu).all(|(g, c)| (g - c).abs() < 1e-3 * c), "{gpu:?} {cpu:?}");
}
