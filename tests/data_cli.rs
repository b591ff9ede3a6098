//! `proteus data` as a user runs it.

mod program;

use std::path::Path;
use std::process::Output;

use proteus::data::{ImageSet, idx};

fn data(args: &[&str], folder: &Path) -> Output {
    program::proteus(&[&["data"], args].concat(), folder)
}

#[track_caller]
fn shows(output: &Output, code: i32, parts: &[&str]) {
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[test]
fn list_says_what_is_found_and_what_is_expected() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data");
    let empty = tempfile::tempdir().expect("a folder");
    let output = data(&["list", "--data", "nowhere", "--data", &fixtures.display().to_string()], empty.path());
    let found = [
        "part of the program",
        "test_32x32.mat, train_32x32.mat, extra_32x32.mat\n",
        "usps.h5\n",
        "needs t10k-images-idx3-ubyte",
        "or is made where mnist is found",
        "stl10_binary.tar.gz",
        "Looked in nowhere, ",
    ];
    shows(&output, 0, &found);
}

#[test]
fn verify_tells_the_original_from_others() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data");
    let folder = tempfile::tempdir().expect("a folder");
    shows(&data(&["verify"], folder.path()), 0, &["mnist5k: ok", "10 classes of 500 to 500"]);
    let fixtures = fixtures.display().to_string();
    let different =
        ["mnist5k: ok", "svhn: differs", "630420 expected, 10 found", "error: not the originals: ", "coil20"];
    shows(&data(&["verify", "--data", &fixtures], folder.path()), 2, &different);
    shows(&data(&["verify", "mnits"], folder.path()), 2, &["did you mean \"mnist\""]);
    shows(&data(&["verify", "svhn"], folder.path()), 2, &["was not found", "ufldl.stanford.edu"]);
}

#[test]
fn make_writes_files_that_are_found_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let pixels = (0..2 * 28 * 28).map(|i| if i % 28 > 10 && i % 28 < 15 { 200 } else { 0 }).collect();
    let set = ImageSet::new("t10k", 1, 28, 28, pixels, Some(vec![0, 1])).expect("a set");
    let file = |name: &str| folder.path().join(name);
    idx::save_pair(&set, &file("t10k-images-idx3-ubyte"), &file("t10k-labels-idx1-ubyte")).expect("written");

    let made = ["64 images, 1x40x40, 2 classes of 32 to 32", "affnist-test-images-idx3-ubyte"];
    shows(&data(&["make", "affnist-test", "--data", ".", "--out", "made"], folder.path()), 0, &made);
    shows(&data(&["make", "affnist-test", "--data", ".", "--out", "made"], folder.path()), 2, &["is there already"]);
    shows(&data(&["list", "--data", "made"], folder.path()), 0, &["IDX files in made\n"]);
    shows(&data(&["make", "usps", "--out", "made"], folder.path()), 2, &["mnist-color, affnist-test"]);
}
