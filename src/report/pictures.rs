//! The pictures of a finished run.

use super::canvas::{Canvas, Tile};
use super::evolution::Evolution;
use super::gallery::Gallery;
use super::variances::scaled;
use crate::data::ImageSet;
use crate::train::{TrainError, write_whole};
use std::path::Path;

/// Gap between images in pixels.
const GAP: usize = 4;

/// Writes into the folder `run`:
/// - prototypes.png and prototypes/prototype{k}.png; in a mixture variances.png and variances/variance{k}.png, all from black
///   at the least variance to white at the greatest;
/// - aligned.png: a band for each cluster with its prototype, some of its images from the nearest to the farthest, and under
///   each the prototype aligned to it;
/// - transformations/cluster{k}.png: for each of these images the image, the prototype, and what it is after each
///   transformation, from left to right;
/// - prototypes/evolution.gif, if prototypes were kept during training.
///
/// # Errors
/// [`TrainError::File`] if one cannot be written or a kept one not read.
pub fn write_pictures(run: &Path, gallery: &Gallery, set: &ImageSet) -> Result<(), TrainError> {
    let prototypes = &gallery.clusters.prototypes;
    all(run, ["prototypes", "prototype"], prototypes, set)?;
    if let Some(variances) = &gallery.clusters.variances {
        let (low, high) = variances.iter().fold((f32::INFINITY, 0f32), |(l, h), &v| (l.min(v), h.max(v)));
        all(run, ["variances", "variance"], &scaled(variances, low, high), set)?;
    }
    aligned(run, gallery, set)?;
    transformations(run, gallery, set)?;
    if let Some(gif) = Evolution::of(run).gif(gallery.bands.len())? {
        write_whole(&run.join("prototypes/evolution.gif"), &gif)?;
    }
    Ok(())
}

/// Writes images, bytes `[C,H,W]` of the shape each, in rows of ten as the picture `path`.
///
/// # Errors
/// [`TrainError::File`] if it cannot be written.
pub fn contact_sheet(path: &Path, images: &[&[u8]], [channels, height, width]: [usize; 3]) -> Result<(), TrainError> {
    let scale = (112 / height.max(width).max(1)).max(1);
    let columns = images.len().clamp(1, 10);
    let (cell_h, cell_w) = (height * scale + GAP, width * scale + GAP);
    let mut sheet = Canvas::new(columns * cell_w + GAP, images.len().div_ceil(columns) * cell_h + GAP);
    for (i, image) in images.iter().enumerate() {
        let tile = Tile { values: &unit(image), channels, height, width };
        sheet.draw(tile, GAP + i % columns * cell_w, GAP + i / columns * cell_h, scale);
    }
    save(path, &sheet)
}

/// Images `[K,C,H,W]` one by one and together.
fn all(run: &Path, [names, name]: [&str; 2], images: &[f32], set: &ImageSet) -> Result<(), TrainError> {
    let scale = scale(set);
    folder(&run.join(names))?;
    for (k, image) in images.chunks_exact(set.image_bytes()).enumerate() {
        let mut one = Canvas::new(set.width * scale, set.height * scale);
        one.draw(tile(set, image), 0, 0, scale);
        save(&run.join(format!("{names}/{name}{k}.png")), &one)?;
    }
    save(&run.join(format!("{names}.png")), &side_by_side(images, set))
}

/// Images `[K,C,H,W]` of the shape of `set` in rows of ten, as a PNG file with its width and height.
///
/// # Errors
/// If it cannot be encoded.
pub fn together(images: &[f32], set: &ImageSet) -> Result<(Vec<u8>, [u32; 2]), image::ImageError> {
    let canvas = side_by_side(images, set);
    Ok((canvas.png()?, canvas.size()))
}

fn side_by_side(images: &[f32], set: &ImageSet) -> Canvas {
    let (scale, item) = (scale(set), set.image_bytes());
    let clusters = images.len() / item;
    let columns = clusters.clamp(1, 10);
    let (cell_h, cell_w) = (set.height * scale + GAP, set.width * scale + GAP);
    let mut together = Canvas::new(columns * cell_w + GAP, clusters.div_ceil(columns) * cell_h + GAP);
    for (k, image) in images.chunks_exact(item).enumerate() {
        together.draw(tile(set, image), GAP + k % columns * cell_w, GAP + k / columns * cell_h, scale);
    }
    together
}

fn aligned(run: &Path, gallery: &Gallery, set: &ImageSet) -> Result<(), TrainError> {
    let (small, item) = ((scale(set) / 2).max(1), set.image_bytes());
    let (step_h, step_w) = (set.height * small + GAP, set.width * small + GAP);
    let band_h = 2 * step_h + GAP;
    let most = gallery.bands.iter().map(|b| b.spread.len()).max().unwrap_or(0);
    let mut aligned = Canvas::new(2 * step_w + 2 * GAP + most * step_w, gallery.bands.len() * band_h + GAP);
    for (k, band) in gallery.bands.iter().enumerate() {
        let top = GAP + k * band_h;
        aligned.draw(tile(set, &gallery.clusters.prototypes[k * item..][..item]), GAP, top, 2 * small);
        for (column, &i) in band.spread.iter().enumerate() {
            let x = 2 * step_w + 2 * GAP + column * step_w;
            aligned.draw(tile(set, &unit(set.image(i))), x, top, small);
            if let Some(fitted) = gallery.steps(i).last() {
                aligned.draw(tile(set, fitted), x, top + step_h, small);
            }
        }
    }
    save(&run.join("aligned.png"), &aligned)
}

fn transformations(run: &Path, gallery: &Gallery, set: &ImageSet) -> Result<(), TrainError> {
    folder(&run.join("transformations"))?;
    let small = (scale(set) / 2).max(1);
    let (step_h, step_w) = (set.height * small + GAP, set.width * small + GAP);
    for (k, band) in gallery.bands.iter().enumerate() {
        let rows = band.spread.len().max(1);
        let mut grid = Canvas::new((2 + gallery.names.len()) * step_w + GAP, rows * step_h + GAP);
        for (row, &i) in band.spread.iter().enumerate() {
            let top = GAP + row * step_h;
            grid.draw(tile(set, &unit(set.image(i))), GAP, top, small);
            for (column, step) in gallery.steps(i).into_iter().enumerate() {
                grid.draw(tile(set, step), GAP + (1 + column) * step_w, top, small);
            }
        }
        save(&run.join(format!("transformations/cluster{k}.png")), &grid)?;
    }
    Ok(())
}

/// How often an image is enlarged: small ones to about a hundred pixels.
fn scale(set: &ImageSet) -> usize {
    (112 / set.height.max(set.width)).max(1)
}

/// Bytes as numbers in `[0,1]`.
fn unit(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&p| f32::from(p) / 255.0).collect()
}

fn folder(path: &Path) -> Result<(), TrainError> {
    std::fs::create_dir_all(path).map_err(|source| TrainError::File { action: "create", path: path.into(), source })
}

/// An image of the set's shape.
fn tile<'a>(set: &ImageSet, values: &'a [f32]) -> Tile<'a> {
    Tile { values, channels: set.channels, height: set.height, width: set.width }
}

fn save(path: &Path, canvas: &Canvas) -> Result<(), TrainError> {
    let failed = |e: image::ImageError| TrainError::File {
        action: "encode",
        path: path.into(),
        source: std::io::Error::other(e),
    };
    write_whole(path, &canvas.png().map_err(failed)?)
}
