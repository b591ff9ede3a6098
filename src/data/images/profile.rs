//! From the colours of an embedded ICC profile to sRGB.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};

/// Levels by which the tables of a profile of sRGB may be off: within them pixels stay as they are.
const ROUNDING: u8 = 2;

type Conversion = Arc<dyn TransformExecutor<u8> + Send + Sync>;

/// Pixels of `channels` channels (grey; red, green and blue; or four inks, 255 for all of it) in sRGB: grey if they were
/// grey, else red, green and blue. `None` if they are as good as that already, or the profile is damaged or of another
/// kind of pixels.
pub(super) fn to_srgb(pixels: &[u8], channels: usize, icc: &[u8]) -> Option<Vec<u8>> {
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    match (channels, profile.color_space) {
        (1, DataColorSpace::Gray) => levels(pixels, &conversion(&profile, Layout::Gray)?, 1),
        // Cameras give grey pictures the profile of coloured ones.
        (1, DataColorSpace::Rgb) => levels(pixels, &conversion(&profile, Layout::Rgb)?, 3),
        (3, DataColorSpace::Rgb) => {
            let conversion = conversion(&profile, Layout::Rgb)?;
            if near(&lattice(), &converted(&conversion, &lattice(), 3)?) {
                return None;
            }
            converted(&conversion, pixels, 3)
        }
        // Four inks have the layout of colours with alpha.
        (4, DataColorSpace::Cmyk) => converted(&conversion(&profile, Layout::Rgba)?, pixels, 4),
        _ => None,
    }
}

/// Whether a profile is one of four inks.
pub(super) fn is_of_inks(icc: &[u8]) -> bool {
    icc.get(16..20) == Some(b"CMYK")
}

fn conversion(profile: &ColorProfile, from: Layout) -> Option<Conversion> {
    profile.create_transform_8bit(from, &ColorProfile::new_srgb(), Layout::Rgb, TransformOptions::default()).ok()
}

/// Pixels of `channels` channels as red, green and blue.
fn converted(conversion: &Conversion, pixels: &[u8], channels: usize) -> Option<Vec<u8>> {
    let mut rgb = vec![0; pixels.len() / channels * 3];
    conversion.transform(pixels, &mut rgb).ok()?;
    Some(rgb)
}

/// Grey pixels by what becomes of each of the 256 levels, `channels` times over.
fn levels(pixels: &[u8], conversion: &Conversion, channels: usize) -> Option<Vec<u8>> {
    let all: Vec<u8> = (0..=255).collect();
    let given: Vec<u8> = all.iter().flat_map(|&level| std::iter::repeat_n(level, channels)).collect();
    let table: Vec<u8> = converted(conversion, &given, channels)?.chunks_exact(3).map(|rgb| rgb[1]).collect();
    (!near(&all, &table)).then(|| pixels.iter().map(|&level| table[usize::from(level)]).collect())
}

/// Colours from all over the cube.
fn lattice() -> Vec<u8> {
    let steps = || (0..=255u8).step_by(17);
    steps().flat_map(|r| steps().flat_map(move |g| steps().flat_map(move |b| [r, g, b]))).collect()
}

fn near(a: &[u8], b: &[u8]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= ROUNDING)
}
