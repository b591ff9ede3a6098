//! A folder as a data set: all its images decoded on all cores.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;

use super::budget::Budget;
use super::cache::Cache;
use super::decode::{Begun, Picture, Problem, read, turned};
use super::fit::square;
use super::list::{ImageFile, Listing};
use super::{FolderProblem, Options, Skipped};
use crate::data::error::DataError;
use crate::data::set::ImageSet;

/// A folder that was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its images, with one channel if all are grey, else three. Each has its path from the folder on as its name.
    pub set: ImageSet,
    /// The files that are not in it.
    pub skipped: Vec<Skipped>,
    /// Whether they came from the cache.
    pub cached: bool,
}

/// Pixels [n,channels,height,width] of the files that could be read, and why the others could not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) pixels: Vec<u8>,
    /// Indices of files and what is wrong with them, in ascending order.
    pub(super) unread: Vec<(usize, String)>,
    /// Whether that may be otherwise another time.
    pub(super) passing: bool,
}

/// Loads the images of `listing` under the name `name`. `progress` is told, by many threads, how many are done.
///
/// # Errors
/// [`DataError::Folder`] where not one image can be read, where they have different sizes and are to be taken as they are,
/// or where memory does not suffice.
pub fn load(
    name: &str,
    listing: &Listing,
    options: &Options,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Loaded, DataError> {
    let cache = options.cache.as_ref().map(|folder| Cache::new(folder, listing, options));
    let found = cache.as_ref().and_then(|cache| cache.read(listing.len()));
    let cached = found.is_some();
    let decoded = match found {
        Some(decoded) => decoded,
        None => {
            let decoded = decode_all(listing, options, progress)?;
            if let (Some(cache), false) = (&cache, decoded.passing) {
                cache.write(&decoded);
            }
            decoded
        }
    };
    let skipped = |(i, why): (usize, String)| Skipped { name: listing.files[i].name.clone(), why };
    let (mut kept, mut at) = (Vec::with_capacity(listing.len()), 0);
    for i in 0..listing.len() {
        if decoded.unread.get(at).is_some_and(|(unread, _)| *unread == i) {
            at += 1;
        } else {
            kept.push(i);
        }
    }
    let labels = listing.labels.as_ref().map(|labels| kept.iter().map(|&i| labels[i]).collect());
    let mut set = ImageSet::new(name, decoded.channels, decoded.height, decoded.width, decoded.pixels, labels)?;
    set.names = Some(kept.iter().map(|&i| listing.files[i].name.clone()).collect());
    let skipped = listing.skipped.iter().cloned().chain(decoded.unread.into_iter().map(skipped)).collect();
    Ok(Loaded { set, skipped, cached })
}

impl Listing {
    /// Width and height of up to `most` of the images, evenly spread; those that cannot be read are left out.
    pub fn sizes(&self, most: usize) -> Vec<(usize, usize)> {
        let count = self.len().min(most);
        let one = |i: usize| {
            let bytes = read(&self.files[i * self.len() / count].path).ok()?;
            Begun::new(&bytes).ok().map(|mut begun| begun.size())
        };
        (0..count).into_par_iter().filter_map(one).collect()
    }
}

fn decode_all(listing: &Listing, options: &Options, progress: &(dyn Fn(usize) + Sync)) -> Result<Decoded, DataError> {
    let fail = |problem| DataError::Folder { path: listing.folder.clone(), problem };
    let budget = Budget::new();
    // The size of those that are taken as they are is that of the first that can be read.
    let same = match options.size {
        Some(_) => None,
        None => listing.files.iter().find_map(|file| Some((file, picture(&file.path, options, &budget).ok()?))),
    };
    let (width, height) = match (options.size, &same) {
        (Some(size), _) => (size, size),
        (None, Some((_, first))) => (first.width, first.height),
        (None, None) => (1, 1),
    };
    let (images, plane) = (listing.len(), width * height);
    let memory = || fail(FolderProblem::Memory { images, image_bytes: 3 * plane });
    let mut pixels = Vec::new();
    let bytes = images.checked_mul(3 * plane).ok_or_else(memory)?;
    pixels.try_reserve_exact(bytes).map_err(|_| memory())?;
    pixels.resize(bytes, 0);

    let (done, coloured) = (AtomicUsize::new(0), AtomicBool::new(false));
    let one = |(to, file): (&mut [u8], &ImageFile)| {
        let picture = picture(&file.path, options, &budget)?;
        if (picture.width, picture.height) != (width, height) {
            return Err(Problem::Size(picture.width, picture.height));
        }
        if fill(to, &picture) {
            coloured.store(true, Ordering::Relaxed);
        }
        Ok(())
    };
    let results: Vec<Result<(), Problem>> = pixels
        .par_chunks_exact_mut(3 * plane)
        .zip(&listing.files)
        .map(|job| {
            let result = one(job);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            result
        })
        .collect();

    let (mut unread, mut passing) = (Vec::new(), false);
    for (i, result) in results.into_iter().enumerate() {
        match (result, &same) {
            (Ok(()), _) => {}
            (Err(Problem::Size(w, h)), Some((first, _))) => {
                let (first, other) = (first.name.clone(), listing.files[i].name.clone());
                return Err(fail(FolderProblem::Sizes { first, other, sizes: [(width, height), (w, h)] }));
            }
            (Err(problem), _) => {
                passing |= matches!(problem, Problem::Read(_));
                unread.push((i, problem.to_string()));
            }
        }
    }
    if unread.len() == images {
        let first = unread.first().map(|(i, why)| format!("{} {why}", listing.files[*i].name)).unwrap_or_default();
        let count = images + listing.skipped.len();
        return Err(fail(FolderProblem::AllUnreadable { count, first }));
    }
    let channels = if coloured.into_inner() { 3 } else { 1 };
    close_up(&mut pixels, plane, channels, &unread);
    Ok(Decoded { channels, height, width, pixels, unread, passing })
}

/// Reads a picture and brings it to its size.
pub(super) fn picture(path: &Path, options: &Options, budget: &Budget) -> Result<Picture, Problem> {
    let bytes = read(path)?;
    let mut begun = Begun::new(&bytes)?;
    let orientation = begun.orientation();
    // Kept until the picture is small.
    let _share = budget.take(begun.memory()?);
    let picture = begun.decode()?;
    let picture = match options.size {
        Some(size) => square(&picture, size, options.fit)?,
        None => picture,
    };
    Ok(turned(picture, orientation))
}

/// Writes a picture as planes [3,h,w] and says whether it has colours.
fn fill(planes: &mut [u8], picture: &Picture) -> bool {
    let plane = planes.len() / 3;
    let mut coloured = false;
    for (i, pixel) in picture.pixels.chunks_exact(picture.channels).enumerate() {
        let rgb = match *pixel {
            [r, g, b] => [r, g, b],
            _ => [pixel[0]; 3],
        };
        coloured |= rgb[0] != rgb[1] || rgb[1] != rgb[2];
        for (channel, value) in rgb.into_iter().enumerate() {
            planes[channel * plane + i] = value;
        }
    }
    coloured
}

/// Closes the gaps that files without pixels left among images [3,h,w], of which the first `channels` channels stay.
fn close_up(pixels: &mut Vec<u8>, plane: usize, channels: usize, unread: &[(usize, String)]) {
    let images = pixels.len() / (3 * plane);
    let (mut to, mut gaps) = (0, unread.iter().map(|(i, _)| *i).peekable());
    for i in 0..images {
        if gaps.next_if_eq(&i).is_some() {
            continue;
        }
        let (from, bytes) = (i * 3 * plane, channels * plane);
        if from != to {
            pixels.copy_within(from..from + bytes, to);
        }
        to += bytes;
    }
    pixels.truncate(to);
    pixels.shrink_to_fit();
}
