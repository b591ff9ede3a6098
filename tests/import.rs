//! Checkpoints of the published code as runs: what that code computed from them comes out again (see
//! tests/fixtures/README.md).

mod program;

use program::{proteus, text};
use proteus::cpu::CpuEngine;
use proteus::data::mnist5k;
use proteus::train::{Config, Published, evaluate_run};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Output;

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// What the published code computes from a checkpoint.
fn published(name: &str) -> serde_json::Value {
    let scores = fs::read_to_string(fixtures().join("published_scores.json")).expect("readable");
    let scores: serde_json::Value = serde_json::from_str(&scores).expect("JSON");
    scores[name].clone()
}

/// Unpacks a checkpoint as `model.pkl`.
fn unpack(name: &str, folder: &Path) {
    let packed = fs::File::open(fixtures().join(format!("{name}.pt.gz"))).expect(name);
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).expect("gzip");
    fs::write(folder.join("model.pkl"), bytes).expect("written");
}

/// Exit code 2, one line on the standard error with all of `parts`, no run folder.
#[track_caller]
fn refused(output: &Output, folder: &Path, parts: &[&str]) {
    program::refused(output, parts);
    assert!(!folder.join("run").exists(), "mistakes leave nothing behind");
}

/// Imports a checkpoint and compares its evaluation with that of the published code.
fn agrees(name: &str, scores_of: &str, sequence: &str, active: usize, epoch: usize) -> Config {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    unpack(name, here);
    let output = proteus(&["import", "model.pkl", "run", "--preset", "mnist5k", "--set", "limit=64"], here);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let active_line = format!("active  {active} transformations");
    for part in [sequence, &format!("{epoch} epochs"), &active_line, "proteus eval run"] {
        assert!(shown.contains(part), "'{part}' in {shown}");
    }
    assert!(!shown.contains("ignored"), "every tensor has a use: {shown}");

    let run = here.join("run");
    let config = fs::read_to_string(run.join("config.toml")).expect("readable");
    let config = Config::from_toml(&config, "config.toml").expect("its own text");
    assert_eq!(config.sequence, sequence);
    let set = mnist5k::load().expect("embedded").spread(64);
    let mut engine = CpuEngine::new(None).expect("an engine");
    let evaluation = evaluate_run(&run, &config, &set, &mut engine, false).expect("an evaluation");

    let published = published(scores_of);
    let loss = published["loss"].as_f64().expect("a loss");
    println!("{name}: loss {} here, {loss} published", evaluation.loss);
    // The fixtures hold the mean distance; the loss of a mixture adds what mixing costs.
    let mean = evaluation.distances.iter().map(|&d| f64::from(d)).sum::<f64>() / 64.0;
    assert!((mean - loss).abs() < 1e-4 * loss, "{mean} and {loss}");
    assert!(evaluation.loss - mean >= -1e-9 && evaluation.loss - mean < 3.0, "{} and {mean}", evaluation.loss);
    assert_eq!(serde_json::json!(evaluation.assignments), published["assignments"]);
    for (here, there) in evaluation.distances.iter().zip(published["distances"].as_array().expect("distances")) {
        let there = there.as_f64().expect("a number");
        assert!((f64::from(*here) - there).abs() <= 1e-4 * there, "{here} and {there}");
    }

    // And by the command that users are told.
    let output = proteus(&["eval", "run", "--device", "cpu", "--json"], here);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let again: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let again = again["loss"].as_f64().expect("a loss");
    assert!((again - evaluation.loss).abs() < 1e-9 * loss, "{again} and {}", evaluation.loss);
    let about = fs::read_to_string(run.join("run.json")).expect("readable");
    let about: serde_json::Value = serde_json::from_str(&about).expect("JSON");
    assert_eq!(about["imported"]["active"], active);
    config
}

/// Part of a curriculum, weights on the distance, padding with zeros, other sizes than the defaults.
#[test]
fn a_checkpoint_computes_what_it_did() {
    let config = agrees("kmeans_morpho_tps", "kmeans_morpho_tps", "identity affine morpho tps", 2, 3);
    assert_eq!((config.clusters, config.grid_size, config.kernel_size), (3, 2, 5));
    assert_eq!((config.padding.as_str(), config.gaussian_weights_std), ("zeros", 7.0));
    assert_eq!(config.curriculum, [1, 2, 9]);
}

/// Of a PyTorch before 1.6, which the published code asks for.
#[test]
fn an_old_checkpoint_computes_what_it_did() {
    agrees("kmeans_color_legacy", "kmeans_color_legacy", "identity color affine", 2, 0);
}

#[test]
fn a_mixture_computes_what_it_did() {
    let config = agrees("gmm_affine", "gmm_affine", "identity affine", 1, 0);
    assert_eq!((config.model.as_str(), config.var_min), ("gmm", 0.0625));
}

#[test]
fn plain_prototypes_compute_what_they_did() {
    agrees("kmeans_identity", "kmeans_identity", "identity", 0, 0);
    // A state dict alone, in double precision, of a model on several devices.
    agrees("kmeans_identity_bare", "kmeans_identity", "identity", 0, 0);
}

/// Parameters of colour and affine are as many with three channels; the constants beside them differ.
#[test]
fn transformations_and_encoder_are_told_by_names_and_shapes() {
    let folder = tempfile::tempdir().expect("a folder");
    unpack("shapes", folder.path());
    let published = Published::open(&folder.path().join("model.pkl")).expect("a state dict");
    let config = published.config(Config::default(), &[]).expect("a configuration");
    assert_eq!(config.sequence, "identity color projective tps morpho affine");
    assert_eq!((config.clusters, config.grid_size, config.kernel_size), (2, 4, 7));
    assert_eq!((config.encoder.as_str(), config.curriculum), ("resnet32", vec![0; 5]));
    assert_eq!((config.padding.as_str(), config.gaussian_weights_std), ("border", 0.0));
}

#[test]
fn what_cannot_be_imported_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let import = |more: &[&str]| proteus(&[&["import", "model.pkl", "run"], more].concat(), here);
    let known = ["--set", "dataset=mnist5k"];

    refused(&import(&known), here, &["cannot read model.pkl"]);
    fs::write(here.join("model.pkl"), "hello").expect("written");
    refused(&import(&known), here, &["model.pkl", "no file of torch.save"]);
    unpack("tensors", here);
    refused(&import(&known), here, &["no checkpoint of the published code", "'float'", "more"]);

    unpack("kmeans_morpho_tps", here);
    refused(&import(&[]), here, &["--preset", "mnist5k", "usps"]);
    refused(&import(&["--preset", "mnist6k"]), here, &["unknown preset 'mnist6k'"]);
    refused(&import(&["--set", "dataset=mnist5j"]), here, &["mnist5j"]);
    let with = |more: &[&str]| import(&[&known[..], more].concat());
    refused(&with(&["--active", "4"]), here, &["--active 4", "3 transformations"]);
    refused(
        &with(&["--set", "clusters=4"]),
        here,
        &["4 prototypes", "'prototypes' is of shape [3, 1, 28, 28], expected [4, 1, 28, 28]", "is missing", "more"],
    );
    refused(
        &with(&["--set", "encoder=resnet32"]),
        here,
        &["resnet32", "'transformer.encoder.encoder.3.3.conv1.weight'"],
    );
    refused(&with(&["--set", "sequence=identity tps"]), here, &["tsf_modules.1.regressor.4"]);
    refused(&with(&["--set", "gaussian_weights_std=9"]), here, &["loss_weights", "9 pixels"]);
    refused(&with(&["--set", "gaussian_weights_std=0"]), here, &["--set gaussian_weights_std"]);
    refused(&with(&["--set", "padding=mirror"]), here, &["padding"]);

    // Digits of another size.
    let header = |magic: u32, dims: &[u32]| -> Vec<u8> {
        std::iter::once(&magic).chain(dims).flat_map(|v| v.to_be_bytes()).collect()
    };
    let images = [header(0x803, &[20, 16, 16]), vec![7; 20 * 256]].concat();
    fs::write(here.join("usps-images-idx3-ubyte"), images).expect("written");
    let labels = [header(0x801, &[20]), (0..20).map(|i| i % 10).collect()].concat();
    fs::write(here.join("usps-labels-idx1-ubyte"), labels).expect("written");
    refused(&import(&["--set", "dataset=usps", "--data", "."]), here, &["[1, 28, 28]", "[1, 16, 16]"]);

    // Nothing is overwritten, and what cannot be made leaves nothing.
    fs::create_dir(here.join("taken")).expect("made");
    fs::write(here.join("taken/file"), "").expect("written");
    let output = proteus(&["import", "model.pkl", "taken", "--preset", "mnist5k"], here);
    refused(&output, here, &["taken already holds files", "Give another folder"]);
    assert_eq!(fs::read_dir(here.join("taken")).expect("readable").count(), 1);
    let output = proteus(&["import", "model.pkl", "model.pkl/run", "--preset", "mnist5k"], here);
    refused(&output, here, &["cannot create model.pkl/run"]);
}

#[test]
fn what_the_file_says_can_be_overruled() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    unpack("kmeans_morpho_tps", here);
    let import = ["import", "model.pkl", "run", "--preset", "mnist5k", "--set", "limit=64"];
    let all = published("kmeans_morpho_tps")["loss_all_active"].as_f64().expect("a loss");
    for active in 0..=3 {
        let output = proteus(&[&import[..], &["--active", &active.to_string()]].concat(), here);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let line = format!("active  {active} transformations");
        assert!(text(&output.stdout).contains(&line), "{}", text(&output.stdout));
        let output = proteus(&["eval", "run", "--device", "cpu", "--json"], here);
        let scores: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let loss = scores["loss"].as_f64().expect("a loss");
        println!("{active} active: loss {loss}; published with all: {all}");
        // Every transformation makes a difference that the comparison sees.
        assert_eq!((loss - all).abs() < 1e-4 * all, active == 3, "{active} active: {loss}, with all {all}");
        fs::remove_dir_all(here.join("run")).expect("removed");
    }

    // A shorter sequence leaves tensors over, which are named.
    let output = proteus(&[&import[..], &["--set", "sequence=identity affine"]].concat(), here);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("ignored transformer.tsf_sequences.0.tsf_modules.2.regressor.0.bias"), "{shown}");
    let output = proteus(&["eval", "run", "--device", "cpu"], here);
    assert!(output.status.success(), "{}", text(&output.stderr));
}
