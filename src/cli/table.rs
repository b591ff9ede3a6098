//! Final scores as people and programs read them.

use crate::train::Evaluation;
use serde_json::{Value, json};
use std::fmt::Write;

/// A small table.
pub fn text(evaluation: &Evaluation) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "  loss   {:.5}", evaluation.loss);
    if let Some(s) = &evaluation.scores {
        let _ = writeln!(out, "  ACC    {:.4}\n  NMI    {:.4}\n  ARI    {:.4}", s.acc, s.nmi, s.ari);
    }
    let sizes: Vec<String> = evaluation.sizes.iter().map(usize::to_string).collect();
    let _ = write!(out, "  sizes  {}  (largest / mean {:.2})", sizes.join(" "), evaluation.imbalance());
    out
}

/// One object with loss, acc, nmi, ari and cluster_sizes; scores are null without labels.
pub fn json(evaluation: &Evaluation) -> Value {
    let score = |f: fn(&crate::metrics::Scores) -> f64| evaluation.scores.as_ref().map(f);
    json!({
        "loss": evaluation.loss,
        "acc": score(|s| s.acc),
        "nmi": score(|s| s.nmi),
        "ari": score(|s| s.ari),
        "cluster_sizes": evaluation.sizes,
    })
}
