// What the input gradient of a convolution loads and how its sums become gradients: dy as it is, or by FOLDED the gradient of
// a normalisation, see folded_norm.wgsl; then a residual and a mask
//
// Depends on the importing file for
//   source: array<f32>, before: array<f32>               [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH]
//   residual: array<f32>, mask: array<f32>               [B,CHANNELS,HEIGHT,WIDTH]
//   coefficients: array<vec4<f32>>, those of the source from params.first on, those of the mask from params.mask_first on

override FOLDED: bool = false;
override RESIDUAL: bool = false;
override MASKED: bool = false;
override MASK_FOLDED: bool = false;

// What pixels of channel s of dy are computed with.
fn coefficients_of(s: u32) -> vec4<f32> {
    if FOLDED {
        return coefficients[params.first + s];
    }
    return vec4<f32>();
}

// Pixel i of dy, of a channel with these coefficients.
fn pixel(i: u32, c: vec4<f32>) -> f32 {
    if FOLDED {
        return normalised_gradient(source[i], before[i], c);
    }
    return source[i];
}

// The gradient at element i, of channel c.
fn finished(i: u32, c: u32, sum: f32) -> f32 {
    var value = sum;
    if RESIDUAL {
        value += residual[i];
    }
    if MASKED {
        var m = mask[i];
        if MASK_FOLDED {
            m = normalised(m, coefficients[params.mask_first + c]);
        }
        value = select(0.0, value, m > 0.0);
    }
    return value;
}

// xhat of the folded mask at element i, of channel c.
fn standard(i: u32, c: u32) -> f32 {
    if MASK_FOLDED {
        return standardised(mask[i], coefficients[params.mask_first + c]);
    }
    return 0.0;
}
