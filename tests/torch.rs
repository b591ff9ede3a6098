//! Files of `torch.save`: what PyTorch wrote is read exactly, what is damaged is refused (see tests/fixtures/README.md).

use proptest::prelude::*;
use proteus::torch::{Id, Pickle, TorchError, TorchFile, Value};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// The system's allocator, which notes the largest request.
struct Noting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: `place` is from `System.alloc` with this layout.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// More than any request for a file of a few kilobytes.
const BOUND: usize = 4 << 20;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.pt.gz"));
    let mut bytes = Vec::new();
    let packed = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).expect("gzip");
    bytes
}

fn open(bytes: Vec<u8>) -> Result<TorchFile, TorchError> {
    TorchFile::from_bytes(Path::new("f.pt"), bytes)
}

/// An archive like that of `tensors` with other records.
fn archive(change: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>, more: &[(&str, &[u8])]) -> Vec<u8> {
    let mut from = ZipArchive::new(Cursor::new(fixture("tensors"))).expect("an archive");
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for i in 0..from.len() {
        let mut record = from.by_index(i).expect("a record");
        let (name, mut bytes) = (record.name().expect("a name").to_string(), Vec::new());
        record.read_to_end(&mut bytes).expect("stored");
        if let Some(bytes) = change(&name, bytes) {
            to.start_file(name, options).expect("a record");
            to.write_all(&bytes).expect("written");
        }
    }
    for (name, bytes) in more {
        to.start_file(*name, options).expect("a record");
        to.write_all(bytes).expect("written");
    }
    to.finish().expect("an archive").into_inner()
}

/// A small file must not grow into a large one in memory.
#[test]
fn compressed_records_are_refused() {
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    to.start_file("archive/data.pkl", options).expect("a record");
    to.write_all(&vec![0; 1 << 20]).expect("written");
    let bytes = to.finish().expect("an archive").into_inner();
    let error = open(bytes).expect_err("compressed").to_string();
    assert!(error.contains("data.pkl") && error.contains("torch.save stores records as they are"), "{error}");
}

fn pickle() -> Vec<u8> {
    let mut from = ZipArchive::new(Cursor::new(fixture("tensors"))).expect("an archive");
    let mut bytes = Vec::new();
    from.by_name("archive/data.pkl").expect("the pickle").read_to_end(&mut bytes).expect("stored");
    bytes
}

/// Reads whatever can be read.
fn explore(file: &TorchFile) -> usize {
    let tensors = file.root().entries().into_iter().filter_map(|(name, item)| Some((name, item.tensor().ok()?)));
    tensors.filter_map(|(name, tensor)| file.read(name, &tensor).ok()).map(|values| values.len()).sum()
}

#[test]
fn tensors_of_all_kinds_are_read_exactly() {
    for name in ["tensors", "tensors_legacy"] {
        let file = open(fixture(name)).expect(name);
        let read = |key: &str| {
            let tensor = file.root().get(key).expect(key).tensor().expect(key);
            (tensor.shape.clone(), file.read(key, &tensor).expect(key))
        };
        let base = |i: usize| i as f32 / 8.0 - 1.0;
        assert_eq!(read("float"), (vec![2, 3, 4], (0..24).map(base).collect()));
        let transposed = (0..24).map(|n| base(n % 3 * 4 + n / 3 % 2 * 12 + n / 6)).collect();
        assert_eq!(read("transposed"), (vec![4, 2, 3], transposed));
        assert_eq!(read("slice"), (vec![3, 2], [13, 14, 17, 18, 21, 22].map(base).to_vec()));
        assert_eq!(read("expanded"), (vec![3, 2], [0, 1, 0, 1, 0, 1].map(base).to_vec()));
        assert_eq!(read("double"), (vec![3], vec![0.5, 0.75, 1.0]));
        assert_eq!(read("double_every_other"), (vec![5], vec![0.25, 0.75, 1.25, 1.75, 2.25]));
        assert_eq!(read("half").1, [-3.0, -0.5, 0.0, 1.0, 6.103_515_6e-5, 5.960_464_5e-8, 65504.0]);
        assert_eq!(read("bfloat16").1[..2], [-3.0, 0.5]);
        assert!((read("bfloat16").1[2] / 1e30 - 1.0).abs() < 1.0 / 128.0);
        assert_eq!(read("long").1, [-1.0, 1_048_576.0]);
        assert_eq!(read("int").1, [-1.0, 7.0]);
        assert_eq!(read("short").1, [-300.0, 7.0]);
        assert_eq!(read("char").1, [-128.0, 7.0]);
        assert_eq!(read("byte").1, [0.0, 255.0]);
        assert_eq!(read("bool").1, [1.0, 0.0]);
        assert_eq!(read("scalar"), (vec![], vec![2.5]));
        assert_eq!(read("empty"), (vec![0, 3], vec![]));
        assert_eq!(read("parameter").1, [1.5]);

        let complex = file.root().get("complex").expect("an entry").tensor().expect("a tensor");
        let error = file.read("complex", &complex).expect_err("not real").to_string();
        assert_eq!(error, "f.pt: 'complex' holds complex numbers");
        // What is not a tensor is there and does no harm.
        let root = file.root();
        for key in ["numpy", "array", "big", "set"] {
            assert!(root.get(key).expect(key).tensor().is_err(), "{key}");
        }
        assert_eq!(root.get("text").and_then(|i| i.text()), Some("\u{e4}"));
        let list = root.get("list").expect("an entry").items();
        assert_eq!(list[1].number(), Some(2.5));
        assert_eq!(list[3].truth(), Some(true));
        assert_eq!(list[4].value(), &Value::Int(-(1 << 40)));
        assert_eq!(list[5].text().map(str::len), Some(300));
    }
}

#[test]
fn other_files_are_told_what_they_are() {
    let refused = |bytes: Vec<u8>, parts: &[&str]| {
        let message = open(bytes).expect_err("not to be read").to_string();
        for part in ["f.pt", ":"].iter().chain(parts) {
            assert!(message.contains(part), "'{part}' in {message}");
        }
    };
    refused(vec![], &["it is empty"]);
    refused(b"hello".to_vec(), &["no file of torch.save"]);
    refused(vec![0x1f, 0x8b, 8, 0], &["unpack it first"]);
    refused(b"\x80\x04N.".to_vec(), &["not one of torch.save"]);
    refused(b"PK\x03\x04".to_vec(), &["may not be complete"]);
    let whole = fixture("tensors");
    refused(whole[..whole.len() / 2].to_vec(), &["may not be complete"]);
    let legacy = fixture("tensors_legacy");
    refused(legacy[..legacy.len() - 3].to_vec(), &["the file ends early"]);
    refused(legacy[..300].to_vec(), &["its pickle", "not complete"]);

    let same = |_: &str, bytes: Vec<u8>| Some(bytes);
    assert_eq!(explore(&open(archive(same, &[])).expect("a copy")), explore(&open(whole.clone()).expect("itself")));
    assert!(open(archive(same, &[("archive/byteorder", b"little")])).is_ok());
    refused(archive(same, &[("archive/byteorder", b"big")]), &["highest byte first"]);
    refused(archive(same, &[("archive/constants.pkl", b"")]), &["TorchScript"]);
    refused(archive(|name, b| (!name.ends_with("data.pkl")).then_some(b), &[]), &["without data.pkl"]);
    let cut = |name: &str, b: Vec<u8>| Some(if name.ends_with("data.pkl") { b[..40].to_vec() } else { b });
    refused(archive(cut, &[]), &["byte 18 of its pickle", "not complete"]);
    let mut big = legacy.clone();
    let flag = legacy.windows(13).position(|w| w == b"little_endian").expect("the flag");
    let truth = flag + legacy[flag..].iter().position(|&b| b == 0x88).expect("true");
    big[truth] = 0x89;
    refused(big, &["highest byte first"]);
}

#[test]
fn damaged_tensors_are_named() {
    let read = |bytes: Vec<u8>, key: &str| {
        let file = open(bytes).expect("the pickle is whole");
        let tensor = file.root().get(key).expect(key).tensor().expect(key);
        file.read(key, &tensor).map(|_| ()).expect_err("damaged").to_string()
    };
    let without = |name: &str, b: Vec<u8>| (name != "archive/data/0").then_some(b);
    assert!(read(archive(without, &[]), "float").contains("'archive/data/0'"));
    let short = |name: &str, b: Vec<u8>| Some(if name == "archive/data/0" { b[..9].to_vec() } else { b });
    assert!(read(archive(short, &[]), "float").contains("9 bytes for 24 numbers of Float"));
    // A flipped bit in an archive is noticed by its checksum.
    let mut flipped = fixture("tensors");
    let number = (23.0f32 / 8.0 - 1.0).to_le_bytes();
    let place = flipped.windows(4).position(|w| w == number).expect("the last number");
    flipped[place] ^= 1;
    assert!(read(flipped, "float").contains("checksum"));
}

/// A pickle of {'x': a tensor}, of a storage of four numbers, with the given shape and strides as instructions.
fn one_tensor(offset: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let mut p = b"\x80\x02}X\x01\x00\x00\x00xctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
    p.extend(b"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ");
    for part in [offset, shape, strides, b"\x89NtRs."] {
        p.extend(part);
    }
    p
}

#[test]
fn tensors_that_claim_more_than_the_file_are_refused() {
    let huge = b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40";
    type Case<'a> = (&'a [u8], &'a [u8], &'a [u8], &'a str);
    let cases: [Case; 6] = [
        (b"K\x00", b"K\x04\x85", b"K\x01\x85", ""),
        (b"K\x01", b"K\x04\x85", b"K\x01\x85", "reaches beyond its storage"),
        (b"K\x00", &[&huge[..], b"\x85"].concat(), b"K\x00\x85", "exceeds the file"),
        (b"K\x00", &[&huge[..], &huge[..], b"\x86"].concat(), b"K\x00K\x00\x86", "exceeds the file"),
        (b"K\x00", b"K\x02\x85", &[&huge[..], b"\x85"].concat(), "reaches beyond its storage"),
        // An axis of extent 1 may have any stride.
        (b"K\x00", b"K\x01K\x04\x86", &[&huge[..], b"K\x01\x86"].concat(), ""),
    ];
    for (offset, shape, strides, problem) in cases {
        let pickle = one_tensor(offset, shape, strides);
        let change = |name: &str, b: Vec<u8>| match name {
            "archive/data.pkl" => Some(pickle.clone()),
            "archive/data/0" => Some(b[..16].to_vec()),
            _ => None,
        };
        let file = open(archive(change, &[])).expect("a file");
        let tensor = file.root().get("x").expect("an entry").tensor().expect("a tensor");
        match file.read("x", &tensor) {
            Ok(values) => assert!(problem.is_empty() && values == [-1.0, -0.875, -0.75, -0.625], "{values:?}"),
            Err(error) => assert!(!problem.is_empty() && error.to_string().contains(problem), "{error}"),
        }
    }
    assert!(LARGEST.load(Ordering::Relaxed) < BOUND);
}

/// Bytes with some of them replaced, and perhaps an end cut off.
fn damaged(whole: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = whole.len();
    let changes = prop::collection::vec((0..len, any::<u8>()), 0..8);
    (changes, prop_oneof![3 => Just(len), 1 => 0..len]).prop_map(move |(changes, cut)| {
        let mut bytes = whole.clone();
        changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
        bytes.truncate(cut);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_pickles_do_no_harm(bytes in damaged(pickle())) {
        if let Ok(pickle) = Pickle::read(&bytes) {
            let _: Id = pickle.root();
        }
        prop_assert!(LARGEST.load(Ordering::Relaxed) < BOUND);
    }

    #[test]
    fn noise_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Pickle::read(&bytes);
        prop_assert!(LARGEST.load(Ordering::Relaxed) < BOUND);
    }

    #[test]
    fn damaged_archives_do_no_harm(bytes in damaged(fixture("tensors"))) {
        let _ = open(bytes).map(|file| explore(&file));
        prop_assert!(LARGEST.load(Ordering::Relaxed) < BOUND);
    }

    #[test]
    fn damaged_old_files_do_no_harm(bytes in damaged(fixture("tensors_legacy"))) {
        let _ = open(bytes).map(|file| explore(&file));
        prop_assert!(LARGEST.load(Ordering::Relaxed) < BOUND);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Checksums do not help against those who mean it.
    #[test]
    fn damaged_pickles_in_whole_archives_do_no_harm(bytes in damaged(pickle())) {
        let change = |name: &str, b: Vec<u8>| Some(if name.ends_with("data.pkl") { bytes.clone() } else { b });
        let _ = open(archive(change, &[])).map(|file| explore(&file));
        prop_assert!(LARGEST.load(Ordering::Relaxed) < BOUND);
    }
}
