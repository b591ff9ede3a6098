//! Whether a file is whole, where its decoder does not look.

use image::ImageFormat;

/// End of image.
const END: [u8; 2] = [0xff, 0xd9];
/// Start of scan.
const SCAN: u8 = 0xda;

/// Whether a file of this format ends before it should.
///
/// The decoder of JPEG fills what is missing with grey and says nothing; that of WebP makes room for metadata of any
/// length that is claimed.
pub(super) fn ends_early(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Jpeg => jpeg(bytes),
        ImageFormat::WebP => webp(bytes),
        _ => false,
    }
}

/// Whether a chunk is longer than what is left. What comes after the end that the file names does not count.
fn webp(bytes: &[u8]) -> bool {
    let length = |at: usize| {
        let field = bytes.get(at + 4..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*field) as usize)
    };
    let end = length(0).unwrap_or(0).saturating_add(8);
    let mut at = 12;
    while at < end
        && let Some(chunk) = length(at)
    {
        if chunk > bytes.len() - at - 8 {
            return true;
        }
        // Chunks begin at even places.
        at += 8 + chunk + chunk % 2;
    }
    false
}

/// Whether there is no end of image after the first scan begins. Segments before it are passed over by their lengths, so
/// that the end of a thumbnail in one of them does not count.
fn jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        match marker {
            SCAN => return !bytes[at..].windows(2).any(|pair| pair == END),
            // Filling, and markers without a segment.
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return true,
            },
        }
    }
    // Either the file is over, or something else lies between the segments: the decoder finds its way or not.
    at + 2 > bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_thumbnail_does_not_count() {
        let thumbnail = [0xff, 0xe1, 0, 6, 0xff, 0xda, 0xff, 0xd9];
        let whole = [&[0xff, 0xd8][..], &thumbnail, &[0xff, 0xff, 0xda, 0, 2, 7, 0xff, 0, 0xff, 0xd9, 0, 0]].concat();
        assert!(!jpeg(&whole));
        for length in 2..whole.len() - 2 {
            assert!(jpeg(&whole[..length]), "{length} bytes");
        }
    }

    #[test]
    fn no_chunk_is_longer_than_the_file() {
        let whole =
            [&b"RIFF"[..], &[26, 0, 0, 0], b"WEBPVP8L", &[3, 0, 0, 0, 1, 2, 3, 0], b"EXIF", &[2, 0, 0, 0, 9, 9]]
                .concat();
        assert!(!ends_early(&whole, ImageFormat::WebP));
        assert!(ends_early(&whole[..whole.len() - 1], ImageFormat::WebP));
        assert!(!ends_early(&[&whole[..], b"junk after the end"].concat(), ImageFormat::WebP));
        let mut longer = whole.clone();
        longer[16] = 15;
        assert!(ends_early(&longer, ImageFormat::WebP) && !ends_early(&longer, ImageFormat::Png));
    }
}
