//! Final scores as people and programs read them.

use crate::report::{MEASURES, Outcome, Summary};
use crate::train::Evaluation;
use serde_json::{Value, json};
use std::fmt::Write;

/// A small table: scores and sizes, or without labels a row for each cluster.
pub fn text(evaluation: &Evaluation) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "  loss   {:.5}", evaluation.loss);
    let imbalance = format!("largest / mean {:.2}", evaluation.imbalance());
    if let Some(s) = &evaluation.scores {
        let _ = writeln!(out, "  ACC    {:.4}\n  NMI    {:.4}\n  ARI    {:.4}", s.acc, s.nmi, s.ari);
        let sizes: Vec<String> = evaluation.sizes.iter().map(usize::to_string).collect();
        let _ = write!(out, "  sizes  {}  ({imbalance})", sizes.join(" "));
        return out;
    }
    let mut rows = vec![["  cluster", "images", "share", "distance"].map(str::to_string).to_vec()];
    let images = evaluation.assignments.len() as f64;
    for (k, (&size, mean)) in evaluation.sizes.iter().zip(evaluation.mean_distances()).enumerate() {
        let share = format!("{:.1} %", size as f64 / images * 100.0);
        let distance = mean.map_or("-".into(), |mean| format!("{mean:.5}"));
        rows.push(vec![format!("  {k}"), size.to_string(), share, distance]);
    }
    let _ = write!(out, "{}\n  {imbalance}; distances are means over the images of a cluster", columns(&rows));
    out
}

/// One object with loss, acc, nmi, ari, cluster_sizes and cluster_distances (means); scores are null without labels.
pub fn json(evaluation: &Evaluation) -> Value {
    let score = |f: fn(&crate::metrics::Scores) -> f64| evaluation.scores.as_ref().map(f);
    json!({
        "loss": evaluation.loss,
        "acc": score(|s| s.acc),
        "nmi": score(|s| s.nmi),
        "ari": score(|s| s.ari),
        "cluster_sizes": evaluation.sizes,
        "cluster_distances": evaluation.mean_distances(),
    })
}

/// The runs of a parent, their mean and deviation, and the one with the least loss.
pub fn summary(summary: &Summary) -> String {
    let mut rows = vec![heading("run", &["time"])];
    for (name, _, outcome) in &summary.runs {
        match outcome {
            Outcome::Finished(measures, seconds) => {
                let values = numbers(*measures);
                rows.push([vec![name.clone()], values, vec![format!("{seconds:.0} s")]].concat());
            }
            Outcome::Failed(_) => rows.push(vec![name.clone(), "failed".into()]),
            Outcome::Unfinished => rows.push(vec![name.clone(), "unfinished".into()]),
        }
    }
    let all = [0, 1, 2, 3].map(|m| summary.statistics(m));
    rows.push([vec!["mean".into()], numbers(all.map(|s| s.0))].concat());
    rows.push([vec!["std".into()], numbers(all.map(|s| s.1))].concat());
    if let Some((name, measures, _)) = summary.least_loss() {
        rows.push([vec![format!("least loss: {name}")], numbers(measures)].concat());
    }
    let (finished, of) = (summary.finished().len(), summary.runs.len());
    format!("\n{}\n{finished} of {of} runs are finished: {}", columns(&rows), summary.path.display())
}

/// Runs and parents side by side, and the settings in which they differ.
pub fn comparison(summaries: &[Summary]) -> String {
    let mut rows = vec![heading("run", &["time", "runs"])];
    for summary in summaries {
        let finished = summary.finished();
        let mut row = vec![summary.path.display().to_string()];
        let all = [0, 1, 2, 3].map(|m| summary.statistics(m));
        for ((mean, std), digits) in all.into_iter().zip(DIGITS) {
            let std = std.map_or(String::new(), |s| format!(" ± {s:.digits$}"));
            row.push(mean.map_or("-".into(), |m| format!("{m:.digits$}{std}")));
        }
        let seconds: f64 = finished.iter().map(|f| f.2).sum();
        row.push(format!("{seconds:.0} s"));
        row.push(format!("{} of {}", finished.len(), summary.runs.len()));
        rows.push(row);
        if let (Some((name, measures, _)), true) = (summary.least_loss(), summary.runs.len() > 1) {
            rows.push([vec![format!("  least loss: {name}")], numbers(measures)].concat());
        }
    }
    let settings = settings(summaries);
    let more = if settings.len() > 1 { format!("\n\n{}", columns(&settings)) } else { String::new() };
    columns(&rows) + &more
}

/// A row for each folder with the keys of the configuration in which they differ.
fn settings(summaries: &[Summary]) -> Vec<Vec<String>> {
    let configs: Vec<Value> = summaries.iter().map(|s| json!(s.config)).collect();
    let differs = |key: &&str| configs.iter().any(|c| c[*key] != configs[0][*key]);
    let keys: Vec<&str> = crate::train::KEYS.into_iter().filter(differs).collect();
    if keys.is_empty() {
        return Vec::new();
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let row = |(summary, config): (&Summary, &Value)| {
        let values = keys.iter().map(|key| text(&config[*key]));
        [summary.path.display().to_string()].into_iter().chain(values).collect()
    };
    let heading = ["settings"].iter().chain(&keys).map(|s| s.to_string()).collect();
    [heading].into_iter().chain(summaries.iter().zip(&configs).map(row)).collect()
}

/// Digits of the measures after the point.
const DIGITS: [usize; 4] = [5, 4, 4, 4];

fn heading(first: &str, more: &[&str]) -> Vec<String> {
    let measures = MEASURES.map(|m| if m == "loss" { m.into() } else { m.to_uppercase() });
    [first.to_string()].into_iter().chain(measures).chain(more.iter().map(|s| s.to_string())).collect()
}

fn numbers(values: [Option<f64>; 4]) -> Vec<String> {
    values.iter().zip(DIGITS).map(|(v, digits)| v.map_or("-".into(), |v| format!("{v:.digits$}"))).collect()
}

/// Lines with the first column at the left and the others below each other at the right.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (c, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = if c == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") };
        }
        line
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
