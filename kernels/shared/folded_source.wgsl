// Pixels of the map that a convolution loads: as it is, or computed by FOLDED from the map before, see folded_norm.wgsl
//
// Depends on the importing file for
//   source: array<f32>, residual: array<f32>   [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH]
//   coefficients: array<vec4<f32>>, those of the source from params.first on

override FOLDED: bool = false;
override RESIDUAL: bool = false;
override RECTIFY: bool = false;

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

// What pixels are computed from, as it was loaded.
struct Loaded {
    x: vec4<f32>,
    added: vec4<f32>,
}

// For pixels i.
fn loaded(i: vec4<u32>) -> Loaded {
    var added = vec4<f32>();
    if RESIDUAL {
        added = vec4<f32>(residual[i.x], residual[i.y], residual[i.z], residual[i.w]);
    }
    return Loaded(vec4<f32>(source[i.x], source[i.y], source[i.z], source[i.w]), added);
}

// Pixels, with their coefficients.
fn computed(pixels: Loaded, c: mat4x4<f32>) -> vec4<f32> {
    var x = pixels.x;
    if FOLDED {
        x = normalised(x, c);
    }
    x += pixels.added;
    if RECTIFY {
        x = rectified(x);
    }
    return x;
}
