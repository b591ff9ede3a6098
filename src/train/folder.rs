//! Settings for a folder of images, chosen from their number and size.

use super::config::{Config, ConfigError};

/// Height and width up to which images are small: they are taken by the encoder and the transformations of digits.
const SMALL: usize = 48;
/// Height and width that photographs are brought to, as in the publication.
const PHOTOGRAPH: usize = 128;
/// Height and width below which images have nothing to cluster.
const LEAST: usize = 8;
/// Steps of the published runs, about.
const STEPS: f64 = 20_000.0;
/// Images from which on a run has as many steps; fewer images have fewer, by the square root.
const MANY: f64 = 10_000.0;
/// Images between two looks for empty clusters, as published.
const CHECKED: usize = 6_400;
/// Epochs that a run has at least, so that its stages differ.
const LEAST_EPOCHS: usize = 20;
/// Shares of the run after which transformations become active, the first and the last of them.
const ACTIVE: [f64; 2] = [0.1, 0.6];
/// Share of the run after which the learning rate falls.
const MILESTONE: f64 = 0.9;

/// What is known of a folder before its images are decoded.
#[derive(Clone, Debug)]
pub struct Folder<'a> {
    /// Path of the folder.
    pub dataset: &'a str,
    /// Images in it.
    pub images: usize,
    /// Classes, 0 without labels.
    pub classes: usize,
    /// Width and height of some of the images.
    pub sizes: &'a [(usize, usize)],
}

/// A configuration for `folder` in which `assignments` (`key=value`) stand, and all that depends on them follows.
///
/// Photographs: 128 px, ResNet-18, colour and projective transformations. Small images, up to 48 px: their own size,
/// ResNet-20, colour, affine and thin-plate splines. There are about 20 000 steps, fewer for less than 10 000 images; the
/// stages of the curriculum begin at fixed shares of them.
///
/// # Errors
/// [`ConfigError`] for assignments that cannot be understood.
pub fn for_folder<S: AsRef<str>>(folder: &Folder, assignments: &[S]) -> Result<Config, ConfigError> {
    let keys: Vec<&str> = assignments.iter().filter_map(|a| a.as_ref().split_once('=')).map(|a| a.0.trim()).collect();
    let asked = |key: &str| keys.contains(&key);
    let image_size = image_size(folder.sizes);
    let config = Config { dataset: folder.dataset.into(), image_size, ..Config::default() }.set(assignments)?;
    let own = folder.sizes.iter().map(|&(w, h)| w.max(h)).max().unwrap_or(PHOTOGRAPH);
    let side = if config.image_size == 0 { own } else { config.image_size };
    let small = side <= SMALL;
    let images = if config.limit == 0 { folder.images } else { folder.images.min(config.limit) };
    let clusters = if folder.classes > 0 { folder.classes } else { Config::default().clusters };
    let (encoder, sequence) =
        if small { ("resnet20", "identity color affine tps") } else { ("resnet18", "identity color projective") };
    let config = Config {
        clusters: clusters.min(images),
        encoder: encoder.into(),
        sequence: sequence.into(),
        batch_size: batch_size(images, if small { 128 } else { 64 }),
        ..config
    };
    let mut config = config.set(assignments)?;

    let per_epoch = images.div_ceil(config.batch_size.max(1)).max(1) as f64;
    if !asked("epochs") {
        let steps = STEPS * (images as f64 / MANY).sqrt().min(1.0);
        config.epochs = ((steps / per_epoch).ceil() as usize).max(LEAST_EPOCHS);
    }
    let epoch = |share: f64| (share * config.epochs as f64).round() as usize;
    if !asked("curriculum") {
        config.curriculum = stages(transformations(&config.sequence)).into_iter().map(epoch).collect();
    }
    if !asked("lr_milestones") {
        config.lr_milestones = vec![epoch(MILESTONE)];
    }
    if !asked("check_cluster_interval") {
        config.check_cluster_interval = (CHECKED / config.batch_size.max(1)).max(1);
    }
    if !asked("eval_interval") {
        config.eval_interval = config.epochs.div_ceil(20);
    }
    Ok(config)
}

/// The size that images are to have: small ones that are all alike keep theirs (0 where they are not square), larger ones
/// become photographs, and what is in between is not enlarged.
fn image_size(sizes: &[(usize, usize)]) -> usize {
    let mut short: Vec<usize> = sizes.iter().map(|&(w, h)| w.min(h)).collect();
    short.sort_unstable();
    match sizes {
        [] => PHOTOGRAPH,
        [(w, h), rest @ ..] if *w.max(h) <= SMALL && w != h && rest.iter().all(|size| *size == (*w, *h)) => 0,
        _ => short[short.len() / 2].clamp(LEAST, PHOTOGRAPH),
    }
}

/// Images of a step: as published, or fewer so that an epoch has some steps.
fn batch_size(images: usize, most: usize) -> usize {
    let mut size = most;
    while size > 16 && images < 8 * size {
        size /= 2;
    }
    size
}

/// Transformations after the identity. What cannot be understood is said when the configuration is checked.
fn transformations(sequence: &str) -> usize {
    sequence.split_whitespace().count().saturating_sub(1)
}

/// Shares of a run after which each of `count` transformations becomes active: the first after a tenth, three after 0.1,
/// 0.3 and 0.6.
fn stages(count: usize) -> Vec<f64> {
    let [first, last] = ACTIVE;
    match count {
        0..=3 => [first, 0.3, last][..count].to_vec(),
        _ => (0..count).map(|i| first + (last - first) * i as f64 / (count - 1) as f64).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(images: usize, classes: usize, sizes: &[(usize, usize)], assignments: &[&str]) -> Config {
        let folder = Folder { dataset: "/photos", images, classes, sizes };
        let config = for_folder(&folder, assignments).expect("a configuration");
        config.check().expect("one that can be used");
        config
    }

    #[test]
    fn photographs_are_trained_as_published() {
        let sizes = [(4000, 3000), (3000, 4000), (100, 4000)];
        let config = chosen(15_000, 0, &sizes, &["clusters=40"]);
        assert_eq!((config.image_size, config.encoder.as_str(), config.batch_size), (128, "resnet18", 64));
        assert_eq!((config.sequence.as_str(), config.clusters), ("identity color projective", 40));
        assert_eq!((config.epochs, config.check_cluster_interval), (86, 100));
        assert_eq!((config.curriculum, config.lr_milestones), (vec![9, 26], vec![77]));
        assert_eq!(chosen(15_000, 7, &sizes, &[]).clusters, 7, "one for each class");
        assert_eq!(chosen(3, 0, &sizes, &[]).clusters, 3, "not more than there are images");
    }

    #[test]
    fn small_images_keep_their_size() {
        let config = chosen(1440, 20, &[(32, 32); 9], &[]);
        assert_eq!((config.image_size, config.encoder.as_str(), config.batch_size), (32, "resnet20", 128));
        assert_eq!(config.sequence, "identity color affine tps");
        // 12 steps an epoch; 20 000 sqrt(0.144) in all.
        assert_eq!((config.epochs, config.curriculum), (633, vec![63, 190, 380]));
        assert_eq!(chosen(100, 0, &[(32, 24); 2], &[]).image_size, 0, "their own, as they are not square");
        assert_eq!(chosen(100, 0, &[(32, 24), (24, 32)], &[]).image_size, 24);
        assert_eq!(chosen(100, 0, &[(90, 64), (70, 100)], &[]).image_size, 70, "not enlarged");
        assert_eq!(chosen(100, 0, &[(3, 2)], &["image_size=8"]).image_size, 8);
        assert_eq!(chosen(100, 0, &[], &[]).batch_size, 16);
    }

    #[test]
    fn what_is_asked_for_stands_and_the_rest_follows() {
        let sizes = [(640, 480)];
        let config = chosen(1000, 0, &sizes, &["epochs=40", "image_size=32", "limit=100"]);
        assert_eq!((config.epochs, config.encoder.as_str(), config.batch_size), (40, "resnet20", 16));
        assert_eq!((config.curriculum, config.lr_milestones, config.eval_interval), (vec![4, 12, 24], vec![36], 2));
        let config = chosen(1000, 0, &sizes, &["sequence=identity", "lr_milestones=[5]"]);
        assert_eq!((config.curriculum, config.lr_milestones), (vec![], vec![5]));
        let all = "sequence=identity color affine morpho tps";
        assert_eq!(chosen(1000, 0, &sizes, &[all, "epochs=100"]).curriculum, [10, 27, 43, 60]);
        let folder = Folder { dataset: "/photos", images: 5, classes: 0, sizes: &[] };
        assert!(for_folder(&folder, &["epoch=3"]).expect_err("no such key").to_string().contains("epochs"));
    }
}
