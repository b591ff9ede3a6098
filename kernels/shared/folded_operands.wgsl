// What a weight gradient loads: x as it is, or by X_FOLDED normalised, and dy as it is, or by DY_FOLDED the gradient of a
// normalisation, see folded_norm.wgsl
//
// Depends on the importing file for
//   x: array<f32>                       [B,IN_CHANNELS,IN_HEIGHT,IN_WIDTH]
//   dy: array<f32>, before: array<f32>  [B,OUT_CHANNELS,HEIGHT,WIDTH]
//   coefficients: array<vec4<f32>>, those of x from params.x_first on, those of dy from params.dy_first on

override X_FOLDED: bool = false;
override RECTIFY: bool = false;
override DY_FOLDED: bool = false;

// Element i of x, of channel c.
fn input(i: u32, c: u32) -> f32 {
    var value = x[i];
    if X_FOLDED {
        value = normalised(value, coefficients[params.x_first + c]);
    }
    if RECTIFY {
        value = rectified(value);
    }
    return value;
}

// Element i of dy, of channel c.
fn gradient(i: u32, c: u32) -> f32 {
    if DY_FOLDED {
        return normalised_gradient(dy[i], before[i], coefficients[params.dy_first + c]);
    }
    return dy[i];
}
