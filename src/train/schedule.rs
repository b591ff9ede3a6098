//! Learning rate, bias corrections and curriculum by epoch.

use super::config::Config;

/// Constants of Adam in the published code.
pub const BETAS: (f64, f64) = (0.9, 0.999);
/// Added to Adam's denominator.
pub const EPS: f32 = 1e-8;

/// Learning rate of an epoch (from 0): multiplied by gamma at each milestone that is over.
pub fn learning_rate(config: &Config, epoch: usize) -> f64 {
    let passed = config.lr_milestones.iter().filter(|&&m| epoch >= m).count();
    config.lr * config.lr_gamma.powi(passed as i32)
}

/// Transformations after the identity that are active in an epoch (from 0).
pub fn active(config: &Config, epoch: usize) -> usize {
    config.curriculum.iter().filter(|&&m| epoch >= m).count()
}

/// What Adam needs at step t (from 1) of a group: (lr / (1 - b1^t), 1 / sqrt(1 - b2^t)).
pub fn adam_row(lr: f64, t: u64) -> [f32; 2] {
    let correction = |beta: f64| 1.0 - beta.powf(t as f64);
    [(lr / correction(BETAS.0)) as f32, (1.0 / correction(BETAS.1).sqrt()) as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestones_count_from_the_end_of_their_epoch() {
        let config = Config { curriculum: vec![3, 5], lr_milestones: vec![4], lr: 1.0, ..Config::default() };
        let stages: Vec<usize> = (0..7).map(|e| active(&config, e)).collect();
        assert_eq!(stages, [0, 0, 0, 1, 1, 2, 2]);
        let rates: Vec<f64> = [3, 4].map(|e| learning_rate(&config, e)).to_vec();
        assert!((rates[0] - 1.0).abs() < 1e-12 && (rates[1] - 0.1).abs() < 1e-12, "{rates:?}");
    }

    #[test]
    fn the_first_step_of_adam_is_corrected() {
        let [rate, correction] = adam_row(1e-3, 1);
        assert!((rate - 1e-2).abs() < 1e-8, "{rate}");
        assert!((correction - 1.0 / 0.001f32.sqrt()).abs() < 1e-3, "{correction}");
    }
}
