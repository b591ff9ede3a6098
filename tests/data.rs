//! Loaders: good files, every kind of bad file, and damage at random.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use proteus::data::idx_folder::{self, TEST_THEN_TRAIN};
use proteus::data::{DataError, IdxProblem, ImageSet, catalog, idx};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

/// An IDX file: magic number, dimensions, data.
fn idx_bytes(magic: u32, dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    bytes.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    bytes.extend(data);
    bytes
}

/// `n` grey images of 3 x 2 with pixels 0, 1, 2, ...
fn grey(n: u32) -> Vec<u8> {
    let data: Vec<u8> = (0..n * 6).map(|i| i as u8).collect();
    idx_bytes(0x803, &[n, 3, 2], &data)
}

fn labels(values: &[u8]) -> Vec<u8> {
    idx_bytes(0x801, &[values.len() as u32], values)
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("write to memory");
    encoder.finish().expect("write to memory")
}

fn put(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("make folder");
    fs::write(&path, bytes).expect("write test file");
    path
}

fn temp() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Asserts that an image file of these bytes is refused with all of `parts` in the message; returns the error.
#[track_caller]
fn refused(bytes: &[u8], parts: &[&str]) -> DataError {
    let error = idx::decode_images(Path::new("bad-file"), bytes).expect_err("must be refused");
    let message = error.to_string();
    for part in parts.iter().chain(&["bad-file"]) {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    error
}

#[test]
fn plain_and_gzip_agree_whatever_the_name() {
    let dir = temp();
    let plain = put(dir.path(), "a.gz", &grey(4));
    let packed = put(dir.path(), "b", &gz(&grey(4)));
    let two_members = put(dir.path(), "c", &[gz(&grey(4)[..20]), gz(&grey(4)[20..])].concat());
    let expected = idx::read_images(&plain).expect("plain");
    assert_eq!((expected.channels, expected.height, expected.width), (1, 3, 2));
    assert_eq!(expected.pixels, (0..24).collect::<Vec<u8>>());
    assert_eq!(idx::read_images(&packed).expect("gzip"), expected);
    assert_eq!(idx::read_images(&two_members).expect("two members"), expected);

    let plain = put(dir.path(), "d", &labels(&[3, 1, 2]));
    let packed = put(dir.path(), "e", &gz(&labels(&[3, 1, 2])));
    assert_eq!(idx::read_labels(&plain).expect("plain"), [3, 1, 2]);
    assert_eq!(idx::read_labels(&packed).expect("gzip"), [3, 1, 2]);
}

#[test]
fn colour_becomes_planar() {
    // Two images of 1 x 2 pixels, (r, g, b) each.
    let file = idx_bytes(0x804, &[2, 1, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    let images = idx::decode_images(Path::new("colour"), file.as_slice()).expect("colour");
    assert_eq!((images.channels, images.height, images.width), (3, 1, 2));
    assert_eq!(images.pixels, [1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12]);
    refused(&idx_bytes(0x804, &[1, 1, 1, 28], &[0; 28]), &["28 channels", "1 x 1 x 1 x 28", "byte 16"]);
}

#[test]
fn a_wrong_magic_number_is_explained() {
    refused(&labels(&[1, 2]), &["byte 0", "0x00000801", "this is a label file", "0x00000803"]);
    refused(b"PK\x03\x04rest of it", &["zip archive"]);
    refused(b"\x93NUMPY...", &["NumPy"]);
    refused(b"<!DOCTYPE html>", &["web page", "download it again"]);
    refused(&[3, 8, 0, 0, 1, 0, 0, 0], &["little-endian"]);
    refused(&idx_bytes(0x802, &[1, 1], &[0]), &["2 dimensions"]);
    refused(b"hello world", &["0x68656c6c", "not an IDX file"]);
    refused(&gz(&labels(&[1])), &["this is a label file"]);

    let error = idx::decode_labels(Path::new("x"), grey(1).as_slice()).expect_err("images for labels");
    assert!(error.to_string().contains("this is an image file"), "{error}");
}

#[test]
fn other_element_types_are_named() {
    refused(&idx_bytes(0x0d03, &[1, 1, 1], &[0; 4]), &["byte 2", "0x0d", "32-bit float", "unsigned bytes"]);
    refused(&idx_bytes(0x0901, &[1], &[0]), &["signed byte"]);
}

#[test]
fn truncation_says_what_was_expected_and_found() {
    let whole = grey(4);
    refused(&whole[..20], &["truncated", "40 bytes expected", "20 found"]);
    refused(&whole[..10], &["16 bytes expected", "10 found"]);
    refused(&whole[..3], &["4 bytes expected", "3 found"]);
    refused(&[], &["4 bytes expected", "0 found"]);
    // A sound gzip stream of too few bytes.
    refused(&gz(&whole[..20]), &["40 bytes expected", "20 found"]);
}

#[test]
fn trailing_bytes_are_refused() {
    let mut long = grey(2);
    long.push(0);
    refused(&long, &["byte 28", "goes on"]);
    refused(&gz(&long), &["byte 28", "goes on"]);
}

#[test]
fn absurd_dimensions_are_refused() {
    refused(&idx_bytes(0x803, &[5, 0, 28], &[]), &["byte 8", "5 x 0 x 28", "zero"]);
    refused(&idx_bytes(0x803, &[0, 28, 28], &[]), &["byte 4", "zero"]);
    let most = u32::MAX;
    refused(&idx_bytes(0x803, &[most, most, most], &[]), &["memory can address"]);
    refused(&idx_bytes(0x804, &[most, most, most, most], &[]), &["memory can address"]);
    // A product that fits 64 bits and yet not the file: an error at once, without the memory it promises.
    refused(&idx_bytes(0x803, &[1 << 20, 1 << 20, 1 << 20], &[7; 100]), &["truncated", "116 found"]);
}

#[test]
fn damaged_gzip_is_told_from_a_damaged_file() {
    let random = {
        let mut data = vec![0; 6000];
        ChaCha8Rng::seed_from_u64(3).fill_bytes(&mut data);
        idx_bytes(0x803, &[1000, 3, 2], &data)
    };
    let sound = gz(&random);
    let half = refused(&sound[..sound.len() / 2], &["corrupted gzip", "decompressed bytes"]);
    let is_gzip = matches!(&half, DataError::Idx { problem: IdxProblem::Gzip { .. }, .. });
    assert!(is_gzip, "{half:?}");
    refused(&sound[..sound.len() - 3], &["corrupted gzip"]);
    refused(&sound[..5], &["corrupted gzip"]);
    let mut checksum = sound.clone();
    let at = checksum.len() - 6;
    checksum[at] ^= 1;
    refused(&checksum, &["corrupted gzip", "after 6016 decompressed bytes"]);
    let tail = [sound.clone(), b"garbage".to_vec()].concat();
    refused(&tail, &["corrupted gzip"]);
    let error = refused(&[&sound[..40], &[0xff; 200][..]].concat(), &["bad-file"]);
    assert!(matches!(error, DataError::Idx { .. }), "{error:?}");
}

#[test]
fn an_unreadable_path_is_named() {
    let dir = temp();
    let error = idx::read_images(&dir.path().join("absent")).expect_err("absent");
    assert!(matches!(error, DataError::Read { .. }) && error.to_string().contains("absent"), "{error}");
    assert!(matches!(idx::read_images(dir.path()), Err(DataError::Read { .. })));
}

#[test]
fn images_and_labels_must_be_as_many() {
    let dir = temp();
    let images = put(dir.path(), "i", &grey(4));
    let names = put(dir.path(), "l", &labels(&[0, 1, 2]));
    let error = idx::load_pair("toy", &images, Some(&names)).expect_err("3 labels for 4 images");
    assert!(error.to_string().contains("toy: 4 images but 3 labels"), "{error}");
    let set = idx::load_pair("toy", &images, None).expect("no labels");
    assert_eq!((set.len(), set.classes, set.labels), (4, 0, None));
}

#[test]
fn sets_are_checked() {
    let fails = |c, h, w, pixels: usize, part: &str| {
        let error = ImageSet::new("toy", c, h, w, vec![0; pixels], None).expect_err("must be refused");
        assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    };
    fails(1, 2, 2, 0, "no images");
    fails(0, 2, 2, 4, "0 x 2 x 2");
    fails(usize::MAX, 2, 2, 4, "cannot be");
    fails(1, 2, 2, 7, "7 pixel bytes");

    let set = ImageSet::new("toy", 1, 1, 2, (0..8).collect(), Some(vec![9, 5, 9, 7])).expect("a set");
    assert_eq!((set.len(), set.classes), (4, 3));
    assert_eq!(set.labels.as_deref(), Some(&[2, 0, 2, 1][..]), "gaps are closed in ascending order");
    assert_eq!((set.image(2), set.class_counts()), (&[4, 5][..], vec![1, 1, 2]));
    let first = set.first(2);
    assert_eq!((first.len(), first.classes, first.labels), (2, 3, Some(vec![2, 0])));
    assert_eq!(set.first(99), set);
    assert_eq!(set.spread(2).labels, Some(vec![2, 2]));
    assert_eq!(set.select(&[3, 0]).expect("in range").pixels, [6, 7, 0, 1]);
    assert!(set.select(&[4]).expect_err("out of range").to_string().contains("image 4 was asked for, of 4"));
    assert!(set.select(&[]).is_err());
}

/// The pairs of MNIST and its kin in a folder, joined.
fn joined(folder: &Path) -> Result<ImageSet, DataError> {
    let pairs: Vec<_> = TEST_THEN_TRAIN.iter().filter_map(|stem| idx_folder::find_pair(folder, stem)).collect();
    idx_folder::load_pairs("mnist", &pairs)
}

#[test]
fn a_folder_is_read_test_first() {
    let dir = temp();
    put(dir.path(), "train-images-idx3-ubyte.gz", &gz(&grey(3)));
    put(dir.path(), "train-labels-idx1-ubyte", &labels(&[0, 1, 2]));
    put(dir.path(), "t10k-images.idx3-ubyte", &grey(1));
    put(dir.path(), "t10k-labels-idx1-ubyte.gz", &gz(&labels(&[2])));
    let set = joined(dir.path()).expect("a folder");
    // A part that has not all classes must not be numbered on its own.
    assert_eq!((set.labels, set.classes, set.pixels.len()), (Some(vec![2, 0, 1, 2]), 3, 24));
    assert!(joined(temp().path()).expect_err("nothing there").to_string().contains("no images"));
}

#[test]
fn parts_must_fit_together() {
    let dir = temp();
    put(dir.path(), "train-images-idx3-ubyte", &grey(3));
    put(dir.path(), "t10k-images-idx3-ubyte", &idx_bytes(0x803, &[1, 2, 2], &[0; 4]));
    let error = joined(dir.path()).expect_err("sizes differ").to_string();
    assert!(error.contains("1x2x2") && error.contains("1x3x2"), "{error}");

    put(dir.path(), "t10k-images-idx3-ubyte", &grey(1));
    put(dir.path(), "t10k-labels-idx1-ubyte", &labels(&[0]));
    let error = joined(dir.path()).expect_err("labels of one part").to_string();
    assert!(error.contains("some have none"), "{error}");

    put(dir.path(), "train-labels-idx1-ubyte", &labels(&[0]));
    let error = joined(dir.path()).expect_err("too few labels").to_string();
    assert!(error.contains("(train): 3 images but 1 labels"), "{error}");
}

#[test]
fn known_sets_are_found_directly_and_in_their_subfolder() {
    let dir = temp();
    put(dir.path(), "usps-images-idx3-ubyte.gz", &gz(&grey(2)));
    put(dir.path(), "usps-labels-idx1-ubyte.gz", &gz(&labels(&[1, 0])));
    let search = [dir.path().join("nowhere"), dir.path().to_owned()];
    let set = catalog::load("usps", &search).expect("directly");
    assert_eq!((set.name.as_str(), set.len(), set.classes), ("usps", 2, 2));

    // Several sets share these file names, so the subfolder of the set's own name wins.
    for (folder, n) in [("", 1), ("mnist/", 2), ("fashion-mnist/", 3)] {
        for stem in ["train", "t10k"] {
            put(dir.path(), &format!("{folder}{stem}-images-idx3-ubyte"), &grey(n));
            put(dir.path(), &format!("{folder}{stem}-labels-idx1-ubyte"), &labels(&vec![0; n as usize]));
        }
    }
    assert_eq!(catalog::load("mnist", &search).expect("subfolder").len(), 4);
    assert_eq!(catalog::load("mnist-test", &search).expect("with the whole").len(), 2);
    assert_eq!(catalog::load("fashion-mnist", &search).expect("subfolder").len(), 6);
    assert_eq!(catalog::load("mnist", &[dir.path().join("fashion-mnist")]).expect("directly").len(), 6);
}

#[test]
fn a_missing_set_names_its_files_and_every_folder_looked_in() {
    let dir = temp();
    put(dir.path(), "train-images-idx3-ubyte", &grey(2));
    let (here, absent) = (dir.path().to_owned(), dir.path().join("absent"));
    let error = catalog::load("mnist", &[here.clone(), absent.clone()]).expect_err("incomplete");
    assert!(matches!(error, DataError::Missing(_)), "{error:?}");
    let message = error.to_string();
    for file in
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
    {
        assert!(message.contains(file), "{file} is not in: {message}");
    }
    for folder in [here.clone(), here.join("mnist"), absent.clone(), absent.join("mnist")] {
        assert!(message.contains(&folder.display().to_string()), "{} is not in: {message}", folder.display());
    }
    assert!(message.contains("(no such folder)"), "{message}");
    let lacks = "lacks t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, train-labels-idx1-ubyte";
    assert!(message.contains(lacks), "{message}");

    let error = catalog::load("usps", &[]).expect_err("nowhere to look").to_string();
    assert!(error.contains("usps-images-idx3-ubyte") && error.contains("no folder was given"), "{error}");
}

#[test]
fn an_unknown_set_suggests_the_nearest() {
    for (asked, meant) in [
        ("mnits", "mnist"),
        ("MNIST", "mnist"),
        ("fashion_mnist", "fashion-mnist"),
        ("mnist5", "mnist5k"),
        ("ups", "usps"),
    ] {
        let error = catalog::load(asked, &[]).expect_err("unknown").to_string();
        assert!(error.contains(&format!("did you mean {meant:?}")), "{asked}: {error}");
    }
    let error = catalog::load("zebra", &[]).expect_err("unknown").to_string();
    assert!(!error.contains("did you mean") && error.contains("mnist5k, mnist, "), "{error}");
}

#[test]
fn mnist5k_is_whole() {
    let set = catalog::load("mnist5k", &[]).expect("embedded");
    assert_eq!((set.len(), set.channels, set.height, set.width), (5000, 1, 28, 28));
    assert_eq!((set.classes, set.class_counts()), (10, vec![500; 10]));
    assert_eq!(set.pixels.iter().map(|&p| u64::from(p)).sum::<u64>(), 131_267_102);
    let known = catalog::find("mnist5k").expect("known");
    assert_eq!(known.differences(&set, true), Vec::<String>::new());
    assert_eq!(set.spread(100).class_counts(), [10; 10]);

    // Negative control: one pixel by one level.
    let mut changed = set;
    changed.pixels[1234] ^= 1;
    assert_eq!(known.differences(&changed, true).len(), 1);
}

/// Damages a file at random, many times over: any result but a panic will do, and a set that comes out must be sound.
#[test]
fn random_damage_never_panics() {
    let mut rng = ChaCha8Rng::seed_from_u64(2020);
    let mut data = vec![0; 20 * 6];
    rng.fill_bytes(&mut data);
    let colour = idx_bytes(0x804, &[10, 2, 2, 3], &data);
    let sources = [grey(20), gz(&grey(20)), labels(&[5; 40]), gz(&labels(&[5; 40])), colour.clone(), gz(&colour)];
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..30_000 {
        let mut bytes = sources[round % sources.len()].clone();
        if rng.random_bool(0.3) {
            bytes.truncate(rng.random_range(0..=bytes.len()));
        }
        if !bytes.is_empty() {
            for _ in 0..rng.random_range(0..4) {
                // Half of the damage in the header, where it matters most.
                let reach = if rng.random_bool(0.5) { bytes.len().min(20) } else { bytes.len() };
                let at = rng.random_range(0..reach);
                bytes[at] ^= rng.random_range(1..=255_u8);
            }
        }
        let path = Path::new("damaged");
        match idx::decode_images(path, Cursor::new(&bytes)) {
            Ok(images) => {
                accepted += 1;
                let idx::IdxImages { channels, height, width, pixels } = images;
                ImageSet::new("damaged", channels, height, width, pixels, None).expect("a sound set");
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("damaged"), "{error}");
            }
        }
        if let Ok(labels) = idx::decode_labels(path, Cursor::new(&bytes)) {
            assert!(!labels.is_empty());
        }
    }
    assert!(accepted > 100 && refused > 10_000, "{accepted} accepted, {refused} refused");
}

/// Real sets are not part of the project: they are read where they lie beside the checkout.
#[test]
fn real_sets_have_their_published_histograms() {
    let search = [Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data")];
    let mut checked = Vec::new();
    // Sets that are made take seconds and half a gigabyte: `data verify` does that.
    for known in catalog::known().iter().filter(|known| known.made_of().is_none()) {
        match catalog::load(known.name, &search) {
            Ok(set) => {
                assert_eq!(known.differences(&set, true), Vec::<String>::new(), "{}", known.name);
                checked.push((known.name, set));
            }
            Err(DataError::Missing(_)) => {
                eprintln!("skipped: {} is not in {}", known.name, search[0].display());
            }
            Err(error) => panic!("{}: {error}", known.name),
        }
    }
    // One set in the place of another with the same file names is noticed.
    if checked.iter().any(|(name, _)| *name == "mnist") {
        let error = catalog::load("fashion-mnist", &[search[0].join("mnist")]).expect_err("MNIST");
        assert!(error.to_string().contains("holds the images of mnist, not of fashion-mnist"), "{error}");
    }
}
