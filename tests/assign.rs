//! New images under the prototypes of a run: the run's own images get what the run gave them.

mod program;

use program::{proteus, text};
use proteus::cpu::CpuEngine;
use proteus::data::{ImageSet, mnist5k};
use proteus::train::{Assigner, Config, Observer, Progress, RunFolder, train};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

struct Silent;

impl Observer for Silent {
    fn progress(&mut self, _: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn digits() -> ImageSet {
    mnist5k::load().expect("the embedded digits").spread(50)
}

/// Trains on 50 digits; returns assignments and distances.
fn trained(run: &Path, changes: &[&str]) -> (Config, Vec<u32>, Vec<f32>) {
    let small = ["epochs=2", "limit=50", "clusters=4", "batch_size=16"];
    let config = Config::default().set(&[&small[..], changes].concat()).expect("a configuration");
    let set = digits();
    let mut folder = RunFolder::create(run, &config, &set).expect("a folder");
    let mut engine = CpuEngine::new(Some(2)).expect("an engine");
    let finished = train(&config, &set, &mut engine, &mut folder, &mut Silent).expect("a run");
    folder.write("run.json", b"{}").expect("written");
    (config, finished.evaluation.assignments, finished.evaluation.distances)
}

#[test]
fn the_images_of_a_run_get_what_the_run_gave_them() {
    let home = tempfile::tempdir().expect("a folder");
    let set = digits();
    for (name, changes) in [
        ("kmeans", &["sequence=identity affine tps", "curriculum=[0,1]"][..]),
        ("gmm", &["model=gmm", "sequence=identity affine", "curriculum=[0]"]),
        ("more clusters than images of a batch", &["clusters=40", "sequence=identity", "curriculum=[]"]),
    ] {
        let run = home.path().join(name);
        let (config, clusters, distances) = trained(&run, changes);
        let mut engine = CpuEngine::new(Some(1)).expect("an engine");
        let mut assigner = Assigner::open(&run, &config, &mut engine).expect("its weights");
        assert_eq!(assigner.shape(), [1, 28, 28]);
        let found = assigner.assign(&set.pixels).expect("assigned");
        assert_eq!(found.iter().map(|a| a.cluster).collect::<Vec<_>>(), clusters, "{name}");
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found.iter().map(|a| a.distance).collect::<Vec<_>>()), bits(&distances), "{name}");
        for a in &found {
            let (second, distance) = a.second.expect("two clusters");
            assert!(second != a.cluster && distance >= a.distance && a.margin() == Some(distance - a.distance));
        }
        // In other company, an image gets the same.
        let alone = assigner.assign(set.image(33)).expect("assigned");
        assert_eq!(alone, found[33..34]);
        assert!(assigner.assign(&[]).expect("nothing").is_empty());
    }
}

#[test]
fn files_folders_and_data_sets_are_assigned() {
    let home = tempfile::tempdir().expect("a folder");
    let here = home.path();
    let (_, clusters, distances) = trained(&here.join("run"), &["sequence=identity", "curriculum=[]"]);
    let set = digits();
    fs::create_dir_all(here.join("new/deep, down")).expect("made");
    for i in 0..50 {
        let name = if i % 2 == 0 { format!("new/{i:02}.png") } else { format!("new/deep, down/{i:02}.PNG") };
        let image = image::GrayImage::from_raw(28, 28, set.image(i).to_vec()).expect("an image");
        image.save_with_format(here.join(name), image::ImageFormat::Png).expect("written");
    }
    fs::write(here.join("new/broken.png"), "no image").expect("written");
    fs::write(here.join("new/notes.txt"), "no image either").expect("written");
    // What a listing of a folder leaves out is left out here too, and what it names is named.
    fs::write(here.join("new/phone.heic"), "ftypheic").expect("written");
    fs::create_dir_all(here.join("new/.thumbnails")).expect("made");
    fs::copy(here.join("new/08.png"), here.join("new/.thumbnails/08.png")).expect("copied");
    fs::create_dir_all(here.join("new/run")).expect("made");
    fs::write(here.join("new/run/run.json"), "{}").expect("written");
    fs::copy(here.join("new/08.png"), here.join("new/run/prototypes.png")).expect("copied");
    let args = ["assign", "run", "new", "new/08.png", "--device", "cpu", "--sheets", "sheets", "--out", "a.csv"];
    let output = proteus(&args, here);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (shown, warned) = (text(&output.stdout), text(&output.stderr));
    assert!(shown.contains("51 images in") && shown.contains("images/s"), "{shown}");
    assert!(warned.contains("2 files could not be read") && warned.contains("broken.png"), "{warned}");
    assert!(warned.contains("phone.heic is a picture of a kind that is not read"), "{warned}");
    let table = fs::read_to_string(here.join("a.csv")).expect("readable");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("path,cluster,distance,second,margin"));
    let mut seen = 0;
    for line in lines {
        let (path, rest) = match line.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\",").expect("a closing quote"),
            None => line.split_once(',').expect("columns"),
        };
        let i: usize = Path::new(path).file_stem().and_then(|s| s.to_str()).expect("a name").parse().expect("a number");
        let columns: Vec<&str> = rest.split(',').collect();
        assert_eq!(columns[0], clusters[i].to_string(), "{line}");
        assert_eq!(columns[1], distances[i].to_string(), "{line}");
        assert!(columns[3].parse::<f32>().expect("a margin") >= 0.0, "{line}");
        seen += 1;
    }
    assert_eq!(seen, 51);
    let sheet = image::open(here.join(format!("sheets/cluster{}.png", clusters[0]))).expect("a contact sheet");
    assert!(sheet.width() > 100);

    let again = proteus(&args, here);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("a.csv is there already"), "{}", text(&again.stderr));
    let output = proteus(&["assign", "run", "mnist5k", "--device", "cpu", "--quiet"], here);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stderr));
    let table = fs::read_to_string(here.join("labels.csv")).expect("readable");
    assert_eq!(table.lines().count(), 5001);
    assert!(table.contains(&format!("\nmnist5k:100,{},{},", clusters[1], distances[1])), "the second of 50 from 5 000");

    for (args, part) in [
        (&["assign", "run", "nothing-there", "--out", "b.csv"][..], "nothing-there: there is no such file"),
        (&["assign", "run", "sheets/..//new/notes.txt", "--out", "c.csv"], "none of the files"),
        (&["assign", "new", "new", "--out", "d.csv"], "new is no run folder"),
    ] {
        let output = proteus(args, here);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(part), "{args:?}: {}", text(&output.stderr));
    }
}
