//! The pictures of a finished run.

use super::canvas::{Canvas, Tile};
use crate::data::ImageSet;
use crate::train::{Finished, RunFolder, TrainError};

/// Gap between images in pixels.
const GAP: usize = 4;

/// Writes prototypes/prototype{k}.png, prototypes.png (all of them) and aligned.png: a band for each cluster with its
/// prototype, some of its images from the nearest to the farthest, and under each the prototype aligned to it.
pub fn write_pictures(folder: &RunFolder, finished: &Finished, set: &ImageSet) -> Result<(), TrainError> {
    let clusters = finished.shown.len();
    let (height, width) = (set.height, set.width);
    let item = set.image_bytes();
    // Small images are enlarged to about a hundred pixels.
    let scale = (112 / height.max(width)).max(1);
    let prototype = |k: usize| tile(set, &finished.prototypes[k * item..][..item]);

    let path = folder.file("prototypes");
    std::fs::create_dir_all(&path).map_err(|source| TrainError::File { action: "create", path, source })?;
    let columns = clusters.min(10);
    let (cell_h, cell_w) = (height * scale + GAP, width * scale + GAP);
    let mut all = Canvas::new(columns * cell_w + GAP, clusters.div_ceil(columns) * cell_h + GAP);
    for k in 0..clusters {
        let mut one = Canvas::new(width * scale, height * scale);
        one.draw(prototype(k), 0, 0, scale);
        save(folder, &format!("prototypes/prototype{k}.png"), &one)?;
        all.draw(prototype(k), GAP + k % columns * cell_w, GAP + k / columns * cell_h, scale);
    }
    save(folder, "prototypes.png", &all)?;

    let small = (scale / 2).max(1);
    let (step_h, step_w) = (height * small + GAP, width * small + GAP);
    let band = 2 * step_h + GAP;
    let most = finished.shown.iter().map(Vec::len).max().unwrap_or(0);
    let mut aligned = Canvas::new(2 * step_w + 2 * GAP + most * step_w, clusters * band + GAP);
    let mut next = 0;
    for (k, images) in finished.shown.iter().enumerate() {
        let top = GAP + k * band;
        aligned.draw(prototype(k), GAP, top, 2 * small);
        for (column, &i) in images.iter().enumerate() {
            let x = 2 * step_w + 2 * GAP + column * step_w;
            let image: Vec<f32> = set.image(i).iter().map(|&p| f32::from(p) / 255.0).collect();
            aligned.draw(tile(set, &image), x, top, small);
            aligned.draw(tile(set, &finished.aligned[next * item..][..item]), x, top + step_h, small);
            next += 1;
        }
    }
    save(folder, "aligned.png", &aligned)
}

/// An image of the set's shape.
fn tile<'a>(set: &ImageSet, values: &'a [f32]) -> Tile<'a> {
    Tile { values, channels: set.channels, height: set.height, width: set.width }
}

fn save(folder: &RunFolder, name: &str, canvas: &Canvas) -> Result<(), TrainError> {
    let failed = |e: image::ImageError| TrainError::File {
        action: "encode",
        path: folder.file(name),
        source: std::io::Error::other(e),
    };
    folder.write(name, &canvas.png().map_err(failed)?)
}
