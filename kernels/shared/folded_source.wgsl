// A pixel of the map that a convolution loads: as it is, or computed by FOLDED from the map before, see folded_norm.wgsl
//
// Depends on the importing file for
//   source: array<f32>, residual: array<f32>   [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH]
//   coefficients: array<vec4<f32>>, those of the source from params.first on

override FOLDED: bool = false;
override RESIDUAL: bool = false;
override RECTIFY: bool = false;

// What pixels of channel s are computed with.
fn coefficients_of(s: u32) -> vec4<f32> {
    if FOLDED {
        return coefficients[params.first + s];
    }
    return vec4<f32>();
}

// Pixel i, of a channel with these coefficients.
fn pixel(i: u32, c: vec4<f32>) -> f32 {
    var x = source[i];
    if FOLDED {
        x = normalised(x, c);
    }
    if RESIDUAL {
        x += residual[i];
    }
    if RECTIFY {
        x = rectified(x);
    }
    return x;
}
