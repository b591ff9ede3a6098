//! Loaders of the formats besides IDX: files of independent writers, damage at random, sets that are made.
//!
//! The fixtures are made by `scripts/make_data_fixtures.py`.

mod damage;

use damage::Change;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proteus::data::{DataError, ImageSet, catalog, idx};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data")
}

/// The pixels of `scripts/make_data_fixtures.py`.
fn formula(n: usize, channels: usize, height: usize, width: usize) -> Vec<u8> {
    let mut pixels = Vec::new();
    for i in 0..n {
        for c in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    pixels.push(((i * 37 + c * 101 + y * 5 + x * 3 + y / 4 * (x / 8) * 11) % 256) as u8);
                }
            }
        }
    }
    pixels
}

#[track_caller]
fn assert_set(set: &ImageSet, n: usize, shape: (usize, usize, usize), labels: &[u32]) {
    assert_eq!((set.channels, set.height, set.width), shape, "{}", set.name);
    assert_eq!(set.len(), n, "{}", set.name);
    let expected = formula(n, shape.0, shape.1, shape.2);
    let wrong = set.pixels.iter().zip(&expected).position(|(a, b)| a != b);
    assert_eq!(wrong, None, "{}: a pixel differs", set.name);
    assert_eq!(set.labels.as_deref(), Some(labels), "{}", set.name);
}

/// A folder with fixtures under other names.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (from, to) in files {
        let to = dir.path().join(to);
        fs::create_dir_all(to.parent().expect("a parent")).expect("make folder");
        fs::copy(fixtures().join(from), to).expect("copy fixture");
    }
    dir
}

#[test]
fn files_of_other_writers_are_read() {
    let load = |name: &str| catalog::load(name, &[fixtures()]).unwrap_or_else(|e| panic!("{name}: {e}"));
    let svhn = load("svhn");
    assert_set(&svhn, 10, (3, 32, 32), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(svhn.scored, 7, "test and training images");
    assert_set(&load("affnist-test"), 6, (1, 40, 40), &[0, 1, 2, 3, 4, 5]);
    assert_set(&load("frgc"), 3, (3, 32, 32), &[1, 0, 2]);
    assert_set(&load("cifar10"), 6, (3, 32, 32), &[0, 1, 2, 3, 4, 5]);
    assert_set(&load("cifar100"), 2, (3, 32, 32), &[0, 1]);
    assert_set(&load("coil20"), 6, (1, 12, 10), &[0, 1, 2, 3, 4, 5]);
    assert_set(&load("umist"), 4, (3, 12, 10), &[0, 1, 2, 3]);
    assert_set(&load("orl-faces"), 6, (1, 12, 10), &[0, 1, 2, 3, 4, 5]);
}

#[test]
fn usps_is_read_in_any_form_and_the_first_found_is_taken() {
    let labels: Vec<u32> = (0..12).map(|i| i % 10).collect();
    let forms: [&[(&str, &str)]; 4] = [
        &[("usps.h5", "usps/usps.h5")],
        &[("usps_chunked.h5", "usps.h5")],
        &[("usps_latest.h5", "usps.h5")],
        &[("usps.bz2", "usps.bz2"), ("usps.t.bz2", "usps.t.bz2")],
    ];
    for files in forms {
        let dir = folder(files);
        let set = catalog::load("usps", &[dir.path().to_owned()]).unwrap_or_else(|e| panic!("{files:?}: {e}"));
        assert_set(&set, 12, (1, 16, 16), &labels);
    }
    let dir = folder(&[("usps.bz2", "usps.bz2")]);
    fs::write(dir.path().join("usps-images-idx3-ubyte"), b"").expect("write");
    let error = catalog::load("usps", &[dir.path().to_owned()]).expect_err("no form is whole").to_string();
    for part in ["usps-images-idx3-ubyte", "usps.h5", "usps.bz2, usps.t.bz2", "(lacks ", "libsvmtools"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    fs::copy(fixtures().join("usps.h5"), dir.path().join("usps.h5")).expect("copy");
    assert_eq!(catalog::load("usps", &[dir.path().to_owned()]).expect("HDF5").len(), 12);
}

#[test]
fn stl10_is_read_columns_first() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let sub = dir.path().join("stl10_binary");
    fs::create_dir(&sub).expect("make folder");
    let upright = formula(3, 3, 96, 96);
    let lying: Vec<u8> = upright
        .chunks_exact(96 * 96)
        .flat_map(|plane| (0..96 * 96).map(|i| plane[i % 96 * 96 + i / 96]).collect::<Vec<u8>>())
        .collect();
    fs::write(sub.join("train_X.bin"), &lying[..2 * 3 * 96 * 96]).expect("write");
    fs::write(sub.join("train_y.bin"), [2, 10]).expect("write");
    fs::write(sub.join("test_X.bin"), &lying[2 * 3 * 96 * 96..]).expect("write");
    fs::write(sub.join("test_y.bin"), [1]).expect("write");
    let search = [dir.path().to_owned()];
    assert_set(&catalog::load("stl10", &search).expect("STL-10"), 3, (3, 96, 96), &[1, 2, 0]);

    fs::write(sub.join("test_y.bin"), [0]).expect("write");
    let error = catalog::load("stl10", &search).expect_err("class 0").to_string();
    assert!(error.contains("test_y.bin: byte 0: class 0"), "{error}");
    fs::write(sub.join("test_y.bin"), [1, 1]).expect("write");
    let error = catalog::load("stl10", &search).expect_err("two labels").to_string();
    assert!(error.contains("1 images but 2 labels"), "{error}");
}

#[test]
fn a_file_of_another_kind_is_explained() {
    for (from, to, name, part) in [
        ("usps.h5", "coil20.npz", "coil20", "not a NumPy archive"),
        ("coil20.npz", "usps.h5", "usps", "not an HDF5 file"),
        ("coil20.npz", "affNIST_test.mat", "affnist-test", "not a MATLAB file of version 5"),
        ("data4torch.h5", "affNIST_test.mat", "affnist-test", "save it again with -v7"),
        ("test_32x32.mat", "affNIST_test.mat", "affnist-test", "no affNISTdata"),
        ("data4torch.h5", "usps.h5", "usps", "the file has no train/data"),
        ("coil20.npz", "data4torch.h5", "frgc", "not an HDF5 file"),
    ] {
        let dir = folder(&[(from, to)]);
        let error = catalog::load(name, &[dir.path().to_owned()]).expect_err(from).to_string();
        assert!(error.contains(part) && error.contains(to) && error.contains("byte "), "{error}");
    }
    let dir = folder(&[("train.bin", "train.bin"), ("test_batch.bin", "test.bin")]);
    let error = catalog::load("cifar100", &[dir.path().to_owned()]).expect_err("CIFAR-10").to_string();
    assert!(error.contains("test.bin: byte 0: 3073 bytes are not records of 3074"), "{error}");
}

#[test]
fn scores_stop_where_images_only_train() {
    let set = catalog::load("svhn", &[fixtures()]).expect("SVHN");
    assert_eq!(set.first(4).scored, 4);
    assert_eq!(set.first(9).scored, 7);
    assert_eq!(set.spread(5).scored, 4, "images 0 2 4 6 8");
    assert_eq!(set.select(&[1, 9, 2]).expect("in range").scored, 1);
    let known = catalog::find("svhn").expect("known");
    assert!(known.differences(&set, true).iter().any(|l| l.contains("scored: 99289 expected, 7 found")));
}

/// Digits of a few pixels in the files of MNIST: 3 to test, 2 to train.
fn small_mnist() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (stem, n, first) in [("t10k", 3, 0), ("train", 2, 3)] {
        let mut pixels = vec![0; n * 28 * 28];
        for i in 0..n {
            for (y, x) in (6..22).flat_map(|y| (9..18).map(move |x| (y, x))) {
                pixels[(i * 28 + y) * 28 + x] = (50 + 40 * (first + i) + x) as u8;
            }
        }
        let labels = (first..first + n).map(|l| l as u32).collect();
        let mut set = ImageSet::new(stem, 1, 28, 28, pixels, Some(labels)).expect("a set");
        set.labels = Some((first..first + n).map(|l| l as u32).collect());
        let file = |what| dir.path().join(format!("{stem}-{what}"));
        idx::save_pair(&set, &file("images-idx3-ubyte"), &file("labels-idx1-ubyte")).expect("written");
    }
    dir
}

#[test]
fn made_sets_are_those_of_the_publication_and_load_again() {
    let dir = small_mnist();
    let search = [dir.path().to_owned()];
    let grey = catalog::load("mnist", &search).expect("MNIST");
    let colour = catalog::load("mnist-color", &search).expect("made in memory");
    assert_eq!((colour.len(), colour.channels, &colour.labels), (5, 3, &grey.labels));
    for i in 0..5 {
        assert_eq!(colour.image(i).iter().max(), Some(&255), "divided by the maximum");
    }
    // torch.manual_seed(0); c = torch.rand(3) * 2 - 1; b = torch.rand(3): the background is b over the maximum.
    let (c, b) = ([-0.007_486_82, 0.536_443_6, -0.823_045_1], [0.132_030_48, 0.307_422_82, 0.634_078_7_f32]);
    let value = |k: usize, x: u8| (c[k] * f32::from(x) / 255.0 + b[k]).abs();
    let most = (0..3).flat_map(|k| grey.image(0).iter().map(move |&x| (k, x))).map(|(k, x)| value(k, x));
    let most = most.fold(0.0, f32::max);
    for (at, &pixel) in colour.image(0).iter().enumerate() {
        let expected = value(at / 784, grey.image(0)[at % 784]) / most * 255.0;
        assert!((f32::from(pixel) - expected).abs() < 0.51, "{at}: {pixel} {expected}");
    }

    let affine = catalog::load("affnist-test", &search).expect("made in memory");
    assert_eq!((affine.len(), affine.height, affine.width, affine.classes), (96, 40, 40, 3));
    assert_eq!(affine.class_counts(), [32; 3]);
    let ink = |image: &[u8]| image.iter().map(|&p| f64::from(p)).sum::<f64>();
    for i in 0..96 {
        // Scaled by 0.8 to 1.2 along each axis; all of the ink is inside.
        let ratio = ink(affine.image(i)) / ink(grey.image(i / 32));
        assert!((0.62..1.47).contains(&ratio), "{i}: {ratio}");
    }
    let versions: std::collections::HashSet<&[u8]> = (0..96).map(|i| affine.image(i)).collect();
    assert_eq!(versions.len(), 96);

    for made in [colour, affine] {
        let known = catalog::find(&made.name).expect("known");
        assert_eq!(catalog::make(known.name, &search).expect("made"), made, "seeded");
        let out = tempfile::tempdir().expect("a temporary folder");
        let [images, labels] = known.idx_names().map(|n| out.path().join(n));
        idx::save_pair(&made, &images, &labels).expect("written");
        assert_eq!(catalog::load(known.name, &[out.path().to_owned()]).expect("by name"), made);
        let again = idx::save_pair(&made, &images, &labels).expect_err("nothing is overwritten");
        assert!(matches!(again, DataError::Exists { .. }));
    }

    let error = catalog::make("usps", &search).expect_err("not made").to_string();
    assert!(error.contains("those are mnist-color, affnist-test"), "{error}");
    let error = catalog::load("mnist-color", &[]).expect_err("no MNIST").to_string();
    assert!(error.contains("mnist-color-images-idx4-ubyte") && error.contains("made where mnist is found"), "{error}");
}

thread_local! {
    /// The largest piece of memory that this thread asked for.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

struct Watched;

// SAFETY: every call is handed on unchanged to the allocator of the system; what is added is a number of the thread,
// which needs no memory itself.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = LARGEST.try_with(|l| l.set(l.get().max(layout.size())));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let _ = LARGEST.try_with(|l| l.set(l.get().max(layout.size())));
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = LARGEST.try_with(|l| l.set(l.get().max(size)));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Fixtures, and the set and file names that they are read under.
const DAMAGED: [(&str, &str, &str); 14] = [
    ("test_32x32.mat", "test_32x32.mat", "svhn"),
    ("extra_32x32.mat", "extra_32x32.mat", "svhn"),
    ("affNIST_test.mat", "affNIST_test.mat", "affnist-test"),
    ("usps.h5", "usps.h5", "usps"),
    ("usps_chunked.h5", "usps.h5", "usps"),
    ("usps_latest.h5", "usps.h5", "usps"),
    ("data4torch.h5", "data4torch.h5", "frgc"),
    ("usps.t.bz2", "usps.t.bz2", "usps"),
    ("data_batch_3.bin", "data_batch_3.bin", "cifar10"),
    ("test.bin", "test.bin", "cifar100"),
    ("coil20.npz", "coil20.npz", "coil20"),
    ("umist32.npz", "umist32.npz", "umist"),
    ("orl-faces-images.npy", "orl-faces-images.npy", "orl-faces"),
    ("orl-faces-labels.npy", "orl-faces-labels.npy", "orl-faces"),
];

/// Other files of the same sets, which stay whole.
const WHOLE: [(&str, &str); 12] = [
    ("svhn", "train_32x32.mat"),
    ("svhn", "test_32x32.mat"),
    ("svhn", "extra_32x32.mat"),
    // Belongs to the text form alone, which is only found where its other half is.
    ("usps", "usps.bz2"),
    ("cifar10", "data_batch_1.bin"),
    ("cifar10", "data_batch_2.bin"),
    ("cifar10", "data_batch_4.bin"),
    ("cifar10", "data_batch_5.bin"),
    ("cifar10", "test_batch.bin"),
    ("cifar100", "train.bin"),
    ("orl-faces", "orl-faces-images.npy"),
    ("orl-faces", "orl-faces-labels.npy"),
];

/// What damages these files.
fn change() -> impl Strategy<Value = Change> {
    let number = prop_oneof![
        any::<[u8; 2]>().prop_map(Vec::from),
        prop::sample::select(vec![0_u64, 1, 7, 8, 255, 1 << 16, 1 << 31, 1 << 40, u64::MAX, u64::MAX - 7])
            .prop_map(|n| n.to_le_bytes().to_vec()),
        prop::sample::select(vec![0_u32, 1, 8, 1 << 20, i32::MAX as u32, u32::MAX])
            .prop_map(|n| n.to_le_bytes().to_vec()),
        (0..4096_u64).prop_map(|n| n.to_le_bytes().to_vec()),
    ];
    damage::change(number)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any result but a panic will do; a set that comes out must be sound, an error must say which file, and no piece of
    /// memory may be larger than the file justifies: what deflate can hold in it, twice for what grows, and the tables of
    /// a decoder (those of bzip2 are 3.6 MB).
    #[test]
    fn damage_is_met_with_an_error(which in 0..DAMAGED.len(), changes in prop::collection::vec(change(), 1..4)) {
        let (from, to, name) = DAMAGED[which];
        let mut bytes = fs::read(fixtures().join(from)).expect("a fixture");
        damage::apply(changes, &mut bytes);
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (_, file) in WHOLE.iter().filter(|(set, file)| *set == name && *file != to) {
            fs::copy(fixtures().join(file), dir.path().join(file)).expect("copy");
        }
        fs::write(dir.path().join(to), &bytes).expect("write");
        LARGEST.with(|l| l.set(0));
        let loaded = catalog::load(name, &[dir.path().to_owned()]);
        let largest = LARGEST.with(Cell::get);
        prop_assert!(largest <= bytes.len() * 1032 * 2 + (4 << 20), "{largest} bytes for {} of {from}", bytes.len());
        match loaded {
            Ok(set) => {
                let sound = set.labels.as_ref().is_some_and(|l| l.len() == set.len());
                prop_assert!(sound && set.pixels.len() == set.len() * set.image_bytes());
            }
            Err(error @ (DataError::Format { .. } | DataError::Set { .. })) => {
                let message = error.to_string();
                prop_assert!(message.contains(to) || message.contains(name), "{message}");
                let placed = matches!(error, DataError::Set { .. }) || message.contains("byte ");
                prop_assert!(placed, "{message}");
            }
            Err(other) => prop_assert!(false, "another kind of error: {other}"),
        }
    }
}
