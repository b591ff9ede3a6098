//! Weights that are computed, not stored (tests/golden/README.md has the formula).

use std::collections::BTreeMap;

use super::vectors::{Tensor, Vectors};

/// All weights of a case by name.
pub fn weights(vectors: &Vectors) -> Result<BTreeMap<String, Tensor>, String> {
    let seed: u64 = vectors.setting("formula_seed")?.parse().map_err(|e| format!("formula_seed: {e}"))?;
    let prefix = vectors.setting("formula_prefix").unwrap_or_default();
    let list: Vec<(String, Vec<usize>, f64, f64)> =
        serde_json::from_str(vectors.setting("formula")?).map_err(|e| format!("formula: {e}"))?;
    let tensor = |(n, (name, shape, offset, scale)): (u64, (String, Vec<usize>, f64, f64))| {
        let len = shape.iter().product::<usize>() as u64;
        let values = (0..len).map(|i| (offset + scale * uniform(i, n, seed)) as f32).collect();
        (format!("{prefix}{name}"), Tensor { shape, values })
    };
    Ok((1..).zip(list).map(tensor).collect())
}

/// The i-th number, in [-1, 1), of the n-th tensor.
fn uniform(i: u64, n: u64, seed: u64) -> f64 {
    // The modulus 2^32 is the conversion to u32.
    let start = i.wrapping_mul(2_654_435_761).wrapping_add(n * 40_503).wrapping_add(977 * seed);
    let mut h = start as u32;
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^= h >> 16;
    f64::from(h) / f64::from(1u32 << 31) - 1.0
}
