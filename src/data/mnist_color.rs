//! MNIST in random colours, made as the publication makes it.

use rayon::prelude::*;

use super::error::DataError;
use super::set::ImageSet;

/// Colours grey images: image i, in [0, 1], becomes |c x + b| over its own maximum, with c in [-1, 1) and b in [0, 1)
/// drawn for each of three channels. The numbers are those that PyTorch draws with the seed i, so that the colours are
/// those of the publication; what differs is the rounding to bytes.
///
/// # Errors
/// Those of [`ImageSet::new`].
pub(super) fn make(name: &str, grey: &ImageSet) -> Result<ImageSet, DataError> {
    let plane = grey.image_bytes();
    let mut pixels = vec![0; grey.len() * 3 * plane];
    pixels.par_chunks_mut(3 * plane).enumerate().for_each(|(i, image)| {
        let [c0, c1, c2, b0, b1, b2] = first_numbers(i as u32);
        let coloured = |c: f32, b: f32, x: u8| ((c * 2.0 - 1.0) * (f32::from(x) / 255.0) + b).abs();
        let channels = [(c0, b0), (c1, b1), (c2, b2)];
        let values = channels.iter().flat_map(|&(c, b)| grey.image(i).iter().map(move |&x| coloured(c, b, x)));
        let most = values.clone().fold(0.0, f32::max);
        for (to, value) in image.iter_mut().zip(values) {
            // The cast saturates, and takes 0/0 to 0.
            *to = (value / most * 255.0 + 0.5) as u8;
        }
    });
    let mut set = ImageSet::new(name, 3, grey.height, grey.width, pixels, grey.labels.clone())?;
    set.classes = grey.classes;
    Ok(set)
}

/// Words of the state of the Mersenne twister MT19937.
const STATE: usize = 624;
/// Distance of the words that it combines.
const MIDDLE: usize = 397;
/// Numbers that are drawn for an image: two for each channel.
const NUMBERS: usize = 6;

/// The first numbers in [0, 1) of PyTorch's generator on the CPU, seeded by `seed`: the low 24 bits of each word of
/// MT19937. Only the words that they need are made.
fn first_numbers(seed: u32) -> [f32; NUMBERS] {
    let mut state = [seed; MIDDLE + NUMBERS];
    for i in 1..state.len() {
        let before: u32 = state[i - 1];
        state[i] = (before ^ before >> 30).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
    }
    // The first STATE - MIDDLE words of the first round combine words of the seeding alone.
    const { assert!(NUMBERS < STATE - MIDDLE) };
    std::array::from_fn(|i| {
        let joined = state[i] & 0x8000_0000 | state[i + 1] & 0x7fff_ffff;
        let mut y = state[i + MIDDLE] ^ joined >> 1 ^ if joined & 1 == 1 { 0x9908_b0df } else { 0 };
        y ^= y >> 11;
        y ^= y << 7 & 0x9d2c_5680;
        y ^= y << 15 & 0xefc6_0000;
        y ^= y >> 18;
        (y & 0x00ff_ffff) as f32 / (1 << 24) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_that_of_pytorch() {
        // torch.manual_seed(0); torch.rand(6)
        let expected = [0.496_256_6, 0.768_221_8, 0.088_477_43, 0.132_030_48, 0.307_422_82, 0.634_078_7];
        for (number, expected) in first_numbers(0).into_iter().zip(expected) {
            assert!((number - expected).abs() < 1e-6, "{number} {expected}");
        }
        // numpy.random.RandomState(5489).randint(0, 2**32, 1, dtype=numpy.uint32) is 3499211612.
        assert_eq!(first_numbers(5489)[0], (3_499_211_612_u32 & 0x00ff_ffff) as f32 / 16_777_216.0);
    }
}
