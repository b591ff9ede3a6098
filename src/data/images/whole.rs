//! Whether a file is whole, where its decoder does not look.

use image::ImageFormat;

/// End of image.
const END: [u8; 2] = [0xff, 0xd9];
/// Start of scan.
const SCAN: u8 = 0xda;

/// Whether a file of this format ends before it should.
///
/// The decoder of JPEG fills what is missing with grey and says nothing; those of WebP and TIFF make room for metadata of
/// any length that is claimed.
pub(super) fn ends_early(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Jpeg => jpeg(bytes),
        ImageFormat::WebP => webp(bytes),
        ImageFormat::Tiff => tiff(bytes),
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

/// Whether a field of the first directory is longer than the file.
fn tiff(bytes: &[u8]) -> bool {
    let number = |at: usize, width: usize| -> Option<u64> {
        let field = bytes.get(at..at.checked_add(width)?)?;
        let push = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        Some(if bytes[0] == b'I' { field.iter().rev().fold(0, push) } else { field.iter().fold(0, push) })
    };
    // Places and counts are of 4 bytes, in the variant for large files of 8.
    let (wide, heading) = if number(2, 2) == Some(43) { (8, 8) } else { (4, 2) };
    let entry = 4 + 2 * wide;
    let place = number(wide, wide).and_then(|place| usize::try_from(place).ok());
    let Some((place, entries)) = place.and_then(|place| Some((place, number(place, heading)?))) else { return true };
    for i in 0..entries.min((bytes.len() / entry) as u64) as usize {
        let at = place + heading + i * entry;
        let (Some(kind), Some(count)) = (number(at + 2, 2), number(at + 4, wide)) else { return true };
        let size = match kind {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        };
        if count.saturating_mul(size) > bytes.len() as u64 {
            return true;
        }
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

    #[test]
    fn no_field_is_longer_than_the_file() {
        // One directory of one field of 32-bit numbers, in both orders of bytes and for large files.
        let small = |count: u8| [&b"II*\0"[..], &[8, 0, 0, 0, 1, 0, 0, 1, 4, 0, count, 0, 0, 0, 9, 9, 9, 9]].concat();
        let turned = |count: u8| [&b"MM\0*"[..], &[0, 0, 0, 8, 0, 1, 1, 0, 0, 4, 0, 0, 0, count, 9, 9, 9, 9]].concat();
        let large = |count: u8| {
            let start = [&b"II+\0\x08\0\0\0"[..], &16u64.to_le_bytes(), &1u64.to_le_bytes(), &[0, 1, 4, 0]].concat();
            [&start[..], &u64::from(count).to_le_bytes(), &[9; 8]].concat()
        };
        for file in [small as fn(u8) -> Vec<u8>, turned, large] {
            let most = file(0).len() as u8 / 4;
            assert!(!tiff(&file(most)) && tiff(&file(most + 1)));
            assert!(tiff(&file(1)[..8]));
        }
    }
}
