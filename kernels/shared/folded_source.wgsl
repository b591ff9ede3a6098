// Pixels of the map that a convolution loads: as it is, or computed by FOLDED from the map before, see folded_norm.wgsl
//
// Depends on the importing file for shared/folded_norm.wgsl, shared/folded_channels.wgsl and
//   source: array<f32>, residual: array<f32>   [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH]

override RESIDUAL: bool = false;
override RECTIFY: bool = false;

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
