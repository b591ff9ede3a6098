//! Variances as pictures.

/// Variances `[C,H,W]` from black at `low` to white at `high`, those of all clusters.
pub fn scaled(values: &[f32], low: f32, high: f32) -> Vec<f32> {
    let span = high - low;
    values.iter().map(|v| if span > 0.0 { (v - low) / span } else { 0.0 }).collect()
}
