//! Whether a JPEG is whole: its decoder fills what is missing with grey and says nothing.

/// End of image.
const END: [u8; 2] = [0xff, 0xd9];
/// Start of scan.
const SCAN: u8 = 0xda;

/// Whether there is no end of image after the first scan begins. Segments before it are passed over by their lengths, so
/// that the end of a thumbnail in one of them does not count.
pub(super) fn ends_early(bytes: &[u8]) -> bool {
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
        assert!(!ends_early(&whole));
        for length in 2..whole.len() - 2 {
            assert!(ends_early(&whole[..length]), "{length} bytes");
        }
    }
}
