//! report.html: one page about a run that needs nothing but itself.

mod clusters;
mod prototypes;
mod run;
mod training;

use super::evolution::Evolution;
use super::gallery::Gallery;
use super::picture::Picture;
use super::table::Table;
use crate::data::ImageSet;
use crate::train::{Clusters, Config, Evaluation, TrainError, write_whole};
use image::ImageError;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;
use std::path::Path;

/// Its name in the run folder.
pub const REPORT: &str = "report.html";

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("scrub.js");
/// Nothing is fetched from anywhere.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// What a report is made of, besides the tables and frames in the run folder.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The run folder.
    pub run: &'a Path,
    /// Its configuration.
    pub config: &'a Config,
    /// The images it was trained on.
    pub set: &'a ImageSet,
    /// What run.json says or will say.
    pub about: &'a Value,
    /// All images compared with the prototypes.
    pub evaluation: &'a Evaluation,
    /// Prototypes, and some images of each cluster.
    pub gallery: &'a Gallery,
}

impl Report<'_> {
    /// Writes report.html aside and puts it in the place of an earlier one. Returns its size in bytes.
    ///
    /// # Errors
    /// [`TrainError::File`] if a file of the run cannot be read, a picture cannot be encoded, or the page not written.
    pub fn write(&self) -> Result<usize, TrainError> {
        let page = self.html()?;
        write_whole(&self.run.join(REPORT), page.as_bytes())?;
        Ok(page.len())
    }

    /// The page.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn html(&self) -> Result<String, TrainError> {
        let tables = ["train_metrics.tsv", "val_metrics.tsv", "val_scores.tsv"].map(|name| self.run.join(name));
        let [train, val, scores] = [&tables[0], &tables[1], &tables[2]].map(|path| Table::read(path));
        let tables = training::Tables { train: train?, val: val?, scores: scores? };
        let frames = Evolution::of(self.run).frames()?;
        let encode = |e: ImageError| TrainError::File {
            action: "encode the pictures of",
            path: self.run.join(REPORT),
            source: std::io::Error::other(e),
        };
        let sections = [
            Some(("prototypes", "Prototypes", prototypes::grid(self).map_err(encode)?)),
            prototypes::evolution(self, &frames)?.map(|s| ("evolution", "Evolution", s)),
            training::section(self, &tables).map(|s| ("training", "Training", s)),
            Some(("clusters", "Clusters", clusters::section(self).map_err(encode)?)),
            clusters::confusion(self).map_err(encode)?.map(|s| ("confusion", "Classes", s)),
            Some(("run", "Run", run::section(self))),
        ];
        let sections: Vec<_> = sections.into_iter().flatten().collect();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="generator" content={ "proteus " (env!("CARGO_PKG_VERSION")) };
                    link rel="icon" href="data:,";
                    title { (self.set.name) ": " (self.config.clusters) " clusters by Proteus" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a class="skip" href="#prototypes" { "Skip to the prototypes" }
                    (run::header(self, &tables))
                    nav aria-label="Sections" {
                        ul { @for (id, title, _) in &sections { li { a href={ "#" (id) } { (title) } } } }
                    }
                    main {
                        @for (id, title, inside) in &sections {
                            section id=(id) aria-labelledby={ (id) "-title" } {
                                h2 id={ (id) "-title" } { (title) }
                                (inside)
                            }
                        }
                    }
                    footer { "Written by Proteus " (env!("CARGO_PKG_VERSION")) ". The page holds everything it shows." }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        Ok(page.into_string())
    }

    /// What the prototypes and the images are.
    fn clusters(&self) -> &Clusters {
        &self.gallery.clusters
    }

    /// An image `[C,H,W]` of the set's shape.
    fn picture(&self, values: &[f32]) -> Picture {
        Picture::new(values, self.set.channels, self.set.height, self.set.width)
    }

    /// Prototype `k`.
    fn prototype(&self, k: usize) -> Picture {
        let item = self.set.image_bytes();
        self.picture(&self.clusters().prototypes[k * item..][..item])
    }

    /// The size of cluster `k` in words.
    fn size(&self, k: usize) -> String {
        match self.evaluation.sizes[k] {
            1 => "1 image".into(),
            n => format!("{n} images"),
        }
    }

    /// Share of all images that are in cluster `k`, in percent.
    fn percent(&self, k: usize) -> f64 {
        100.0 * self.evaluation.sizes[k] as f64 / self.set.len() as f64
    }
}

/// A picture with a text for those who cannot see it.
fn image(picture: &Picture, alt: &str) -> Result<Markup, ImageError> {
    let address = picture.address()?;
    // Pixels of small images are shown as such.
    let exact = picture.width.max(picture.height) <= 64;
    Ok(html! {
        img class=[exact.then_some("exact")] src=(address) alt=(alt) width=(picture.width) height=(picture.height);
    })
}
