//! The end of a run as its folder tells it, and everything that shows it.

use super::gallery::Gallery;
use super::page::Report;
use super::pictures::write_pictures;
use crate::data::ImageSet;
use crate::tape::Engine;
use crate::train::{Config, Evaluation, TrainError, evaluate_run, open_run};
use serde_json::Value;
use std::path::Path;

/// Writes the pictures of a run and its report.html: `about` is what run.json says, `evaluation` compares `set` with the
/// weights in the folder `run`. Returns the size of the page in bytes.
///
/// # Errors
/// If the weights cannot be read or do not fit, the device fails, or a file cannot be written.
pub fn illustrate(
    run: &Path,
    config: &Config,
    set: &ImageSet,
    engine: &mut dyn Engine,
    evaluation: &Evaluation,
    about: &Value,
) -> Result<usize, TrainError> {
    let mut trainer = open_run(run, config, set, engine)?;
    let gallery = Gallery::new(config, set, &mut trainer, evaluation)?;
    write_pictures(run, &gallery, set)?;
    Report { run, config, set, about, evaluation, gallery: &gallery }.write()
}

/// The assignments that a run ended with, by its labels.csv; of a run that has not ended, by its weights.
///
/// # Errors
/// If the weights cannot be read or do not fit, or the device fails.
pub fn recall(
    run: &Path,
    config: &Config,
    set: &ImageSet,
    engine: &mut dyn Engine,
    about: &Value,
) -> Result<Evaluation, TrainError> {
    let labels = std::fs::read_to_string(run.join("labels.csv")).unwrap_or_default();
    let known = about["final"]["loss"].as_f64().and_then(|loss| Some((loss, rows(&labels, set.len())?)));
    if let Some((loss, (assignments, distances))) = known
        && assignments.iter().all(|&k| (k as usize) < config.clusters)
    {
        let evaluation = Evaluation::new(set, assignments, distances.clone(), &distances, config.clusters)?;
        // What images add to the loss of a mixture is not in the table.
        return Ok(Evaluation { loss, ..evaluation });
    }
    evaluate_run(run, config, set, engine, false)
}

/// Clusters and distances of `images` images, if the table has just these.
fn rows(table: &str, images: usize) -> Option<(Vec<u32>, Vec<f32>)> {
    let (mut assignments, mut distances) = (Vec::new(), Vec::new());
    for (i, line) in table.lines().skip(1).enumerate() {
        let mut columns = line.split(',');
        if columns.next()?.parse() != Ok(i) {
            return None;
        }
        assignments.push(columns.next()?.parse().ok()?);
        distances.push(columns.next()?.parse().ok()?);
    }
    (assignments.len() == images).then_some((assignments, distances))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_taken_only_if_it_is_whole() {
        let table = "image,cluster,distance,label\n0,3,0.25,7\n1,0,1e-3,7\n";
        assert_eq!(rows(table, 2), Some((vec![3, 0], vec![0.25, 1e-3])));
        for (table, images) in [(table, 3), ("", 1), ("h\n1,0,0.5\n", 1), ("h\n0,0\n", 1), ("h\n0,x,1\n", 1)] {
            assert_eq!(rows(table, images), None, "{table}");
        }
    }
}
