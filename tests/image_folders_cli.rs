//! A folder of images as a user trains on it.

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// A folder with 24 small pictures below `photos`: bright left halves and bright upper halves, in `folders`.
    fn new(folders: [&str; 2]) -> Self {
        let place = Place { dir: tempfile::tempdir().expect("a temporary folder") };
        for i in 0..24 {
            let picture = image::RgbImage::from_fn(20, 16, |x, y| {
                let bright = if i % 2 == 0 { x < 10 } else { y < 8 };
                image::Rgb(if bright { [200, 180 - i, 90] } else { [20, i * 3, 60] })
            });
            let folder = place.path("photos").join(folders[usize::from(i % 2)]);
            fs::create_dir_all(&folder).expect("made");
            picture.save(folder.join(format!("img{i}, \"new\".png"))).expect("written");
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = program::command(args, self.dir.path());
        command.env("XDG_CACHE_HOME", self.path("caches")).env_remove("PROTEUS_CACHE_GIB");
        command.output().expect("the program starts")
    }

    /// Standard output and error of a run with this exit code.
    #[track_caller]
    fn says(&self, args: &[&str], code: i32, parts: &[&str]) -> String {
        let output = self.run(args);
        let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
        text
    }
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).expect("readable").lines().map(str::to_string).collect()
}

/// The cheapest settings.
const QUICK: [&str; 6] = ["--device", "cpu", "--set", "epochs=2", "--set", "sequence=identity"];

#[test]
fn a_folder_is_trained_scored_resumed_and_found_again() {
    let place = Place::new(["left", "upper"]);
    fs::write(place.path("photos/left/zz.jpg"), "no image").expect("write");
    let mut args = vec!["train", "photos/"];
    args.extend(QUICK);
    args.extend(["--out", "run"]);
    let expected = [
        "chosen  images keep their size, clusters 2, encoder resnet20",
        "24 images of ",
        "decoded in ",
        "warning: 1 file is passed over",
        "left/zz.jpg is no JPEG",
        "photos: 24 images, 3x16x20, 2 classes",
        "ACC ",
    ];
    place.says(&args, 0, &expected);

    let config = fs::read_to_string(place.path("run/config.toml")).expect("readable");
    let dataset = place.path("photos").display().to_string();
    for line in [format!("dataset = \"{dataset}\""), "image_size = 0".into(), "fit = \"crop\"".into()] {
        assert!(config.contains(&line), "{line} is not in: {config}");
    }
    let labels = lines(&place.path("run/labels.csv"));
    assert_eq!((labels[0].as_str(), labels.len()), ("image,cluster,distance,label,path", 25));
    assert!(labels[2].starts_with("1,") && labels[2].ends_with(",0,\"left/img2, \"\"new\"\".png\""), "{}", labels[2]);
    assert!(labels[24].ends_with(",1,\"upper/img23, \"\"new\"\".png\""), "{}", labels[24]);

    // From the cache, by the path in the configuration; and by --data where the folder has moved.
    place.says(&["eval", "run", "--device", "cpu"], 0, &["24 images of photos", "from the cache", "ACC "]);
    let json = place.run(&["eval", "run", "--device", "cpu", "--json"]).stdout;
    let scores: serde_json::Value = serde_json::from_slice(&json).expect("nothing but JSON");
    assert_eq!(scores["cluster_distances"].as_array().map(Vec::len), Some(2));
    fs::create_dir(place.path("moved")).expect("made");
    fs::rename(place.path("photos"), place.path("moved/photos")).expect("moved");
    place.says(&["eval", "run", "--device", "cpu"], 2, &["there is no such folder", "--data DIR"]);
    let resume = ["train", "--resume", "run", "--data", "moved", "--set", "epochs=3", "--device", "cpu"];
    place.says(&resume, 0, &["after 2 of 3 epochs", "ACC "]);
    fs::remove_file(place.path("moved/photos/left/img4, \"new\".png")).expect("removed");
    let resume = ["train", "--resume", "run", "--data", "moved", "--set", "epochs=4", "--device", "cpu"];
    place.says(&resume, 2, &["not those that the run began with"]);
}

#[test]
fn without_labels_clusters_are_described() {
    let place = Place::new(["", ""]);
    let mut args = vec!["train", "./photos", "-k", "3", "--size", "8", "--fit", "stretch", "--no-cache"];
    args.extend(QUICK);
    let expected =
        ["3x8x8, no labels", "cluster  images   share  distance", "largest / mean ", "(stretch), clusters 3"];
    let text = place.says(&args, 0, &expected);
    assert!(!text.contains("ACC") && !place.path("caches").exists(), "{text}");
    // The run lies beside other runs, not in the folder; the folder of runs is no part of the images.
    let runs: Vec<PathBuf> =
        fs::read_dir(place.path("runs/photos")).expect("a folder").map(|f| f.expect("a run").path()).collect();
    assert!(runs.len() == 1 && runs[0].display().to_string().ends_with("_photos"), "{runs:?}");
    assert_eq!(lines(&runs[0].join("labels.csv"))[0], "image,cluster,distance,path");
    assert!(!runs[0].join("val_scores.tsv").exists());
    assert_eq!(lines(&runs[0].join("final_scores.tsv"))[0], "loss");

    // Its configuration, edited, is trained again.
    let config = fs::read_to_string(runs[0].join("config.toml")).expect("readable");
    fs::write(place.path("mine.toml"), config.replace("clusters = 3", "clusters = 2")).expect("write");
    place.says(&["train", "mine.toml", "--device", "cpu", "--runs", "2"], 0, &["2 prototypes", "2 of 2 runs"]);
}

#[test]
fn mistakes_are_explained() {
    let place = Place::new(["left", "upper"]);
    fs::create_dir(place.path("empty")).expect("made");
    fs::create_dir(place.path("usps")).expect("made");
    place.says(&["train", "empty"], 2, &["empty: no images: .jpg, .png"]);
    place.says(&["train", "phots"], 2, &["unknown preset 'phots'", "or of a folder of images"]);
    place.says(&["train", "photos", "--fit", "squash"], 2, &["unknown fit 'squash'"]);
    place.says(&["train", "photos", "--size", "2"], 2, &["4 to 1024 pixels"]);
    place.says(&["train", "photos", "-k", "25"], 2, &["photos has only 24 images"]);
    place.says(&["train", "usps"], 2, &["data set usps was not found"]);
    place.says(&["train", "mnist5k", "--size", "32"], 2, &["only folders of images are brought to a size"]);
    place.says(&["train", "mnist5k", "--fit", "pad"], 2, &["fit = pad: only folders of images"]);
    place.says(&["train", "--resume", "run", "-k", "3"], 2, &["cannot be used with"]);
    place.says(&["train", "instagram", "--data", "nowhere"], 2, &["a folder instagram of photographs"]);
    fs::rename(place.path("photos"), place.path("instagram")).expect("renamed");
    let found = ["instagram: ok. photographs in ./instagram", "24 images, 3x128x128, 2 classes of 12 to 12"];
    place.says(&["data", "verify", "instagram", "--data", "."], 0, &found);
    place.says(
        &["data", "list", "--data", "."],
        0,
        &["any images  3x128x128", "needs a folder megadepth of photographs"],
    );
}

/// The cache is shown, bounded and emptied.
#[test]
fn the_cache_is_looked_after() {
    let place = Place::new(["left", "upper"]);
    let train = [&["train", "photos", "-k", "2"][..], &QUICK, &["--set", "curriculum=[]", "--quiet"]].concat();
    let sets = || fs::read_dir(place.path("caches/proteus")).map_or(0, Iterator::count);
    place.says(&["data", "cache"], 0, &["0 sets, 0 of at most 8192 MiB"]);
    let run = |args: &[&str], gib: &str| {
        let mut command = program::command(args, place.dir.path());
        command.env("XDG_CACHE_HOME", place.path("caches")).env("PROTEUS_CACHE_GIB", gib);
        command.output().expect("the program starts")
    };
    for gib in ["0", "0.000001"] {
        let output = run(&train, gib);
        assert!(output.status.success() && sets() == 0, "{gib} GiB: {}", String::from_utf8_lossy(&output.stderr));
    }
    let output = run(&train, "plenty");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("PROTEUS_CACHE_GIB=plenty"), "{said}");
    place.says(&train, 0, &[]);
    let photos = fs::canonicalize(place.path("photos")).expect("a folder");
    let shown = place.says(&["data", "cache"], 0, &["1 MiB  used today", "1 set, 1 of at most 8192 MiB"]);
    assert!(shown.contains(&format!("{} (24 files at 20x16)", photos.display())), "{shown}");
    place.says(&["data", "cache", "--clear"], 0, &["no decoded images are left in ", "; 1 MiB were freed"]);
    assert_eq!(sets(), 0);
}
