// What the input gradient of a convolution loads and how its sums become gradients: dy as it is, or by FOLDED the gradient of
// a normalisation, see folded_norm.wgsl; then a residual and a mask
//
// Depends on the importing file for shared/folded_norm.wgsl, shared/folded_channels.wgsl and
//   source: array<f32>, before: array<f32>               [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH]
//   residual: array<f32>, mask: array<f32>               [B,CHANNELS,HEIGHT,WIDTH]
//   coefficients: array<vec4<f32>>, those of the mask from params.mask_first on

override RESIDUAL: bool = false;
override MASKED: bool = false;
override MASK_FOLDED: bool = false;

// What pixels of dy are computed from, as it was loaded.
struct Loaded {
    dy: vec4<f32>,
    x: vec4<f32>,
}

// For pixels i.
fn loaded(i: vec4<u32>) -> Loaded {
    var x = vec4<f32>();
    if FOLDED {
        x = vec4<f32>(before[i.x], before[i.y], before[i.z], before[i.w]);
    }
    return Loaded(vec4<f32>(source[i.x], source[i.y], source[i.z], source[i.w]), x);
}

// Pixels of dy, with their coefficients.
fn computed(pixels: Loaded, c: mat4x4<f32>) -> vec4<f32> {
    if FOLDED {
        return normalised_gradient(pixels.dy, pixels.x, c);
    }
    return pixels.dy;
}

// What a pixel of channel c of a folded mask is computed with.
fn mask_coefficients_of(c: u32) -> vec4<f32> {
    if MASK_FOLDED {
        return coefficients[params.mask_first + c];
    }
    return vec4<f32>();
}

fn masks(i: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(mask[i.x], mask[i.y], mask[i.z], mask[i.w]);
}

// The gradient at elements i, with the coefficients of their masks.
fn finished(i: vec4<u32>, c: mat4x4<f32>, sums: vec4<f32>) -> vec4<f32> {
    var values = sums;
    if RESIDUAL {
        values += vec4<f32>(residual[i.x], residual[i.y], residual[i.z], residual[i.w]);
    }
    if MASKED {
        var m = masks(i);
        if MASK_FOLDED {
            m = normalised(m, c);
        }
        values = select(vec4<f32>(), values, m > vec4<f32>());
    }
    return values;
}

// xhat of folded masks at elements i.
fn standard(i: vec4<u32>, c: mat4x4<f32>) -> vec4<f32> {
    if MASK_FOLDED {
        return standardised(masks(i), c);
    }
    return vec4<f32>();
}
