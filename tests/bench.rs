//! `proteus bench` and `proteus profile`, and what is behind them.

mod adapter;

use proteus::bench::{Peaks, Single, Subject, distinct, measure_call, peaks, reference};
use proteus::cpu::{CpuEngine, Options};
use proteus::tape::{Engine, Op};
use serde_json::Value;
use std::process::{Command, Output};

const SMALL: [&str; 6] = ["--device", "cpu", "--size", "12", "--set", "batch_size=6"];

fn proteus(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_proteus")).args(args).output().expect("the program starts")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_step_is_reported_with_the_agreed_keys() {
    let output = proteus(&[&["bench", "step", "--steps", "2", "--json", "--sweep", "k=2,3"], &SMALL[..]].concat());
    let reports = lines(&output);
    assert_eq!(reports.len(), 2);
    for (report, k) in reports.iter().zip([2, 3]) {
        let number = |key: &str| report[key].as_f64().unwrap_or_else(|| panic!("{key} in {report}"));
        assert_eq!((number("k"), number("batch")), (f64::from(k), 6.0));
        assert_eq!(
            (&report["preset"], &report["model"], &report["engine"]),
            (&"mnist".into(), &"kmeans".into(), &"cpu".into())
        );
        assert!(report["device"].as_str().is_some_and(|d| d.starts_with("cpu (")), "{report}");
        assert!(number("ms_min") > 0.0 && number("ms_min") <= number("ms_median"), "{report}");
        let images = 6.0 / number("ms_median") * 1e3;
        assert!((number("images_per_s") / images - 1.0).abs() < 1e-6, "{report}");
        assert!(number("gflops") > 0.0 && number("peak_bytes") > 1e4, "{report}");
    }
    // More prototypes are more work.
    assert!(reports[1]["gflop"].as_f64() > reports[0]["gflop"].as_f64());
}

#[test]
fn a_profile_adds_up_and_its_trace_opens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("trace.json");
    let path = path.to_str().expect("a path");
    let args = [&["profile", "--steps", "2", "--set", "clusters=3", "--trace", path], &SMALL[..]].concat();
    let profile = lines(&proteus(&[&args[..], &["--json"]].concat())).remove(0);
    let sum = |table: &str, key: &str| {
        profile[table].as_array().expect(table).iter().map(|row| row[key].as_f64().expect(key)).sum::<f64>()
    };
    assert!((sum("kernels", "share") - 1.0).abs() < 1e-6);
    assert!((sum("kernels", "ms") - sum("layers", "ms")).abs() < 1e-9);
    assert_eq!(sum("kernels", "calls"), sum("layers", "calls"));
    assert!(profile["layers"].as_array().expect("rows").len() > profile["kernels"].as_array().expect("rows").len());
    let flops: f64 = profile["kernels"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["gflops"].as_f64().expect("a rate") * row["ms"].as_f64().expect("a time") / 1e3)
        .sum();
    let whole = profile["step"]["gflop"].as_f64().expect("work");
    assert!((flops / whole - 1.0).abs() < 1e-3, "kernels do {flops} GFLOP of {whole}");

    let trace: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("a trace")).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let on = |track: u32| events.iter().filter(move |e| e["ph"] == "X" && e["tid"] == track);
    assert_eq!(on(1).count(), 2, "a bar for each step");
    assert_eq!(on(2).count() as f64, 2.0 * sum("kernels", "calls"), "a bar for each launch");
    let ends = on(2).map(|e| [&e["ts"], &e["dur"]].map(|v| v.as_f64().expect("a time")));
    let ends: Vec<[f64; 2]> = ends.collect();
    assert!(ends.windows(2).all(|w| w[0][0] + w[0][1] <= w[1][0] + 1e-3), "launches follow each other");

    let plot = folder.path().join("shares.svg");
    let text = stdout(&proteus(&[&args[..], &["--plot", plot.to_str().expect("a path")]].concat()));
    let plot = std::fs::read_to_string(plot).expect("a plot");
    assert!(plot.starts_with("<svg") && plot.contains("conv2d_grad_weight") && plot.contains("all others"), "{plot}");
    for word in ["conv2d_grad_weight", "row_chain", "bound by", "peaks, measured", path] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn without_chains_operations_are_told_apart() {
    let args = [&["profile", "--steps", "1", "--set", "clusters=2", "--without", "chains"], &SMALL[..]].concat();
    let text = stdout(&proteus(&args));
    assert!(text.contains("grid_sample_grad_grid") && !text.contains("row_chain"), "{text}");
}

#[test]
fn every_operation_of_the_presets_agrees_with_the_reference_and_is_timed() {
    let peaks = Peaks { gflops: 100.0, gbytes: 10.0 };
    let mut engine = CpuEngine::with_options(Options { chains: false, ..Options::default() }).expect("an engine");
    for (preset, model) in [("mnist", "kmeans"), ("usps", "gmm"), ("svhn", "kmeans")] {
        let changes = ["batch_size=4".into(), "clusters=3".into(), format!("model={model}")];
        let subject = Subject::new(preset, &changes, Some(12), None, 1).expect("a subject");
        let program = subject.program(&mut engine).expect("a program");
        for call in distinct(&program) {
            // At a clamped or rounded position these jump.
            let jumps = matches!(call.op, Op::GridSampleGradGrid(..));
            let expected = reference(&program, call).expect("ran");
            let report = measure_call(&program, call, &expected, &mut engine, peaks).expect("measured");
            let limit = if jumps { 0.5 } else { 1e-4 };
            assert!(report.difference < limit, "{} {}: {}", report.kernel, report.work, report.difference);
            assert!(report.ms_min > 0.0 && report.ms_min <= report.ms_median, "{report:?}");
        }
    }
}

#[test]
fn single_operations_run_on_a_gpu_as_in_plain_rust() {
    let Some(mut gpu) = adapter::open_or_skip(proteus::gpu::Options::default()) else { return };
    let subject = Subject::new("mnist", &["batch_size=2", "clusters=2"], Some(8), None, 1).expect("a subject");
    let program = subject.program(&mut gpu).expect("a program");
    for call in distinct(&program) {
        let single = Single::with_copies(&program, call, 2);
        single.prepare(&mut gpu).expect("prepared");
        let plan = gpu.load(std::slice::from_ref(single.program())).expect("loaded")[0];
        gpu.run(plan, 1).expect("ran");
        let (found, expected) =
            (single.results(&mut gpu, plan).expect("read"), reference(&program, call).expect("ran"));
        let scale = expected.iter().fold(1e-30f64, |m, x| m.max(x.abs()));
        let limit = if matches!(call.op, Op::GridSampleGradGrid(..)) { 0.5 } else { 1e-4 };
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() <= limit * scale, "{}: {a} and {b}", call.op.name());
        }
    }
}

/// The table is made, told, used, kept to what it was made for, and forgotten.
#[test]
fn tuned_kernels_are_measured_and_used() {
    let Some(engine) = adapter::open_or_skip(proteus::gpu::Options::default()) else { return };
    let halves = engine.adapter().f16;
    drop(engine);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = std::env::var("PROTEUS_TEST_GPU").unwrap_or("gpu:0".into());
    let small = ["--device", &name, "--preset", "usps", "--size", "8", "--set", "batch_size=2", "--set", "clusters=2"];
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proteus"));
        command.args(args).args(small).env("XDG_CACHE_HOME", folder.path()).output().expect("the program starts")
    };
    let told = stdout(&run(&["tune", "--filter", "^linear$|_weight$"]));
    assert!(
        told.contains("conv2d_grad_weight 2x16x8x8 * 2x16x8x8, stride 1, pad 1") && told.contains("choices in"),
        "{told}"
    );
    assert!(!told.contains("conv2d_grad_input"), "{told}");
    assert!(!told.contains("half"), "less exact kernels are for those who ask: {told}");
    if halves {
        let told = stdout(&run(&["tune", "--half", "--filter", "conv2d_grad_weight"]));
        assert!(told.contains("half, ms"), "{told}");
    }
    let files: Vec<_> = std::fs::read_dir(folder.path().join("proteus/tuned")).expect("a folder").collect();
    let [Ok(file)] = &files[..] else { panic!("one table, not {files:?}") };
    let table = std::fs::read_to_string(file.path()).expect("readable");
    assert!(
        table.contains("operation = \"linear\"") && table.contains("sizes = \"2x16x8x8 * 2x16x8x8, stride 1, pad 1\""),
        "{table}"
    );

    // Whatever was measured, all is plain now.
    let table = ["tiled", "half", "matrix"].iter().fold(table, |t, v| t.replace(&format!("\"{v}\""), "\"plain\""));
    std::fs::write(file.path(), table).expect("written");
    let told = stdout(&run(&["profile", "--steps", "1", "--variant", "linear=tiled"]));
    assert!(told.contains(", tuned"), "{told}");
    let has = |name: &str| told.lines().any(|line| line.split_whitespace().next() == Some(name));
    assert!(has("conv2d_grad_weight") && !has("conv2d_grad_weight_tiled"), "by the table: {told}");
    assert!(has("linear_tiled"), "forced: {told}");

    std::fs::write(file.path(), "device = 3").expect("written");
    for args in [&["profile"][..], &["tune"]] {
        let output = run(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains("proteus tune --forget"), "{args:?}: {error}");
    }
    stdout(&run(&["tune", "--forget"]));
    assert!(!file.path().exists(), "it is gone");
}

#[test]
fn variants_are_asked_for_by_name() {
    for (args, expected) in [
        (&["profile", "--device", "cpu", "--variant", "conv2d=tiled"][..], "--variant is for the GPU"),
        (&["profile", "--variant", "conv2d=quick"], "conv2d=tiled"),
        (&["profile", "--device", "cpu", "--variant", "conv2d=half"], "--variant is for the GPU"),
        (&["train", "--device", "cpu", "--variant", "conv2d=half"], "--variant is for the GPU"),
        (&["profile", "--variant", "linear=half"], "there is no variant 'linear=half'"),
        (&["tune", "--device", "cpu"], "name a GPU"),
        (&["profile", "--peaks", "1,1", "--without", "simd"], "fusion and folding have"),
        (&["profile", "--device", "cpu", "--without", "folding"], "not for this device"),
        (&["tune", "--variant", "conv2d=tiled"], "every variant is tried"),
    ] {
        let output = proteus(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(expected), "{args:?}: {error}");
    }
}

/// What a device that is not there would do at best.
#[test]
fn least_times_need_no_device() {
    let table = |without: &[&str]| stdout(&proteus(&[&["profile", "--peaks", "60000,3000"], without].concat()));
    let row = |text: &str, name: &str| {
        let row = text.lines().find(|l| l.split_whitespace().next() == Some(name));
        row.map(|l| l.split_whitespace().map(String::from).collect::<Vec<_>>())
    };
    // 19 convolutions of ResNet-20 at batch 128, by hand: 16 * 128 * 28 * 28 * 16 * 16 * 9 * 2, two of half that, and the stem.
    let unfolded = table(&["--without", "folding"]);
    assert_eq!(row(&unfolded, "conv2d_tiled").expect("19 of them")[1..3], ["19", "7.890"], "{unfolded}");
    assert_eq!(row(&unfolded, "all").expect("a sum")[2], "24.741", "{unfolded}");
    // Of the 19 normalisations two are before a stride and one has no convolution behind it.
    let folded = table(&[]);
    let launches = |text: &str, kernel: &str| row(text, kernel).map(|row| row[1].clone());
    assert_eq!(launches(&unfolded, "batch_norm").as_deref(), Some("19"), "{unfolded}");
    assert_eq!(launches(&folded, "batch_norm").as_deref(), Some("3"), "{folded}");
    assert_eq!(launches(&folded, "batch_norm_stats").as_deref(), Some("19"), "{folded}");

    let json: serde_json::Value =
        serde_json::from_str(&stdout(&proteus(&["profile", "--peaks", "60000,3000", "--json"]))).expect("JSON");
    let sum = |rows: &str, key: &str| -> f64 {
        json[rows].as_array().expect(rows).iter().map(|row| row[key].as_f64().expect(key)).sum()
    };
    assert_eq!(json["peaks"]["gflops"], 60000.0);
    assert!((sum("kernels", "flops") / 1e9 - 24.8).abs() < 0.1, "{json}");
    assert_eq!(sum("kernels", "flops"), sum("layers", "flops"));
    assert!((sum("kernels", "least_us") / sum("layers", "least_us") - 1.0).abs() < 1e-6, "{json}");
    for wrong in ["60000", "0,1", "x,3", "inf,1"] {
        let output = proteus(&["profile", "--peaks", wrong]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains("such as 60000,3000"), "{wrong}: {error}");
    }
}

#[test]
fn peaks_are_above_what_kernels_reach() {
    let mut engine = CpuEngine::new(Some(1)).expect("an engine");
    let peaks = peaks(&mut engine).expect("measured");
    assert!(peaks.gflops > 0.1 && peaks.gbytes > 0.1, "{peaks:?}");
    assert!(peaks.bound(1_000, 1).1, "many operations a byte");
    assert!(!peaks.bound(1, 1_000).1, "many bytes an operation");
}

#[test]
fn a_baseline_is_compared_and_mistakes_are_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("old.json");
    let few = [&["bench", "kernels", "--set", "clusters=2", "--filter", "^relu$"], &SMALL[..]].concat();
    let old = proteus(&[&few[..], &["--json"]].concat());
    assert!(lines(&old).iter().all(|line| line["kernel"] == "relu" && line["difference"] == 0.0));
    assert!(lines(&old).iter().all(|line| line["launched"][0] == "relu" && line["clock"] == "wall clock"));
    std::fs::write(&path, &old.stdout).expect("written");
    let path = path.to_str().expect("a path");
    let text = stdout(&proteus(&[&few[..], &["--baseline", path]].concat()));
    let told = ["same", "faster", "slower"].iter().map(|w| text.matches(w).count()).sum::<usize>();
    assert_eq!(told, lines(&old).len(), "{text}");
    assert!(text.trim_end().ends_with("times by wall clock"), "{text}");

    std::fs::write(path, "{\"kernel\": 3}").expect("written");
    for (args, expected) in [
        (&["--baseline", path][..], "line 1"),
        (&["--filter", "nothing"], "no operation of this step fits"),
        (&["--kernel", "relu"], "NAME=FILE.wgsl"),
        (&["--kernel", "rellu=x.wgsl"], "did you mean 'relu'"),
        (&["--set", "cluster=2"], "clusters"),
    ] {
        let output = proteus(&[&["bench", "kernels", "--device", "cpu"], args].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(expected), "{args:?}: {error}");
    }
    // Without a baseline, under the roof.
    let plot = folder.path().join("roof.svg");
    stdout(&proteus(&[&few[..], &["--plot", plot.to_str().expect("a path")]].concat()));
    let plot = std::fs::read_to_string(plot).expect("a plot");
    assert!(plot.contains("Roofline: cpu") && plot.contains("relu"), "{plot}");

    let output =
        proteus(&["bench", "step", "--device", "cpu", "--sweep", "encoder=resnet20", "--plot", path, "--steps", "1"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("sweep a number first"), "{output:?}");
    let output = proteus(&["bench", "step", "--device", "cpu", "--sweep", "size=3"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("8 to 1024"), "{output:?}");
}
