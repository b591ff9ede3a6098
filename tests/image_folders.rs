//! Folders of images: what independent writers wrote and Pillow sees in it, classes, names, the cache.
//!
//! The fixtures are made by `scripts/make_image_fixtures.py`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use proteus::data::images::{CacheFolder, Fit, FolderProblem, Listing, Loaded, Options, load};
use proteus::data::{DataError, ImageSet, catalog};

const SIDE: usize = 12;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images")
}

/// A folder with copies of fixtures.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (from, to) in files {
        let to = dir.path().join(to);
        fs::create_dir_all(to.parent().expect("a parent")).expect("make folder");
        fs::copy(fixtures().join(from), to).expect("copy fixture");
    }
    dir
}

fn try_load(folder: &Path, options: &Options) -> Result<Loaded, DataError> {
    load("photos", &Listing::of(folder)?, options, &|_| ())
}

#[track_caller]
fn loaded(folder: &Path, options: &Options) -> Loaded {
    try_load(folder, options).unwrap_or_else(|e| panic!("{e}"))
}

fn sized(size: usize) -> Options {
    Options { size: Some(size), ..Options::default() }
}

/// Red, green and blue of an image, channels last.
fn rgb(set: &ImageSet, i: usize) -> Vec<u8> {
    let plane = set.height * set.width;
    let channel = |c: usize| if set.channels == 3 { c } else { 0 };
    (0..plane).flat_map(|p| (0..3).map(move |c| (p, c))).map(|(p, c)| set.image(i)[channel(c) * plane + p]).collect()
}

fn names(set: &ImageSet) -> Vec<&str> {
    set.names.iter().flatten().map(String::as_str).collect()
}

/// Pillow and this program use different decoders of JPEG and different fixed-point arithmetic: a few levels apart is
/// the same picture, and no two of the pictures' transformations are so near each other.
#[test]
fn pictures_are_what_pillow_sees_in_them() {
    let text = fs::read_to_string(fixtures().join("expected.json")).expect("readable");
    let expected: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(expected.len(), 31);
    let mut compared = 0;
    for (file, fits) in &expected {
        let dir = folder(&[(file, file)]);
        for (fit, pixels) in fits {
            let options = Options { fit: fit.parse().expect("a fit"), ..sized(SIDE) };
            let Loaded { set, skipped, .. } = loaded(dir.path(), &options);
            assert!(skipped.is_empty() && set.len() == 1, "{file}: {skipped:?}");
            assert_eq!((set.height, set.width), (SIDE, SIDE));
            let grey = file.starts_with("grey") || file.starts_with("bits");
            assert_eq!(set.channels, if grey { 1 } else { 3 }, "{file}");
            let pixel = |at: usize| u8::from_str_radix(&pixels[2 * at..2 * at + 2], 16).expect("hexadecimal");
            let found = rgb(&set, 0);
            assert_eq!(pixels.len(), 2 * found.len());
            let furthest = found.iter().enumerate().map(|(at, &p)| p.abs_diff(pixel(at))).max();
            let allowed = if file.ends_with("jpg") || file.starts_with("lossy") { 4 } else { 1 };
            assert!(furthest <= Some(allowed), "{file}, {fit}: {furthest:?} levels apart");
            compared += 1;
        }
    }
    assert_eq!(compared, 31 + 2 * 7, "three ways to fit for seven of them");
    // The comparison can fail: a picture is far from its mirror image.
    let [a, b] = ["rgb.jpg", "exif_2.jpg"].map(|f| expected[f]["crop"].clone());
    assert_ne!(a, expected["rgb.jpg"]["stretch"]);
    assert_ne!(a, expected["rgb.jpg"]["pad"]);
    assert_eq!(a.len(), b.len());
}

#[test]
fn sub_folders_are_classes_and_names_are_kept_in_their_order() {
    let dir = folder(
        &[
            ("rgb.png", "tulips/img10.png"),
            ("grey.jpg", "tulips/img2.JPG"),
            ("rgb.webp", "roses/deep/er/1.webp"),
            ("rgb.bmp", "class 10/a.bmp"),
            ("rgb.tif", "class 9/a.tif"),
            ("rgb.png", ".hidden/a.png"),
            ("rgb.png", "run/prototypes.png"),
        ]
        .map(|(from, to)| (if from == "rgb.webp" { "lossless.webp" } else { from }, to)),
    );
    fs::write(dir.path().join("tulips/notes.txt"), "no image").expect("write");
    fs::write(dir.path().join("run/run.json"), "{}").expect("write");
    let Loaded { set, skipped, cached } = loaded(dir.path(), &sized(8));
    assert_eq!(
        names(&set),
        ["class 9/a.tif", "class 10/a.bmp", "roses/deep/er/1.webp", "tulips/img2.JPG", "tulips/img10.png"]
    );
    assert_eq!(set.labels.as_deref(), Some(&[0, 1, 2, 3, 3][..]));
    assert_eq!((set.classes, set.channels, set.name.as_str()), (4, 3, "photos"));
    assert!(skipped.is_empty() && !cached);
    let every_other = set.spread(3);
    assert_eq!(names(&every_other), ["class 9/a.tif", "class 10/a.bmp", "tulips/img2.JPG"], "a part keeps its names");
    // The grey one among the others has three equal channels.
    let grey = rgb(&set, 3);
    assert!(grey.chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]) && grey[0] != grey[21]);

    // One sub-folder is no class, and an image beside the folders has none.
    let dir = folder(&[("rgb.png", "2024/1.png"), ("rgb.png", "2024/2.png")]);
    assert_eq!(loaded(dir.path(), &sized(8)).set.labels, None);
    let dir = folder(&[("rgb.png", "a/1.png"), ("rgb.png", "b/2.png"), ("rgb.png", "cover.png")]);
    let set = loaded(dir.path(), &sized(8)).set;
    assert_eq!((set.len(), set.labels, set.classes), (3, None, 0));
}

#[test]
fn parts_of_a_set_are_no_classes() {
    let dir = folder(&[
        ("rgb.png", "train/cat/1.png"),
        ("rgb.png", "train/dog/1.png"),
        ("rgb.png", "Test/cat/2.png"),
        ("rgb.png", "val/dog/2.png"),
    ]);
    let set = loaded(dir.path(), &sized(8)).set;
    assert_eq!(names(&set), ["Test/cat/2.png", "train/cat/1.png", "train/dog/1.png", "val/dog/2.png"]);
    assert_eq!(set.labels.as_deref(), Some(&[0, 0, 1, 1][..]));
}

#[test]
fn tiny_imagenet_is_read_in_its_layout() {
    let dir = folder(&[
        ("rgb.jpg", "train/n02/images/n02_0.JPEG"),
        ("rgb.jpg", "train/n01/images/n01_10.JPEG"),
        ("grey.jpg", "train/n01/images/n01_9.JPEG"),
        ("rgb.jpg", "val/images/val_0.JPEG"),
        ("rgb.jpg", "val/images/val_1.JPEG"),
        ("rgb.jpg", "test/images/test_0.JPEG"),
    ]);
    fs::write(dir.path().join("train/n01/n01_boxes.txt"), "n01_9.JPEG\t0\t0\t1\t1\n").expect("write");
    let annotations = "val_0.JPEG\tn02\t0\t32\t44\t62\nval_1.JPEG\tn01\t52\t55\t57\t59\n";
    fs::write(dir.path().join("val/val_annotations.txt"), annotations).expect("write");
    let set = loaded(dir.path(), &Options::default()).set;
    let expected = ["n01/images/n01_9", "n01/images/n01_10", "n02/images/n02_0"].map(|n| format!("train/{n}.JPEG"));
    assert_eq!(names(&set)[..3], expected);
    assert_eq!(names(&set)[3..], ["val/images/val_0.JPEG", "val/images/val_1.JPEG"]);
    assert_eq!(set.labels.as_deref(), Some(&[0, 0, 1, 1, 0][..]));
    assert_eq!((set.channels, set.height, set.width), (3, 24, 40), "their own size");
    let only = loaded(&dir.path().join("val"), &sized(8)).set;
    assert_eq!(only.labels.as_deref(), Some(&[1, 0][..]), "classes in the order of their names");
}

#[test]
fn sizes_of_their_own_must_agree() {
    let dir = folder(&[("rgb.png", "a.png"), ("rgb.bmp", "b.bmp"), ("exif_6.jpg", "c.jpg")]);
    let set = loaded(dir.path(), &Options::default()).set;
    assert_eq!((set.len(), set.height, set.width), (3, 24, 40), "turned as EXIF says");
    assert_eq!(Listing::of(dir.path()).expect("a folder").sizes(2), [(40, 24); 2]);
    fs::copy(fixtures().join("damaged/truncated.jpg"), dir.path().join("0.jpg")).expect("copy");
    assert_eq!(loaded(dir.path(), &Options::default()).skipped.len(), 1);
    let small = image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8, y as u8, 200]));
    small.save(dir.path().join("d.png")).expect("written");
    let error = try_load(dir.path(), &Options::default()).expect_err("two sizes");
    assert!(matches!(error, DataError::Folder { problem: FolderProblem::Sizes { .. }, .. }));
    let error = error.to_string();
    for part in ["a.png is 40 x 24 pixels", "d.png 9 x 7", "image_size="] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn unreadable_files_are_listed_and_passed_over() {
    let damaged = ["bomb.jpg", "bomb.png", "empty.jpg", "text.png", "truncated.jpg", "truncated.png", "truncated.webp"];
    let from: Vec<String> = damaged.iter().map(|f| format!("damaged/{f}")).collect();
    let mut files: Vec<(&str, &str)> = from.iter().map(String::as_str).zip(damaged).collect();
    let none = folder(&files);
    fs::write(none.path().join("phone.HEIC"), "ftypheic").expect("write");
    let error = try_load(none.path(), &sized(8)).expect_err("nothing to read").to_string();
    for part in ["none of its 8 images can be read", "bomb.jpg claims 65000 x 65000 pixels"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }

    files.extend([("rgb.png", "a.png"), ("grey.png", "t.png"), ("rgb.bmp", "z.bmp")]);
    let some = folder(&files);
    fs::write(some.path().join("phone.HEIC"), "ftypheic").expect("write");
    let done = AtomicUsize::new(0);
    let listing = Listing::of(some.path()).expect("a folder");
    assert_eq!((listing.len(), listing.classes(), listing.is_empty()), (10, 0, false));
    let progress = |n: usize| {
        done.fetch_max(n, Ordering::Relaxed);
    };
    let Loaded { set, skipped, .. } = load("photos", &listing, &sized(8), &progress).expect("three images");
    assert_eq!(names(&set), ["a.png", "t.png", "z.bmp"]);
    assert_eq!(done.into_inner(), 10);
    let alone = folder(&[("rgb.png", "a.png"), ("grey.png", "t.png"), ("rgb.bmp", "z.bmp")]);
    assert_eq!(loaded(alone.path(), &sized(8)).set.pixels, set.pixels, "no gaps are left");
    let why: Vec<String> = skipped.iter().map(ToString::to_string).collect();
    let expected = [
        ("phone.HEIC", "convert it"),
        ("bomb.jpg", "claims 65000 x 65000"),
        ("bomb.png", "claims 60000 x 60000"),
        ("empty.jpg", "is empty"),
        ("text.png", "is no JPEG"),
        ("truncated.jpg", "ends too early"),
        ("truncated.png", ""),
        ("truncated.webp", ""),
    ];
    assert_eq!(why.len(), expected.len(), "{why:#?}");
    for (line, (name, part)) in why.iter().zip(expected) {
        assert!(line.starts_with(name) && line.contains(part), "{line}");
    }

    let empty = tempfile::tempdir().expect("a folder");
    let error = try_load(empty.path(), &sized(8)).expect_err("no images").to_string();
    assert!(error.contains("no images: .jpg, .png"), "{error}");
    assert!(matches!(try_load(&empty.path().join("none"), &sized(8)), Err(DataError::Read { .. })));
}

#[test]
fn what_was_decoded_is_kept_until_something_changes() {
    let dir = folder(&[("rgb.png", "a/1.png"), ("rgb.bmp", "b/1.bmp"), ("damaged/truncated.jpg", "b/2.jpg")]);
    let caches = tempfile::tempdir().expect("a folder");
    let options = Options { cache: Some(CacheFolder { path: caches.path().join("new"), limit: u64::MAX }), ..sized(8) };
    let start = |options: &Options| loaded(dir.path(), options);
    let first = start(&options);
    let again = start(&options);
    assert!(!first.cached && again.cached);
    assert_eq!((&first.set, &first.skipped), (&again.set, &again.skipped));
    let files = || -> Vec<PathBuf> {
        fs::read_dir(caches.path().join("new")).expect("a folder").map(|f| f.expect("a file").path()).collect()
    };
    assert_eq!(files().len(), 1, "nothing is left beside it");

    // Other options have files of their own; another time, length or name of an image is another folder.
    assert!(!start(&Options { fit: Fit::Pad, ..options.clone() }).cached);
    assert!(!start(&Options { size: Some(9), ..options.clone() }).cached);
    assert!(start(&options).cached);
    assert_eq!(files().len(), 3);
    let image = dir.path().join("a/1.png");
    let later = SystemTime::now() + Duration::from_secs(100);
    fs::File::options().write(true).open(&image).expect("open").set_modified(later).expect("a time");
    assert!(!start(&options).cached);
    assert!(start(&options).cached);
    fs::rename(&image, dir.path().join("a/2.png")).expect("renamed");
    let renamed = start(&options);
    assert!(!renamed.cached && names(&renamed.set) == ["a/2.png", "b/1.bmp"]);
    assert_eq!(files().len(), 3, "the file of the folder is replaced");

    // Damage to the file of the cache is as if there were none.
    let path = files().into_iter().find(|p| p.to_string_lossy().ends_with("-8-crop.images")).expect("a file");
    let whole = fs::read(&path).expect("readable");
    let mut kinds = 0;
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).expect("write");
        let found = start(&options);
        assert_eq!(found.set, renamed.set);
        kinds += usize::from(found.cached);
    }
    assert_eq!(kinds, 0, "every byte is checked");
    for length in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).expect("write");
        let found = start(&options);
        assert!(!found.cached && found.set == renamed.set, "{length} bytes");
    }
    fs::write(&path, [&whole[..], b"more"].concat()).expect("write");
    assert!(!start(&options).cached);

    // A cache that cannot be written is no error.
    fs::write(caches.path().join("file"), "").expect("write");
    let file = CacheFolder { path: caches.path().join("file"), limit: u64::MAX };
    assert!(!start(&Options { cache: Some(file), ..options }).cached);
}

#[test]
fn known_folders_of_photographs_are_found_by_name() {
    let dir = folder(&[("rgb.png", "instagram/1.png"), ("rgb.jpg", "MegaDepth/x/1.jpg"), ("rgb.png", "1.png")]);
    let search = [dir.path().to_owned()];
    for name in ["instagram", "megadepth"] {
        let known = catalog::find(name).expect("known");
        let location = known.locate(&search).expect("found");
        let set = location.load(known).expect("loaded");
        assert_eq!((set.len(), set.channels, set.height, set.width), (1, 3, 128, 128));
        assert!(known.differences(&set, true).is_empty() && location.to_string().contains("photographs in "));
    }
    let own = catalog::load("instagram", &[dir.path().join("instagram")]).expect("the folder itself");
    assert_eq!(own.name, "instagram");
    fs::remove_dir_all(dir.path().join("instagram")).expect("removed");
    let error = catalog::load("instagram", &search).expect_err("not there").to_string();
    for part in ["a folder instagram of photographs", "put the folder in one of these", "any folder of photographs"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

/// Pictures with ICC profiles are those that lcms2 sees in them, in sRGB.
#[test]
fn profiles_are_followed() {
    let home = fixtures().join("profiles");
    let text = fs::read_to_string(home.join("expected.json")).expect("readable");
    let expected: BTreeMap<String, String> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(expected.len(), 11);
    let plain = |name: &str| {
        let picture = image::open(home.join(name)).expect("readable").into_rgb8().into_raw();
        picture.chunks(3).flatten().copied().collect::<Vec<u8>>()
    };
    let furthest = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().expect("pixels");
    for (name, pixels) in &expected {
        let dir = folder(&[(&format!("profiles/{name}"), name)]);
        let Loaded { set, skipped, .. } = loaded(dir.path(), &Options::default());
        assert!(skipped.is_empty() && (set.height, set.width) == (SIDE, SIDE), "{name}");
        assert_eq!(set.channels, if name.starts_with("grey") { 1 } else { 3 }, "{name}");
        let pixels: Vec<u8> = (0..pixels.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&pixels[at..at + 2], 16).expect("hexadecimal"))
            .collect();
        let found = rgb(&set, 0);
        assert_eq!(found.len(), pixels.len());
        // lcms2 goes through the coarse table of the inks by tetrahedra, this program by cubes.
        let allowed = if ["cmyk.jpg", "ycck.jpg"].contains(&name.as_str()) {
            8
        } else if name.ends_with("jpg") {
            4
        } else {
            2
        };
        let apart = furthest(&found, &pixels);
        assert!(apart <= allowed, "{name}: {apart} levels apart");
        if ["standard.png", "broken.png", "other.png"].contains(&name.as_str()) {
            assert_eq!(found, plain(name), "{name} stays as it is, to the bit");
        } else {
            let without = furthest(&plain(name), &pixels);
            assert!(without > allowed, "{name}: only {without} levels apart without its profile");
        }
    }
}
