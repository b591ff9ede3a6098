// Batch normalisation of a pixel as it is loaded, and the gradient of one, by four coefficients of its channel, which
// batch_norm_stats.wgsl and batch_norm_grad_params.wgsl write
//
//   result     (x - mean) scale + shift                   coefficients (mean, scale, shift, inv_std)
//   gradient   (dy - mean_dy - (x - mean) slope) scale    coefficients (mean, scale, mean_dy, slope)
//
// where inv_std = 1 / sqrt(variance + eps), scale = gamma inv_std, mean_dy = dbeta / n and slope = inv_std dgamma / n.

fn normalised(x: f32, c: vec4<f32>) -> f32 {
    return (x - c.x) * c.y + c.z;
}

// xhat, the result before scale and shift.
fn standardised(x: f32, c: vec4<f32>) -> f32 {
    return (x - c.x) * c.w;
}

// What is not a number stays so, where the device has such numbers.
fn rectified(x: f32) -> f32 {
    return select(x, 0.0, x < 0.0);
}

fn normalised_gradient(dy: f32, x: f32, c: vec4<f32>) -> f32 {
    return (dy - c.z - (x - c.x) * c.w) * c.y;
}
