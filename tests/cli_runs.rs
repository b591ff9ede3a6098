//! Stopping, killing and going on, several seeds and comparisons, as a user does them.

mod program;

use program::{command, proteus, text};
use proteus::train::RunFolder;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// Standard output of a run of the program that succeeds.
fn succeeds(args: &[&str], folder: &Path) -> String {
    let output = proteus(args, folder);
    assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Exit code `code`, and all of `parts` on the standard error.
fn fails(args: &[&str], folder: &Path, code: i32, parts: &[&str]) {
    let output = proteus(args, folder);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    assert!(!message.contains("panicked"), "{message}");
    for part in parts {
        assert!(message.contains(part), "'{part}' in {message}");
    }
}

/// `train` with small settings and `more`.
fn train<'a>(settings: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", "--device", "cpu"];
    for setting in ["limit=60", "batch_size=32", "clusters=4"].iter().chain(settings) {
        args.extend(["--set", setting]);
    }
    args.extend(more);
    args
}

/// What does not depend on time: final scores, sizes, assignments, tables.
fn result(run: &Path) -> Vec<String> {
    let names = ["final_scores.tsv", "cluster_counts.tsv", "labels.csv", "val_metrics.tsv", "val_scores.tsv"];
    let mut files: Vec<String> = names.map(|name| fs::read_to_string(run.join(name)).expect(name)).to_vec();
    let table = fs::read_to_string(run.join("train_metrics.tsv")).expect("readable");
    let timeless =
        |line: &str| line.split('\t').enumerate().filter(|(i, _)| *i != 3).map(|(_, c)| c.to_string()).collect();
    files.extend(table.lines().map(|line| {
        let columns: Vec<String> = timeless(line);
        columns.join("\t")
    }));
    files
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).expect("readable")).expect("JSON")
}

/// Waits until a file is there.
fn wait_for(path: &Path, child: &mut Child) {
    for _ in 0..1200 {
        if path.exists() || child.try_wait().expect("a child").is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{} does not come", path.display());
}

/// Killed at any moment, again and again: what is left can always go on, and ends as if nothing had happened.
#[test]
fn kill_and_resume() {
    let home = tempfile::tempdir().expect("a folder");
    let here = home.path();
    // Some hundred short epochs, then some long ones.
    let settings = [
        "epochs=206",
        "sequence=identity affine",
        "curriculum=[200]",
        "check_cluster_interval=3",
        "empty_cluster_threshold=0.9",
    ];
    succeeds(&train(&settings, &["--out", "whole", "--quiet"]), here);
    let run = here.join("run");
    let mut child = command(&train(&settings, &["--out", "run", "--quiet"]), here).spawn().expect("the program starts");
    // From then on the folder is a run's.
    wait_for(&run.join("config.toml"), &mut child);
    let mut kills = 0;
    let mut wait = 1;
    loop {
        std::thread::sleep(Duration::from_millis(wait));
        // Longer and longer, so that it comes to an end.
        wait += 1 + wait / 3;
        if child.try_wait().expect("a child").is_some() {
            break;
        }
        child.kill().expect("killed");
        child.wait().expect("it ends");
        kills += 1;
        child = command(&["train", "--resume", "run", "--device", "cpu", "--quiet"], here).spawn().expect("it starts");
    }
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "after {kills} kills: {}", text(&output.stderr));
    assert!(kills > 5, "{kills} kills");
    eprintln!("{kills} kills");
    assert_eq!(result(&run), result(&here.join("whole")), "after {kills} kills");
    let (about, whole) = (json(&run.join("run.json")), json(&here.join("whole/run.json")));
    assert_eq!(about["final"], whole["final"]);
    assert_eq!((&about["preset"], &whole["resumed"]), (&"mnist5k".into(), &0.into()));
    for key in ["proteus", "engine", "device", "driver", "started", "ended", "seconds", "seed", "platform"] {
        assert!(!about[key].is_null() && about[key] != "", "{key} in {about}");
    }

    // It is finished; more epochs can be had, other values cannot.
    assert!(succeeds(&["train", "--resume", "run"], here).contains("run is finished: 206 epochs"));
    fails(&["train", "--resume", "run", "--set", "lr=1"], here, 2, &["--set lr with --resume", "only epochs"]);
    fails(&["train", "--resume", "run", "--set", "epochs=5"], here, 2, &["begun its epoch 206"]);
    fails(&["train", "--resume", "run", "--only", "1"], here, 2, &["is a single one"]);
    fails(&["train", "--resume", "nowhere"], here, 2, &["nowhere is no run folder"]);
    fails(&["train", "--resume", "run", "--seed", "1"], here, 2, &["--seed"]);
    let args = ["train", "--resume", "run", "--device", "cpu", "--set", "epochs=207"];
    assert!(succeeds(&args, here).contains("run     run, after 206 of 207 epochs"));
    assert_eq!(json(&run.join("run.json"))["epochs"], 207);
    let state = fs::read(run.join("state.safetensors")).expect("readable");
    fs::write(run.join("state.safetensors"), &state[..state.len() / 3]).expect("written");
    let args = ["train", "--resume", "run", "--device", "cpu", "--set", "epochs=208"];
    fails(&args, here, 2, &["state.safetensors", "begin a new one"]);
}

/// Killed as it began, a run has not begun yet or knows the name of its preset.
#[test]
fn killed_as_it_began() {
    let home = tempfile::tempdir().expect("a folder");
    let here = home.path();
    let run = here.join("run");
    let args = train(&["epochs=1", "sequence=identity", "curriculum=[]"], &["--out", "run", "--quiet"]);
    // It ends where it would write the configuration.
    fs::create_dir_all(run.join("config.toml.part")).expect("a folder");
    fails(&args, here, 2, &["config.toml"]);
    assert_eq!(json(&run.join("run.json"))["preset"], "mnist5k");
    fails(&["train", "--resume", "run"], here, 2, &["run is no run folder"]);
    fs::remove_dir(run.join("config.toml.part")).expect("removed");
    succeeds(&args, here);
    // Nothing but what is written first.
    let files = fs::read_dir(&run).expect("a folder").map(|file| file.expect("a file").path());
    let kept = |path: &Path| path.ends_with("config.toml") || path.ends_with("run.json");
    for path in files.filter(|path| !kept(path)) {
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("removed");
    }
    for args in [&["report", "run", "--device", "cpu"][..], &["eval", "run"], &["assign", "run", "mnist5k"]] {
        fails(args, here, 2, &["run has no weights yet"]);
    }
    let mut about = json(&run.join("run.json"));
    about["final"].take();
    fs::write(run.join("run.json"), about.to_string()).expect("written");
    succeeds(&["train", "--resume", "run", "--device", "cpu", "--quiet"], here);
    let about = json(&run.join("run.json"));
    assert_eq!((&about["preset"], about["final"].is_object()), (&"mnist5k".into(), true));
    fails(&args, here, 2, &["already holds files"]);
}

/// A run that another process has taken is passed over, whether it began or not.
#[test]
fn runs_that_others_train_are_passed_over() {
    let home = tempfile::tempdir().expect("a folder");
    let here = home.path();
    let settings = ["epochs=1", "sequence=identity", "curriculum=[]"];
    succeeds(&train(&settings, &["--runs", "2", "--only", "2", "--out", "sweep", "--quiet"]), here);
    let held = RunFolder::claim(&here.join("sweep/seed_0")).expect("a new folder");
    let resume = ["train", "--resume", "sweep", "--device", "cpu"];
    let shown = succeeds(&resume, here);
    assert!(shown.contains("seed_0 is being trained by another process") && shown.contains("1 of 2 runs"), "{shown}");
    fails(&[&resume[..], &["--only", "1"]].concat(), here, 1, &["seed_0 is being trained by another process"]);
    drop(held);
    assert!(succeeds(&resume, here).contains("2 of 2 runs are finished"));
}

/// Ctrl-C and SIGTERM say how to go on, and that works. `timeout` sends its signal twice.
#[cfg(unix)]
#[test]
fn stopped_by_signals_and_resumed() {
    let home = tempfile::tempdir().expect("a folder");
    let here = home.path();
    let settings = ["epochs=12", "sequence=identity affine", "curriculum=[1]"];
    succeeds(&train(&settings, &["--out", "whole", "--quiet"]), here);
    for (run, signals) in [("interrupted", &["-INT"][..]), ("terminated", &["-TERM", "-TERM"])] {
        let mut child = command(&train(&settings, &["--out", run]), here).spawn().expect("the program starts");
        wait_for(&here.join(run).join("model.safetensors"), &mut child);
        for signal in signals {
            let killed = Command::new("kill").args([signal, child.id().to_string().as_str()]).status().expect("kill");
            assert!(killed.success());
        }
        let output = child.wait_with_output().expect("it ends");
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{run}: {message}");
        assert!(message.contains("stopped on request"), "{run}: {message}");
        succeeds(&["eval", run, "--device", "cpu", "--json"], here);
        let line = message.lines().find_map(|l| l.split_once("To go on: proteus ")).expect("how to go on").1;
        succeeds(&line.split(' ').collect::<Vec<_>>(), here);
        assert_eq!(result(&here.join(run)), result(&here.join("whole")), "{run}");
        assert_eq!(json(&here.join(run).join("run.json"))["resumed"], 1, "{run}");
    }
}

/// The page shows aligned prototypes while the run trains, and so does one that is written for it.
#[test]
fn a_run_is_looked_at_while_it_trains() {
    let home = tempfile::tempdir().expect("a folder");
    let here = home.path();
    let settings = ["epochs=9000", "sequence=identity affine", "curriculum=[0]"];
    let mut child = command(&train(&settings, &["--out", "run", "--quiet"]), here).spawn().expect("the program starts");
    let page = here.join("run/report.html");
    wait_for(&page, &mut child);
    let early = fs::read_to_string(&page).expect("a report");
    let written = proteus(&["report", "run", "--device", "cpu"], here);
    let late = fs::read_to_string(&page).expect("a report");
    child.kill().expect("killed");
    child.wait().expect("it ends");
    assert!(written.status.success(), "{}", text(&written.stderr));
    for page in [early, late] {
        for part in [" of 9000 epochs", "written again as training goes on", "Nearest", "prototype 0 after affine"] {
            assert!(page.contains(part), "'{part}'");
        }
    }
}

#[test]
fn several_seeds_are_summed_up_and_compared() {
    let home = tempfile::tempdir().expect("a folder");
    let here = home.path();
    let settings = ["epochs=2", "sequence=identity affine", "curriculum=[1]"];
    let shown = succeeds(&train(&settings, &["--runs", "3", "--seed", "4", "--out", "sweep"]), here);
    for part in ["run 2 of 3, seed 5", "seed_6", "mean", "std", "least loss: seed_", "3 of 3 runs are finished"] {
        assert!(shown.contains(part), "'{part}' in {shown}");
    }
    let sweep = here.join("sweep");
    // Each is the run of its seed.
    succeeds(&train(&settings, &["--seed", "5", "--out", "five", "--quiet"]), here);
    assert_eq!(result(&here.join("five")), result(&sweep.join("seed_5")));
    let summary = json(&sweep.join("summary.json"));
    let losses: Vec<f64> = (0..3).map(|i| summary["runs"][i]["loss"].as_f64().expect("a loss")).collect();
    let mean = losses.iter().sum::<f64>() / 3.0;
    assert!((summary["mean"]["loss"].as_f64().expect("a mean") - mean).abs() < 1e-12);
    let least = losses.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    assert_eq!(summary["min_loss"]["loss"].as_f64(), Some(least));
    let table = fs::read_to_string(sweep.join("summary.tsv")).expect("readable");
    assert_eq!(table.lines().count(), 1 + 3 + 3, "{table}");
    fails(&train(&settings, &["--runs", "3", "--out", "sweep"]), here, 2, &["already holds files", "--resume"]);

    // Jobs of a scheduler that share a folder; one is started again, one is missing.
    let only = |index| train(&settings, &["--runs", "3", "--seed", "4", "--out", "jobs", "--quiet", "--only", index]);
    let jobs = ["1", "3"].map(|index| command(&only(index), here).spawn().expect("the program starts"));
    for job in jobs {
        let output = job.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    succeeds(&only("3"), here);
    assert!(!here.join("jobs/seed_5").exists());
    fails(&only("4"), here, 2, &["--only 4", "1 to 3"]);
    let other = train(&["epochs=3"], &["--runs", "3", "--out", "jobs", "--only", "2"]);
    fails(&other, here, 2, &["another number, seed or configuration"]);
    fails(&train(&[], &["--runs", "3", "--only", "2"]), here, 2, &["--only needs --out"]);
    fails(&train(&[], &["--only", "2"]), here, 2, &["--runs N"]);
    let shown = succeeds(&["compare", "jobs", "sweep", "five"], here);
    assert!(shown.contains("2 of 3") && shown.contains("±") && shown.contains("settings  seed"), "{shown}");
    let shown = succeeds(&["train", "--resume", "jobs", "--device", "cpu"], here);
    assert!(shown.contains("jobs/seed_4 is finished") && shown.contains("3 of 3 runs are finished"), "{shown}");
    assert_eq!(json(&here.join("jobs/summary.json"))["mean"], summary["mean"]);
    let compared = proteus(&["compare", "jobs", "five", "--json"], here);
    let compared: serde_json::Value = serde_json::from_slice(&compared.stdout).expect("JSON");
    assert_eq!(compared[0]["mean"], summary["mean"]);
    assert_eq!(compared[1]["runs"][0]["loss"], summary["runs"][1]["loss"]);
    assert!(compared[1]["std"]["acc"].is_null());
    fails(&["compare", "nowhere"], here, 2, &["nowhere is no run folder"]);

    // More epochs for all; a run that cannot go on is named and the others do.
    fs::write(sweep.join("seed_5/state.safetensors"), "damaged").expect("written");
    let args = ["train", "--resume", "sweep", "--device", "cpu", "--set", "epochs=3"];
    fails(&args, here, 1, &["seed_5 failed", "1 of 3 runs failed (seed_5)"]);
    assert_eq!(json(&sweep.join("seed_6/run.json"))["epochs"], 3);
    let summary = json(&sweep.join("summary.json"));
    assert_eq!((&summary["finished"], &summary["runs"][1]["status"]), (&2.into(), &"unfinished".into()));
}

/// Runs that diverge are named, say why, and take no part in the mean.
#[test]
fn failed_runs_are_kept_out() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = ["epochs=2", "sequence=identity affine", "curriculum=[2]", "lr_milestones=[1]", "lr_gamma=1e33"];
    let args = train(&settings, &["--runs", "2", "--out", "sweep", "--quiet"]);
    fails(&args, home.path(), 1, &["seed_0 failed: the loss became", "2 of 2 runs failed (seed_0, seed_1)"]);
    let summary = json(&home.path().join("sweep/summary.json"));
    assert_eq!(summary["runs"][1]["status"], "failed");
    assert!(summary["runs"][1]["reason"].as_str().expect("a reason").contains("smaller lr"));
    assert!(summary["mean"]["loss"].is_null());
}
