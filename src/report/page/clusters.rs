//! Clusters by their images, and against the classes.

use super::{Report, image, prototypes};
use crate::metrics::Contingency;
use crate::report::chart::short;
use crate::report::picture::Picture;
use ::image::ImageError;
use maud::{Markup, html};

/// More clusters than that are folded at first.
const OPEN: usize = 20;

/// Every cluster with its images.
pub fn section(report: &Report) -> Result<Markup, ImageError> {
    let table = contingency(report);
    let mut clusters = Vec::new();
    for (k, prototype) in prototypes::small(report).iter().enumerate() {
        clusters.push(cluster(report, k, prototype, table.as_ref())?);
    }
    let steps = !report.gallery.names.is_empty();
    Ok(html! {
        p class="soft" {
            @if steps {
                "Images with the prototype as it transformed itself to fit each of them, and the distance between the two."
            } @else {
                "Images with their prototype, and the distance between the two."
            }
        }
        @if report.gallery.names.len() > 1 {
            label class="all" { input type="checkbox" id="every-step"; "Show every step of the transformation" }
        }
        div style={ "--cells:" (2 + report.gallery.names.len()) } { @for cluster in &clusters { (cluster) } }
    })
}

fn cluster(report: &Report, k: usize, prototype: &Picture, table: Option<&Contingency>) -> Result<Markup, ImageError> {
    let band = &report.gallery.bands[k];
    let size = report.evaluation.sizes[k];
    let prototype = image(prototype, &format!("prototype {k}"))?;
    let mut groups = Vec::new();
    for (title, images) in [("Nearest", &band.nearest), ("Random", &band.random), ("Farthest", &band.farthest)] {
        let mut items = Vec::new();
        for &i in images {
            items.push(sample(report, k, i)?);
        }
        groups.push((title, items));
    }
    Ok(html! {
        details class="cluster" id={ "cluster-" (k) } open[report.config.clusters <= OPEN] {
            summary {
                (prototype)
                div {
                    h3 { "Cluster " (k) }
                    span class="note" {
                        (report.size(k)) ", " (format!("{:.1} %", report.percent(k)))
                        @if let Some((class, share)) = table.and_then(|t| majority(t, k)) {
                            "; " (format!("{:.0} %", 100.0 * share)) " of them class " (class)
                        }
                    }
                }
            }
            @if size == 0 {
                p class="note" { "No image is nearest to this prototype." }
            } @else {
                div class="groups" {
                    @for (title, items) in &groups {
                        div {
                            h4 { (title) }
                            ul class="samples" { @for item in items { (item) } }
                        }
                    }
                }
            }
        }
    })
}

/// An image, its prototype's steps, and how far it is.
fn sample(report: &Report, k: usize, i: usize) -> Result<Markup, ImageError> {
    let set = report.set;
    let class = set.labels.as_ref().map(|labels| labels[i]);
    let alt = class.map_or(format!("image {i}"), |c| format!("image {i} of class {c}"));
    let own = Picture::of_bytes(set.image(i), set.channels, set.height, set.width).thumbnail();
    let own = image(&own, &alt)?;
    let steps = report.gallery.steps(i);
    let last = steps.len().saturating_sub(1);
    let mut cells = Vec::new();
    for (t, step) in steps.iter().enumerate() {
        let name = if t == 0 { "prototype" } else { report.gallery.names[t - 1] };
        let alt = if t == 0 { format!("prototype {k}") } else { format!("prototype {k} after {name}") };
        cells.push((t < last, name, image(&report.picture(step).thumbnail(), &alt)?));
    }
    let distance = short(f64::from(report.evaluation.distances[i]));
    Ok(html! {
        li title={ "image " (i) } {
            div class="strip" {
                div class="cell" { (own) small { "image" } }
                @for (hidden, name, picture) in &cells {
                    div class={ "cell" @if *hidden { " step" } } { (picture) small { (name) } }
                }
            }
            span class="note" { (distance) @if let Some(class) = class { " · class " (class) } }
        }
    })
}

fn contingency(report: &Report) -> Option<Contingency> {
    let (set, scored) = (report.set, report.set.scored);
    let labels = set.labels.as_ref()?;
    Contingency::new(&labels[..scored], &report.evaluation.assignments[..scored], set.classes, report.config.clusters)
        .ok()
}

/// The class that most images of cluster `k` have, and their share.
fn majority(table: &Contingency, k: usize) -> Option<(usize, f64)> {
    let (class, count) =
        (0..table.classes()).map(|c| (c, table.count(c, k))).max_by_key(|&(c, n)| (n, std::cmp::Reverse(c)))?;
    let total = table.cluster_sizes()[k];
    (total > 0).then(|| (class, count as f64 / total as f64))
}

/// How classes and clusters agree; `None` without labels.
pub fn confusion(report: &Report) -> Result<Option<Markup>, ImageError> {
    let (Some(table), Some(scores)) = (contingency(report), &report.evaluation.scores) else { return Ok(None) };
    let sizes = table.class_sizes();
    // Next to each other what was matched: the diagonal is what counts as right.
    let mut order: Vec<usize> = (0..table.clusters()).collect();
    order.sort_by_key(|&k| (scores.cluster_to_class[k], k));
    let mut heads = Vec::new();
    for picture in prototypes::small(report) {
        heads.push(image(&picture, "")?);
    }
    let how = if scores.one_to_one {
        "Clusters are in the order of the classes they were matched with, one to one, so that the diagonal counts as right."
    } else {
        "Clusters are in the order of the class that most of their images have."
    };
    Ok(Some(html! {
        p class="soft" { (how) " The stronger a cell, the larger its share of the class." }
        div class="scroll" tabindex="0" role="region" aria-label="Classes against clusters" {
            table class="confusion" {
                caption { "Images by class (rows) and cluster (columns)" }
                thead {
                    tr {
                        th scope="col" { "class" }
                        @for &k in &order { th scope="col" { (heads[k]) "cluster " (k) } }
                        th scope="col" { "images" }
                        th scope="col" { "right" }
                    }
                }
                tbody {
                    @for (class, &size) in sizes.iter().enumerate() {
                        tr {
                            th scope="row" { (class) }
                            @for &k in &order { (cell(table.count(class, k), size)) }
                            th { (size) }
                            th { @if size > 0 { (format!("{:.1} %", 100.0 * scores.class_acc[class])) } }
                        }
                    }
                }
            }
        }
    }))
}

fn cell(count: u64, of: u64) -> Markup {
    let share = count as f64 / of.max(1) as f64;
    let class = match count {
        0 => Some("none"),
        _ if share > 0.5 => Some("high"),
        _ => None,
    };
    html! { td class=[class] style={ "--v:" (format!("{share:.3}")) } { (count) } }
}
