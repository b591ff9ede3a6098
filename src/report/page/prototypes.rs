//! Prototypes, and how they came about.

use super::{Report, image};
use crate::report::chart::short;
use crate::report::picture::{Picture, png_address};
use crate::train::TrainError;
use image::ImageError;
use maud::{Markup, html};
use std::path::PathBuf;

/// More clusters than that fold the film of their prototypes.
const MANY: usize = 20;

/// All prototypes, large; in a mixture with their variances.
pub fn grid(report: &Report) -> Result<Markup, ImageError> {
    let clusters = report.clusters();
    let item = report.set.image_bytes();
    let variances = clusters.variances.as_ref().map(|v| {
        let (low, high) = v.iter().fold((f32::INFINITY, 0f32), |(l, h), &x| (l.min(x), h.max(x)));
        (v, low, high)
    });
    let mut tiles = Vec::new();
    for k in 0..report.config.clusters {
        let prototype = image(&report.prototype(k), &format!("prototype {k}"))?;
        let variance = match variances {
            Some((values, low, high)) => {
                let scaled = super::super::variances::scaled(&values[k * item..][..item], low, high);
                Some(image(&report.picture(&scaled), &format!("variances of cluster {k}"))?)
            }
            None => None,
        };
        tiles.push((k, prototype, variance));
    }
    Ok(html! {
        p class="soft" {
            "What each cluster looks like before it is transformed to fit an image"
            @if let Some((_, low, high)) = variances {
                "; below it the variance of each pixel, black " (short(low.into())) " to white " (short(high.into()))
            }
            ". Each leads to its images."
        }
        ul class="protos" style=[(tiles.len() > MANY).then_some("--proto:6rem")] {
            @for (k, prototype, variance) in &tiles {
                li {
                    a href={ "#cluster-" (k) } {
                        (prototype)
                        @if let Some(variance) = variance { (variance) }
                        span class="note" {
                            b { (k) } " · " (report.size(*k))
                            @if let Some(mixing) = &clusters.mixing {
                                ", weight " (short(mixing[*k].into()))
                            }
                        }
                    }
                }
            }
        }
    })
}

/// The prototypes at evaluations, with a slider; `None` without frames.
pub fn evolution(report: &Report, frames: &[(usize, PathBuf)]) -> Result<Option<Markup>, TrainError> {
    let mut film = Vec::new();
    for (epoch, path) in frames {
        let read = |source| TrainError::File { action: "read", path: path.clone(), source };
        let file = std::fs::read(path).map_err(read)?;
        // One that cannot be read is left out; the others tell enough.
        let Ok(picture) = image::load_from_memory(&file) else { continue };
        film.push((*epoch, png_address(&file), picture.width(), picture.height()));
    }
    let k = report.config.clusters;
    let Some(&(_, _, width, height)) = film.last() else { return Ok(None) };
    let exact = width <= 64;
    let class = if exact { "tiles exact" } else { "tiles" };
    let each = (height as usize / k).max(1);
    let last = film.len() - 1;
    let place = |i: usize| format!("{:.4}%", 100.0 * i as f64 / (k.max(2) - 1) as f64);
    let strip = html! {
        div class="scroll" tabindex="0" role="region" aria-label="Prototypes by epoch" {
            ol class="film" id="film" {
                @for (epoch, address, width, height) in &film {
                    li {
                        img class=[exact.then_some("exact")] src=(address) width=(width) height=(height)
                            data-when={ "epoch " (epoch) } alt={ "all prototypes after epoch " (epoch) ", below each other" };
                        span { (epoch) }
                    }
                }
            }
        }
    };
    Ok(Some(html! {
        p class="soft" { "The prototypes after each of these epochs." }
        div class="scrub" id="scrub" hidden {
            div class="bar" {
                button type="button" { "Play" }
                label for="epoch" { "Epoch" }
                input id="epoch" type="range" min="0" max=(last) value=(last) step="1";
                output for="epoch" {}
            }
            div class=(class) role="img" aria-label="Prototypes" style={ "--n:" (k) } {
                @for i in 0..k {
                    span style={ "--at:" (place(i)) ";aspect-ratio:" (width) "/" (each) } {}
                }
            }
        }
        @if k > MANY {
            details { summary { "All epochs side by side" } (strip) }
        } @else {
            (strip)
        }
    }))
}

/// Small pictures of all prototypes, for headings of tables.
pub fn small(report: &Report) -> Vec<Picture> {
    let shrink = |p: Picture| {
        let factor = p.width.max(p.height).div_ceil(48);
        p.reduced(factor)
    };
    (0..report.config.clusters).map(|k| shrink(report.prototype(k))).collect()
}
