//! Scores against those of the published code.
//!
//! The vectors are in `tests/golden`, or in the folder that PROTEUS_GOLDEN names.

use std::path::PathBuf;

use proteus::metrics::{ScoreError, Scores, cluster_sizes, score};
use safetensors::SafeTensors;

/// What the vectors were rounded to, and then some.
const TOLERANCE: f64 = 1e-6;

struct Case {
    truth: Vec<u32>,
    predicted: Vec<u32>,
    classes: usize,
    clusters: usize,
    /// NMI, ACC, mean class accuracy, ARI.
    expected: [f64; 4],
}

impl Case {
    fn score(&self) -> Scores {
        score(&self.truth, &self.predicted, self.classes, self.clusters).expect("a valid case")
    }
}

fn golden_folder() -> PathBuf {
    std::env::var_os("PROTEUS_GOLDEN")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from)
}

fn integers(tensors: &SafeTensors, name: &str) -> Vec<u32> {
    let tensor = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(tensor.dtype(), safetensors::Dtype::I64, "{name}");
    let value = |b: &[u8]| i64::from_le_bytes(b.try_into().expect("8 bytes"));
    tensor.data().chunks_exact(8).map(|b| u32::try_from(value(b)).expect("a small count")).collect()
}

fn floats(tensors: &SafeTensors, name: &str) -> Vec<f64> {
    let tensor = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(tensor.dtype(), safetensors::Dtype::F32, "{name}");
    let value = |b: &[u8]| f32::from_le_bytes(b.try_into().expect("4 bytes"));
    tensor.data().chunks_exact(4).map(|b| f64::from(value(b))).collect()
}

fn cases() -> Vec<Case> {
    let path = golden_folder().join("scores.safetensors");
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let count = tensors.names().iter().filter(|name| name.ends_with(".true")).count();
    (0..count)
        .map(|n| {
            let sizes = integers(&tensors, &format!("{n}.sizes"));
            Case {
                truth: integers(&tensors, &format!("{n}.true")),
                predicted: integers(&tensors, &format!("{n}.pred")),
                classes: sizes[0] as usize,
                clusters: sizes[1] as usize,
                expected: floats(&tensors, &format!("{n}.scores")).try_into().expect("four scores"),
            }
        })
        .collect()
}

/// The scores that are further from the expected ones than the tolerance; empty where all agree.
fn disagreements(found: &Scores, expected: &[f64; 4]) -> Vec<String> {
    let found = [found.nmi, found.acc, found.mean_class_acc, found.ari];
    ["NMI", "ACC", "mean class accuracy", "ARI"]
        .iter()
        .zip(found.iter().zip(expected))
        // A NaN must not pass.
        .filter(|(_, (f, e))| f.is_nan() || (*f - *e).abs() > TOLERANCE)
        .map(|(name, (f, e))| format!("{name}: {f} where {e} was expected"))
        .collect()
}

#[test]
fn scores_equal_those_of_the_published_code() {
    let cases = cases();
    assert!(!cases.is_empty(), "no cases in {}", golden_folder().display());
    for (n, case) in cases.iter().enumerate() {
        let wrong = disagreements(&case.score(), &case.expected);
        assert!(wrong.is_empty(), "case {n}: {}", wrong.join("; "));
    }
}

/// Negative control: the comparison above must notice one image put in another cluster.
#[test]
fn the_comparison_notices_one_moved_image() {
    for (n, mut case) in cases().into_iter().enumerate() {
        let last = case.predicted.len() - 1;
        let moved = (case.predicted[last] + 1) % case.clusters as u32;
        case.predicted[last] = moved;
        assert!(!disagreements(&case.score(), &case.expected).is_empty(), "case {n} passed");
    }
    let mut nan = cases().remove(0).score();
    let expected = [nan.nmi, nan.acc, nan.mean_class_acc, nan.ari];
    assert!(disagreements(&nan, &expected).is_empty());
    nan.ari = f64::NAN;
    assert_eq!(disagreements(&nan, &expected).len(), 1, "NaN passed");
}

/// Values of scikit-learn 1.9 where definitions differ most between libraries.
#[test]
fn degenerate_partitions_score_as_in_scikit_learn() {
    let cases: [(&[u32], &[u32], f64, f64); 8] = [
        (&[0, 0, 0, 0], &[0, 0, 0, 0], 1.0, 1.0),
        (&[0, 0, 0, 0], &[0, 1, 2, 3], 0.0, 0.0),
        (&[0, 1, 2, 3], &[0, 0, 0, 0], 0.0, 0.0),
        (&[0, 1, 2, 3], &[3, 2, 1, 0], 1.0, 1.0),
        (&[0, 0, 1, 1], &[0, 1, 0, 1], 0.0, -0.5),
        (&[0, 0, 1, 1], &[0, 0, 1, 2], 0.8, 0.571_428_571_428_571_4),
        (&[0, 0, 0, 1, 1, 2], &[2, 2, 1, 1, 0, 0], 0.520_665_246_398_481_8, 0.074_074_074_074_074_07),
        (&[0], &[0], 1.0, 1.0),
    ];
    for (truth, predicted, nmi, ari) in cases {
        let scores = score(truth, predicted, 4, 4).expect("valid");
        assert!((scores.nmi - nmi).abs() < 1e-12, "{truth:?} {predicted:?}: NMI {}", scores.nmi);
        assert!((scores.ari - ari).abs() < 1e-12, "{truth:?} {predicted:?}: ARI {}", scores.ari);
    }
}

#[test]
fn maps_are_one_to_one_only_with_as_many_clusters_as_classes() {
    // Cluster 0 and cluster 1 both have class 0 as majority; only the second map may use it twice.
    let truth = [0, 0, 0, 0, 0, 1];
    let predicted = [0, 0, 0, 1, 1, 1];
    let square = score(&truth, &predicted, 2, 2).expect("valid");
    assert_eq!((square.cluster_to_class, square.one_to_one), (vec![0, 1], true));
    assert_eq!(square.acc, 4.0 / 6.0);
    assert_eq!(square.class_acc, [3.0 / 5.0, 1.0]);

    let wide = score(&truth, &predicted, 2, 3).expect("valid");
    assert_eq!((wide.cluster_to_class, wide.one_to_one), (vec![0, 0, 0], false));
    assert_eq!(wide.acc, 5.0 / 6.0);
    assert_eq!(wide.mean_class_acc, 0.5);
}

#[test]
fn renaming_clusters_changes_no_score() {
    for case in cases().iter().filter(|c| c.classes == c.clusters) {
        let k = case.clusters as u32;
        let renamed: Vec<u32> = case.predicted.iter().map(|p| (p + 1) % k).collect();
        let expected = case.score();
        let found = score(&case.truth, &renamed, case.classes, case.clusters).expect("valid");
        for (f, e) in [(found.acc, expected.acc), (found.nmi, expected.nmi), (found.ari, expected.ari)] {
            assert!((f - e).abs() < 1e-12, "{f} against {e}");
        }
    }
}

#[test]
fn a_class_without_images_counts_for_nothing() {
    let scores = score(&[0, 0, 2, 2], &[0, 0, 1, 1], 3, 3).expect("valid");
    assert_eq!((scores.acc, scores.mean_class_acc), (1.0, 1.0));
    assert!(scores.class_acc[1].is_nan());
}

#[test]
fn bad_input_is_a_typed_error() {
    let message = |r: Result<Scores, ScoreError>| r.expect_err("bad input").to_string();
    let length = message(score(&[0, 1], &[0], 2, 2));
    assert!(length.contains("2 true classes but 1 predicted"), "{length}");
    let class = message(score(&[0, 7], &[0, 0], 2, 2));
    assert!(class.contains("image 1 has class 7") && class.contains("2 classes"), "{class}");
    let cluster = message(score(&[0, 1], &[0, 9], 2, 3));
    assert!(cluster.contains("image 1 is in cluster 9") && cluster.contains("3 clusters"), "{cluster}");
    assert_eq!(score(&[], &[], 2, 2), Err(ScoreError::Empty));
    assert!(matches!(score(&[0], &[0], 0, 0), Err(ScoreError::Class { .. })));
    assert!(matches!(score(&[0], &[0], 1, 0), Err(ScoreError::Cluster { .. })));
    assert!(matches!(score(&[0], &[0], usize::MAX, 2), Err(ScoreError::Table { .. })));
}

#[test]
fn cluster_sizes_count_every_cluster() {
    assert_eq!(cluster_sizes(&[0, 2, 2, 5], 4), [1, 0, 2, 0]);
    assert_eq!(cluster_sizes(&[], 2), [0, 0]);
}
