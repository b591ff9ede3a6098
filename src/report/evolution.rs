//! How prototypes change while they are trained: small pictures of them, kept in the run folder.

use super::picture::Picture;
use crate::train::{Config, TrainError, write_whole};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, ImageError, Rgba, RgbaImage};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Their folder in that of the run.
const FOLDER: &str = "prototypes/evolution";
/// About how many are kept of a run.
const FRAMES: usize = 48;
/// Most bytes of one, before compression: larger prototypes are reduced.
const BYTES: usize = 96 << 10;
/// Time of a frame of the animation, and of the last.
const DELAY: Duration = Duration::from_millis(200);
const LAST: Duration = Duration::from_secs(2);

/// The frames of a run: `prototypes/evolution/epoch00012.png` has the prototypes after epoch 12 below each other, exactly
/// as they are, or reduced where they are large.
#[derive(Clone, Debug)]
pub struct Evolution {
    folder: PathBuf,
}

impl Evolution {
    /// That of the run folder `run`.
    pub fn of(run: &Path) -> Self {
        Evolution { folder: run.join(FOLDER) }
    }

    /// Removes frames of epochs after `epochs`: they will be trained again.
    pub fn rewind(&self, epochs: usize) -> Result<(), TrainError> {
        for (epoch, path) in self.frames()? {
            if epoch > epochs {
                std::fs::remove_file(&path).map_err(|source| failed("remove", &path, source))?;
            }
        }
        Ok(())
    }

    /// Whether the prototypes after `epoch` are kept: those of some epochs, the first and the last.
    pub fn keeps(config: &Config, epoch: usize) -> bool {
        let every = config.epochs.div_ceil(FRAMES).max(1);
        epoch == 1 || epoch == config.epochs || epoch.is_multiple_of(every)
    }

    /// Keeps the prototypes `[K,C,H,W]` after `epoch`, if it is one of those that are kept.
    pub fn record(
        &self,
        config: &Config,
        shape: [usize; 3],
        epoch: usize,
        prototypes: &[f32],
    ) -> Result<(), TrainError> {
        if !Self::keeps(config, epoch) {
            return Ok(());
        }
        std::fs::create_dir_all(&self.folder).map_err(|source| failed("create", &self.folder, source))?;
        let path = self.folder.join(format!("epoch{epoch:05}.png"));
        let picture = strip(prototypes, config.clusters, shape);
        let bytes = picture.png().map_err(|e| failed("encode", &path, std::io::Error::other(e)))?;
        write_whole(&path, &bytes)
    }

    /// Epochs and files, in order.
    pub fn frames(&self) -> Result<Vec<(usize, PathBuf)>, TrainError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed("read", &self.folder, source)),
        };
        let mut frames = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| failed("read", &self.folder, source))?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let number = name.strip_prefix("epoch").and_then(|n| n.strip_suffix(".png"));
            if let Some(epoch) = number.and_then(|n| n.parse().ok()) {
                frames.push((epoch, path));
            }
        }
        frames.sort();
        Ok(frames)
    }

    /// An animation of `clusters` prototypes side by side, as a GIF file; `None` with fewer than two frames.
    pub fn gif(&self, clusters: usize) -> Result<Option<Vec<u8>>, TrainError> {
        let frames = self.frames()?;
        if frames.len() < 2 {
            return Ok(None);
        }
        let mut file = Vec::new();
        let broken = |path: &Path, e: ImageError| failed("animate", path, std::io::Error::other(e));
        {
            // Colours are chosen well enough at this speed.
            let mut encoder = GifEncoder::new_with_speed(&mut file, 10);
            encoder.set_repeat(Repeat::Infinite).map_err(|e| broken(&self.folder, e))?;
            for (index, (_, path)) in frames.iter().enumerate() {
                let strip = image::open(path).map_err(|e| broken(path, e))?.to_rgba8();
                let delay = if index + 1 == frames.len() { LAST } else { DELAY };
                let grid = side_by_side(&strip, clusters);
                let frame = Frame::from_parts(grid, 0, 0, Delay::from_saturating_duration(delay));
                encoder.encode_frame(frame).map_err(|e| broken(path, e))?;
            }
        }
        Ok(Some(file))
    }
}

/// Prototypes `[K,C,H,W]` below each other.
fn strip(prototypes: &[f32], clusters: usize, [channels, height, width]: [usize; 3]) -> Picture {
    let item = channels * height * width;
    let bytes = |factor: usize| clusters * channels * (height / factor).max(1) * (width / factor).max(1);
    let most = height.max(width);
    let factor = (1..=most).find(|&f| bytes(f) <= BYTES).unwrap_or(most);
    let mut parts = prototypes.chunks_exact(item).map(|p| Picture::new(p, channels, height, width).reduced(factor));
    let Some(mut all) = parts.next() else { return Picture::new(&[], 1, 0, 0) };
    for part in parts {
        all.height += part.height;
        all.pixels.extend(part.pixels);
    }
    all
}

/// Prototypes below each other, put in rows of ten and enlarged.
fn side_by_side(strip: &RgbaImage, clusters: usize) -> RgbaImage {
    let k = clusters.max(1) as u32;
    let (width, height) = (strip.width(), strip.height() / k);
    let scale = (56 / width.max(height).max(1)).max(1);
    let columns = k.min(10);
    let (cell_w, cell_h) = (width * scale + 2, height * scale + 2);
    let mut grid =
        RgbaImage::from_pixel(columns * cell_w + 2, k.div_ceil(columns) * cell_h + 2, Rgba([96, 96, 96, 255]));
    for cluster in 0..k {
        let (left, top) = (2 + cluster % columns * cell_w, 2 + cluster / columns * cell_h);
        for (y, x) in (0..height * scale).flat_map(|y| (0..width * scale).map(move |x| (y, x))) {
            grid.put_pixel(left + x, top + y, *strip.get_pixel(x / scale, cluster * height + y / scale));
        }
    }
    grid
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> TrainError {
    TrainError::File { action, path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_kept_thinned_and_taken_back() {
        let home = tempfile::tempdir().expect("a folder");
        let evolution = Evolution::of(home.path());
        assert!(evolution.frames().expect("none").is_empty());
        assert!(evolution.gif(2).expect("nothing to show").is_none());
        let config = Config { clusters: 2, epochs: 480, ..Config::default() };
        for epoch in 1..=480 {
            let prototypes: Vec<f32> = (0..2 * 6).map(|i| (i * epoch) as f32 / (12.0 * 480.0)).collect();
            evolution.record(&config, [1, 2, 3], epoch, &prototypes).expect("kept");
        }
        let epochs = || evolution.frames().expect("readable").into_iter().map(|f| f.0).collect::<Vec<_>>();
        assert_eq!((epochs().len(), &epochs()[..3], epochs()[48]), (49, [1, 10, 20].as_slice(), 480));
        let last = image::open(&evolution.frames().expect("readable")[48].1).expect("a PNG").to_luma8();
        assert_eq!((last.width(), last.height()), (3, 4));
        assert_eq!(last.get_pixel(1, 3).0[0], (10.0f32 / 12.0 * 255.0).round() as u8, "exact");
        evolution.rewind(35).expect("taken back");
        assert_eq!(epochs(), [1, 10, 20, 30]);
        let gif = evolution.gif(2).expect("an animation").expect("of four frames");
        let decoder = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(gif)).expect("a GIF");
        let frames: Vec<_> = image::AnimationDecoder::into_frames(decoder).collect::<Result<_, _>>().expect("frames");
        assert_eq!(frames.len(), 4);
        let pixel = frames[3].buffer().get_pixel(3, 3).0;
        assert!(pixel[0] < 8, "the first pixel of the first prototype is black: {pixel:?}");
    }

    #[test]
    fn large_prototypes_are_reduced() {
        let picture = strip(&vec![0.5; 10 * 3 * 128 * 128], 10, [3, 128, 128]);
        assert_eq!((picture.width, picture.height), (42, 420));
    }
}
