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

// Coefficients of channels c, those of channel 0 being at `first`.
fn of_channels(first: u32, c: vec4<u32>) -> mat4x4<f32> {
    let at = first + c;
    return of_each(coefficients[at.x], coefficients[at.y], coefficients[at.z], coefficients[at.w]);
}

// Elements i of x, of channels c.
fn inputs(i: vec4<u32>, c: vec4<u32>) -> vec4<f32> {
    var values = vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]);
    if X_FOLDED {
        values = normalised(values, of_channels(params.x_first, c));
    }
    if RECTIFY {
        values = rectified(values);
    }
    return values;
}

// Elements i of dy, of channels c.
fn gradients(i: vec4<u32>, c: vec4<u32>) -> vec4<f32> {
    let values = vec4<f32>(dy[i.x], dy[i.y], dy[i.z], dy[i.w]);
    if DY_FOLDED {
        let x = vec4<f32>(before[i.x], before[i.y], before[i.z], before[i.w]);
        return normalised_gradient(values, x, of_channels(params.dy_first, c));
    }
    return values;
}
