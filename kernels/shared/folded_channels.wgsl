// The coefficients by which the source of a convolution or of an input gradient is computed as it is loaded, see folded_norm.wgsl
//
// Depends on the importing file for
//   coefficients: array<vec4<f32>>, those of source channel 0 at params.first

// Whether it is.
override FOLDED: bool = false;

// What a pixel of channel s is computed with.
fn coefficients_of(s: u32) -> vec4<f32> {
    if FOLDED {
        return coefficients[params.first + s];
    }
    return vec4<f32>();
}

// What pixels of channels s are computed with.
fn of_channels(s: vec4<u32>) -> mat4x4<f32> {
    return of_each(coefficients_of(s.x), coefficients_of(s.y), coefficients_of(s.z), coefficients_of(s.w));
}
