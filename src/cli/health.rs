//! Signs that a run does not go well, and what to do about them.

use crate::train::{Config, Epoch};

/// Epochs in a row after which a cluster without images is said to stay empty.
const EMPTY: usize = 3;
/// Epochs in a row with restarts of a cluster after which restarting it is said not to help.
const RESTARTS: usize = 5;
/// Epochs over which a loss that changes less than [`STILL`] of itself is flat.
const FLAT: usize = 10;
const STILL: f64 = 1e-3;
/// A loss that is so much of its least worse for two epochs rises.
const RISE: f64 = 0.2;

/// What was seen of a run so far.
#[derive(Clone, Debug)]
pub struct Health {
    /// Epochs in a row without images, by cluster; and with restarts.
    empty: Vec<usize>,
    restarted: Vec<usize>,
    /// Losses of the stage of the curriculum.
    losses: Vec<f64>,
    /// Whether flatness, and a rise, were said in this stage.
    said: [bool; 2],
}

impl Health {
    /// Of a run that starts or goes on.
    pub fn new(config: &Config) -> Self {
        let none = vec![0; config.clusters];
        Health { empty: none.clone(), restarted: none, losses: Vec::new(), said: [false; 2] }
    }

    /// A stage of the curriculum begins: another loss is to be expected.
    pub fn stage(&mut self) {
        self.losses.clear();
        self.said = [false; 2];
    }

    /// Warnings after epoch `number` (from 1), each said once.
    pub fn epoch(&mut self, number: usize, epoch: &Epoch, config: &Config) -> Vec<String> {
        self.losses.push(epoch.loss);
        let mut warnings = Vec::new();
        warnings.extend(self.empty_clusters(epoch, config));
        warnings.extend(self.rising(number, config).or_else(|| self.flat(number, config)));
        warnings
    }

    fn empty_clusters(&mut self, epoch: &Epoch, config: &Config) -> Vec<String> {
        let mut warnings = Vec::new();
        let fewer = format!("fewer clusters may do (--set clusters=N, now {})", config.clusters);
        for (k, count) in self.empty.iter_mut().enumerate() {
            *count = if epoch.shares.get(k).is_some_and(|s| *s == 0.0) { *count + 1 } else { 0 };
            if *count == EMPTY {
                let threshold = config.empty_cluster_threshold;
                let restarts = if threshold > 0.0 {
                    String::new()
                } else {
                    ", or let such clusters restart (--set empty_cluster_threshold=0.2, now 0)".into()
                };
                warnings.push(format!("cluster {k} has had no image for {EMPTY} epochs: {fewer}{restarts}"));
            }
        }
        for (k, count) in self.restarted.iter_mut().enumerate() {
            let restarted = epoch.restarts.iter().any(|(_, restart)| restart.restarted.contains(&k));
            *count = if restarted { *count + 1 } else { 0 };
            if *count == RESTARTS {
                let threshold = config.empty_cluster_threshold;
                warnings.push(format!(
                    "cluster {k} was restarted in each of {RESTARTS} epochs: {fewer}, or a smaller share is enough (--set empty_cluster_threshold=S, now {threshold})"
                ));
            }
        }
        warnings
    }

    fn rising(&mut self, number: usize, config: &Config) -> Option<String> {
        let [before, last] = *self.losses.last_chunk()?;
        let least = self.losses.iter().copied().fold(f64::INFINITY, f64::min);
        let worse = |loss: f64| loss - least > RISE * least.abs();
        if self.said[1] || !worse(before) || !worse(last) {
            return None;
        }
        self.said[1] = true;
        Some(format!(
            "the loss rises: {last:.5} after epoch {number}, and {least:.5} at its best; a smaller lr may help (--set lr=R, now {:e})",
            config.lr
        ))
    }

    fn flat(&mut self, number: usize, config: &Config) -> Option<String> {
        // Where it ends soon anyway, nothing is to be done.
        let next = config.curriculum.iter().copied().find(|&epoch| epoch >= number && epoch < config.epochs);
        let left = next.unwrap_or(config.epochs) - number.min(config.epochs);
        if self.said[0] || left < FLAT || self.losses.len() <= FLAT {
            return None;
        }
        let recent = &self.losses[self.losses.len() - FLAT - 1..];
        let (low, high) = recent.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
        if high - low > STILL * high.abs() {
            return None;
        }
        self.said[0] = true;
        let advice = match next {
            Some(epoch) => format!("the next transformation could join before epoch {epoch} (curriculum)"),
            None => format!("fewer epochs may do (--set epochs=N, now {})", config.epochs),
        };
        Some(format!("the loss is flat: it has changed by less than {:.1} % in {FLAT} epochs; {advice}", 100.0 * STILL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Restart;

    fn epoch(loss: f64, shares: &[f64], restarted: &[usize]) -> Epoch {
        let restarts = if restarted.is_empty() {
            Vec::new()
        } else {
            vec![(1, Restart { restarted: restarted.to_vec(), from: 0 })]
        };
        Epoch { losses: Vec::new(), loss, shares: shares.to_vec(), restarts, seconds: 0.0 }
    }

    fn watch(config: &Config, epochs: &[Epoch]) -> Vec<(usize, String)> {
        let mut health = Health::new(config);
        let number = |(i, e): (usize, &Epoch)| {
            let warnings: Vec<_> = health.epoch(i + 1, e, config).into_iter().map(|w| (i + 1, w)).collect();
            warnings
        };
        epochs.iter().enumerate().flat_map(number).collect()
    }

    #[test]
    fn clusters_that_stay_empty_or_restart_again_and_again_are_named_once() {
        let config = Config { clusters: 2, epochs: 9, ..Config::default() };
        let losses = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0];
        let epochs: Vec<_> = losses.iter().map(|&l| epoch(l, &[1.0, 0.0], &[])).collect();
        let found = watch(&config, &epochs);
        assert_eq!((found.len(), found[0].0), (1, 3));
        assert!(found[0].1.contains("cluster 1 has had no image for 3 epochs"), "{}", found[0].1);
        let epochs: Vec<_> = losses.iter().map(|&l| epoch(l, &[0.9, 0.1], &[1])).collect();
        let found = watch(&config, &epochs);
        assert_eq!((found.len(), found[0].0), (1, 5));
        assert!(found[0].1.contains("empty_cluster_threshold=S, now 0.2"), "{}", found[0].1);
        let healthy: Vec<_> = losses.iter().map(|&l| epoch(l, &[0.5, 0.5], &[])).collect();
        assert!(watch(&config, &healthy).is_empty());
    }

    #[test]
    fn flat_and_rising_losses_are_told_from_others() {
        let config = Config { clusters: 1, epochs: 60, ..Config::default() };
        let run = |losses: &[f64]| {
            let epochs: Vec<_> = losses.iter().map(|&l| epoch(l, &[1.0], &[])).collect();
            watch(&config, &epochs)
        };
        let falling: Vec<f64> = (0..30).map(|i| 10.0 * 0.99f64.powi(i)).collect();
        assert!(run(&falling).is_empty());
        let flat = run(&[5.0; 30]);
        assert_eq!((flat.len(), flat[0].0), (1, 11));
        assert!(flat[0].1.contains("epochs=N, now 60"), "{}", flat[0].1);
        assert!(watch(&Config { epochs: 12, ..config.clone() }, &vec![epoch(5.0, &[1.0], &[]); 12]).is_empty());
        assert!(run(&[1.0, 1.5, 1.0, 1.5, 0.9]).is_empty(), "one bad epoch at a time");
        let rising = run(&[1.0, 0.8, 1.1, 1.3, 1.5]);
        assert_eq!((rising.len(), rising[0].0), (1, 4));
        assert!(rising[0].1.contains("smaller lr"), "{}", rising[0].1);
        // Losses of mixtures are below zero when all is well.
        assert!(run(&[10.0, 0.0, -100.0, -150.0, -155.0]).is_empty());
    }
}
