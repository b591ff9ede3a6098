//! The inks of a JPEG for print, which the decoder of pictures would turn into colours by multiplication.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Cyan, magenta, yellow and black of each pixel, 255 for all of the ink; `None` if the file is of another kind or cannot
/// be decoded. Adobe's files, of which all four inks are stored inverted, are the only ones that are in use.
pub(super) fn inks(jpeg: &[u8]) -> Option<Vec<u8>> {
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    decoder.decode_headers().ok()?;
    let stored = decoder.input_colorspace()?;
    if !matches!(stored, ColorSpace::CMYK | ColorSpace::YCCK) {
        return None;
    }
    decoder.set_options(options.jpeg_set_out_colorspace(stored));
    let mut pixels = decoder.decode().ok()?;
    for pixel in pixels.chunks_exact_mut(4) {
        if let &mut [y, cb, cr, black] = pixel
            && stored == ColorSpace::YCCK
        {
            let [y, cb, cr] = [f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0];
            // JFIF's colours, which are those of the inks that are not there, inverted.
            let inks = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
            let [c, m, y] = inks.map(|ink| ink.round() as u8);
            pixel.copy_from_slice(&[c, m, y, 255 - black]);
        } else {
            pixel.iter_mut().for_each(|ink| *ink = 255 - *ink);
        }
    }
    Some(pixels)
}
