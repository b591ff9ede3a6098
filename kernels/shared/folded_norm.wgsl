// Batch normalisation of a pixel as it is loaded, and the gradient of one, by four coefficients of its channel, which
// batch_norm_stats.wgsl and batch_norm_grad_params.wgsl write
//
//   result     (x - mean) scale + shift                   coefficients (mean, scale, shift, inv_std)
//   gradient   (dy - mean_dy - (x - mean) slope) scale    coefficients (mean, scale, mean_dy, slope)
//
// where inv_std = 1 / sqrt(variance + eps), scale = gamma inv_std, mean_dy = dbeta / n and slope = inv_std dgamma / n.
//
// Four pixels at a time: what is loaded for them is asked for together, and a column of their coefficients is one of these
// numbers for each.

// Coefficients of four pixels of one channel.
fn alike(c: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(vec4<f32>(c.x), vec4<f32>(c.y), vec4<f32>(c.z), vec4<f32>(c.w));
}

// Coefficients of four pixels of as many channels.
fn of_each(c0: vec4<f32>, c1: vec4<f32>, c2: vec4<f32>, c3: vec4<f32>) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(c0, c1, c2, c3));
}

fn normalised(x: vec4<f32>, c: mat4x4<f32>) -> vec4<f32> {
    return (x - c[0]) * c[1] + c[2];
}

// xhat, the result before scale and shift.
fn standardised(x: vec4<f32>, c: mat4x4<f32>) -> vec4<f32> {
    return (x - c[0]) * c[3];
}

// What is not a number stays so, where the device has such numbers.
fn rectified(x: vec4<f32>) -> vec4<f32> {
    return select(x, vec4<f32>(), x < vec4<f32>());
}

fn normalised_gradient(dy: vec4<f32>, x: vec4<f32>, c: mat4x4<f32>) -> vec4<f32> {
    return (dy - c[2] - (x - c[0]) * c[3]) * c[1];
}
