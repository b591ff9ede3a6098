//! The one in-memory form that every loader produces.

use super::error::{DataError, SetProblem};

/// Images as bytes, with labels where there are any.
///
/// Pixels are 0..=255, planar: `[N, channels, height, width]`, row-major. Labels run from 0 to `classes - 1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSet {
    /// Name of the set, for run folders and messages.
    pub name: String,
    /// Channels of an image (1 grey, 3 colour).
    pub channels: usize,
    /// Height of an image in pixels.
    pub height: usize,
    /// Width of an image in pixels.
    pub width: usize,
    /// All pixels, `[N, channels, height, width]`.
    pub pixels: Vec<u8>,
    /// One class for each image, in `0..classes`, or `None` for an unlabelled set.
    pub labels: Option<Vec<u32>>,
    /// Number of distinct classes, 0 without labels. A subset keeps the number of the set it was cut from.
    pub classes: usize,
    /// The first so many images count in scores. All of them, except where a set has images that only train.
    pub scored: usize,
    /// A name for each image, such as the path of its file, or `None` where they have numbers only.
    pub names: Option<Vec<String>>,
}

impl ImageSet {
    /// Checks and assembles a set.
    ///
    /// `pixels` is `[N, channels, height, width]`, `labels` has N entries. Labels with gaps (1 to 10, say) are renumbered
    /// from 0 in ascending order, so that they can index an array of `classes` entries.
    ///
    /// # Errors
    /// [`DataError::Set`] for a set without images, a zero or impossible size, pixels that are not a whole number of
    /// images, or labels that are not one per image.
    pub fn new(
        name: impl Into<String>,
        channels: usize,
        height: usize,
        width: usize,
        pixels: Vec<u8>,
        labels: Option<Vec<u32>>,
    ) -> Result<ImageSet, DataError> {
        let name = name.into();
        let fail = |problem| DataError::Set { name: name.clone(), problem };
        let image_bytes = channels
            .checked_mul(height)
            .and_then(|b| b.checked_mul(width))
            .filter(|&b| b > 0)
            .ok_or_else(|| fail(SetProblem::Size { channels, height, width }))?;
        if pixels.is_empty() {
            return Err(fail(SetProblem::Empty));
        }
        if !pixels.len().is_multiple_of(image_bytes) {
            return Err(fail(SetProblem::PixelCount { bytes: pixels.len(), image_bytes }));
        }
        let images = pixels.len() / image_bytes;
        if let Some(labels) = &labels
            && labels.len() != images
        {
            return Err(fail(SetProblem::LabelCount { images, labels: labels.len() }));
        }
        let (labels, classes) = match labels {
            Some(labels) => {
                let (labels, classes) = renumber(labels);
                (Some(labels), classes)
            }
            None => (None, 0),
        };
        Ok(ImageSet { name, channels, height, width, pixels, labels, classes, scored: images, names: None })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.pixels.len().checked_div(self.image_bytes()).unwrap_or(0)
    }

    /// Whether there are no images (never so for a set made by [`ImageSet::new`]).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of one image: channels x height x width.
    pub fn image_bytes(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The pixels of image `i`, `[channels, height, width]`.
    ///
    /// # Panics
    /// If `i` is not below [`len`](ImageSet::len), as indexing a slice does.
    pub fn image(&self, i: usize) -> &[u8] {
        let n = self.image_bytes();
        &self.pixels[i * n..(i + 1) * n]
    }

    /// The first `n` images, or all of them if there are fewer. `classes` stays that of the whole set.
    ///
    /// A set that lies sorted by class (`mnist5k` does) gives images of few classes this way: see
    /// [`spread`](ImageSet::spread).
    pub fn first(&self, n: usize) -> ImageSet {
        self.pick(0..n.min(self.len()))
    }

    /// `n` images at equal distances over the whole set, or all of them if there are fewer: every class is present in
    /// its proportion even where the set is sorted by class. `classes` stays that of the whole set.
    pub fn spread(&self, n: usize) -> ImageSet {
        let len = self.len();
        let n = n.min(len);
        // Widened so that i * len cannot overflow where usize has 32 bits.
        self.pick((0..n).map(|i| (i as u128 * len as u128 / n as u128) as usize))
    }

    /// The images at `indices`, in that order; one may come more than once. `classes` stays that of the whole set. Those
    /// before the first that only trains count in scores.
    ///
    /// # Errors
    /// [`DataError::Set`] where an index is not below [`len`](ImageSet::len), or there are none.
    pub fn select(&self, indices: &[usize]) -> Result<ImageSet, DataError> {
        let fail = |problem| DataError::Set { name: self.name.clone(), problem };
        if indices.is_empty() {
            return Err(fail(SetProblem::Empty));
        }
        if let Some(&index) = indices.iter().find(|&&i| i >= self.len()) {
            return Err(fail(SetProblem::Index { index, images: self.len() }));
        }
        Ok(self.pick(indices.iter().copied()))
    }

    /// Images of each class, `classes` entries; empty without labels.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        for &label in self.labels.iter().flatten() {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// CRC-32 of the pixels and then of the labels (one byte each, as IDX files hold them): tells two sets apart.
    pub fn checksum(&self) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(&self.pixels);
        for &label in self.labels.iter().flatten() {
            crc.update(&[label as u8]);
        }
        crc.sum()
    }

    /// A subset by indices that are known to be in range.
    fn pick(&self, indices: impl Iterator<Item = usize> + Clone) -> ImageSet {
        let mut pixels = Vec::with_capacity(indices.clone().count() * self.image_bytes());
        let scored = indices.clone().take_while(|&i| i < self.scored).count();
        for i in indices.clone() {
            pixels.extend_from_slice(self.image(i));
        }
        let labels = self.labels.as_ref().map(|labels| indices.clone().map(|i| labels[i]).collect());
        let names = self.names.as_ref().map(|names| indices.map(|i| names[i].clone()).collect());
        ImageSet { name: self.name.clone(), pixels, labels, scored, names, ..*self }
    }
}

/// Maps labels to 0..classes in ascending order; returns them with the number of classes.
fn renumber(mut labels: Vec<u32>) -> (Vec<u32>, usize) {
    let mut distinct = labels.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.last().is_some_and(|&last| last as usize >= distinct.len()) {
        for label in &mut labels {
            // Every label is in `distinct`, so the search finds it.
            *label = distinct.partition_point(|d| d < label) as u32;
        }
    }
    (labels, distinct.len())
}
