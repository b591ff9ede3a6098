//! The examples do what they say.

mod adapter;
#[path = "../examples/cluster_folder.rs"]
#[allow(dead_code, reason = "its main is not called")]
mod cluster_folder;
#[path = "../examples/compiled.rs"]
#[allow(dead_code, reason = "its main is not called")]
mod compiled;
#[path = "../examples/kernel.rs"]
#[allow(dead_code, reason = "its main is not called")]
mod kernel;

use clap::Parser;
use proteus::bench::{Subject, lowered};
use proteus::gpu::{Fusion, Options, check_kernel};
use std::fs;
use std::path::Path;

const KERNEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/squared_distance.wgsl");

#[test]
fn a_folder_is_clustered() {
    let home = tempfile::tempdir().expect("a folder");
    let (photos, run) = (home.path().join("photos"), home.path().join("run"));
    fs::create_dir(&photos).expect("a folder");
    for i in 0..24u8 {
        // Bars across, and bars down.
        let bar = |x, y| image::Luma([if (if i % 2 == 0 { x } else { y }) / 4 == 1 { 200 + i } else { i }]);
        image::GrayImage::from_fn(12, 12, bar).save(photos.join(format!("{i:02}.png"))).expect("written");
    }
    let settings = ["clusters=2", "epochs=4", "sequence=identity", "curriculum=[]", "seed=1"].map(String::from);
    let (names, evaluation) = cluster_folder::cluster(&photos, &run, &settings).expect("clusters");
    assert_eq!((names.len(), names[3].as_str(), evaluation.sizes.as_slice()), (24, "03.png", &[12usize, 12][..]));
    let of = &evaluation.assignments;
    assert!(of.iter().enumerate().all(|(i, k)| (*k == of[0]) == (i % 2 == 0)), "{of:?}");
    for name in ["report.html", "labels.csv", "model.safetensors", "aligned.png"] {
        assert!(run.join(name).is_file(), "{name}");
    }
}

#[test]
fn the_kernel_has_the_interface_of_ours() {
    check_kernel("squared_distance", Path::new(KERNEL)).expect("it fits");
}

#[test]
fn kernels_become_spir_v() {
    let subject = Subject::new("usps", &["batch_size=4"], None, None, 1).expect("a preset");
    let lowered = lowered(&subject, Fusion::default(), &[]).expect("lowers");
    for dispatch in &lowered.dispatches {
        let code = compiled::spirv(dispatch).unwrap_or_else(|e| panic!("{}: {e}", dispatch.kernel));
        assert_eq!(code[0], 0x0723_0203, "{} begins as SPIR-V does", dispatch.kernel);
    }
    let error = |arguments: &[&str]| {
        let args = compiled::Args::parse_from(["compiled"].iter().chain(arguments));
        compiled::run(&args, &mut Vec::new()).expect_err("an error").to_string()
    };
    assert!(error(&["--kernel", "conv3d"]).contains("no kernel of that name"));
    assert!(error(&["--preset", "minst"]).contains("mnist"));
}

#[test]
fn a_kernel_is_compared_with_the_cpu() {
    let Some(engine) = adapter::open_or_skip(Options::default()) else { return };
    let name = engine.adapter().name.clone();
    drop(engine);
    let difference = kernel::difference(&name, Path::new(KERNEL)).expect("it runs");
    assert!(difference < 1e-5, "{difference}");
    // A wrong one is found out.
    let home = tempfile::tempdir().expect("a folder");
    let wrong = home.path().join("wrong.wgsl");
    let text = fs::read_to_string(KERNEL).expect("readable").replace("i + 3u * WG_SIZE", "i + 2u * WG_SIZE");
    fs::write(&wrong, text).expect("written");
    let difference = kernel::difference(&name, &wrong).expect("it runs");
    assert!(difference > 1e-3, "{difference}");
}
