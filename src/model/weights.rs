//! Fixed weights of pixels in the distance.

/// Outer product of two unit-peak Gaussians of standard deviation `std` pixels centred on the image, the same for every
/// channel: `[C,H,W]`.
pub fn gaussian_weights(channels: usize, height: usize, width: usize, std: f64) -> Vec<f32> {
    let bell = |size: usize| -> Vec<f64> {
        let centre = (size as f64 - 1.0) / 2.0;
        (0..size).map(|i| (-0.5 * ((i as f64 - centre) / std).powi(2)).exp()).collect()
    };
    let (rows, columns) = (bell(height), bell(width));
    let plane: Vec<f32> = rows.iter().flat_map(|r| columns.iter().map(move |c| (r * c) as f32)).collect();
    plane.repeat(channels)
}
