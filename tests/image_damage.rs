//! Damaged image files: no panic reaches the user, no memory beyond what a photograph takes, and the file is named.

mod damage;

use damage::Change;
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proteus::data::images::{Listing, Options, load};

/// The largest piece of memory that any thread asked for: images are decoded by many.
static LARGEST: AtomicUsize = AtomicUsize::new(0);

struct Watched;

// SAFETY: every call is handed on unchanged to the allocator of the system; what is added is a number.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
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

const FILES: [&str; 18] = [
    "rgb.jpg",
    "progressive.jpg",
    "subsampled.jpg",
    "grey.jpg",
    "cmyk.jpg",
    "ycck.jpg",
    "exif_6.jpg",
    "exif_6.png",
    "palette_transparent.png",
    "rgb_16.png",
    "exif_6.webp",
    "lossy.webp",
    "rgba.webp",
    "palette.gif",
    "rgb.bmp",
    "rgb.tif",
    "profiles/wide.jpg",
    "profiles/cmyk.jpg",
];

/// What damages these files.
fn change() -> impl Strategy<Value = Change> {
    let numbers = prop::sample::select(vec![0_u32, 1, 8, 0x7fff, 0xffff, 1 << 20, i32::MAX as u32, u32::MAX]);
    let number = prop_oneof![
        any::<[u8; 2]>().prop_map(Vec::from),
        numbers.clone().prop_map(|n| n.to_le_bytes().to_vec()),
        numbers.prop_map(|n| n.to_be_bytes().to_vec()),
    ];
    damage::change(number)
}

/// Bytes that a decoded photograph may always take, in the form of a decoder that keeps 16 bits of what becomes 8.
const MOST: usize = 2 * (64 << 20) + (1 << 20);

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_met_with_a_line_that_names_the_file(
        which in 0..FILES.len(),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let name = FILES[which];
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images");
        let mut bytes = fs::read(fixtures.join(name)).expect("a fixture");
        damage::apply(changes, &mut bytes);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let name = name.rsplit('/').next().unwrap_or(name);
        fs::write(dir.path().join(name), &bytes).expect("write");
        fs::write(dir.path().join("whole.png"), fs::read(fixtures.join("rgb.png")).expect("a fixture")).expect("write");
        let listing = Listing::of(dir.path()).expect("two files");
        LARGEST.store(0, Ordering::Relaxed);
        let options = Options { size: Some(8), ..Options::default() };
        let loaded = load("photos", &listing, &options, &|_| ()).expect("one is whole");
        let largest = LARGEST.load(Ordering::Relaxed);
        prop_assert!(largest <= MOST, "{largest} bytes for {} of {name}", bytes.len());
        prop_assert_eq!(loaded.set.len() + loaded.skipped.len(), 2);
        prop_assert!(loaded.skipped.iter().all(|file| file.name == name && !file.why.is_empty()));
    }
}
