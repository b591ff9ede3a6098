// d[b,j] = 1/n sum over elements of weights (x[b] - t[r])^2, with t[r] = the transformations of source[s] one after the other, s the
// partner of row r = b J + j
//
// source [S,CHANNELS,HEIGHT,WIDTH], x [B,CHANNELS,HEIGHT,WIDTH], d [B,J], R = B J; a0 to a3 the parameters of the stages:
// color [R,CHANNELS,2], affine [R,6], projective [R,9], control points [R,CONTROLS,2] with the matrix [CONTROLS,HEIGHT,WIDTH]
// and the base [HEIGHT,WIDTH,2] among the controls, morphology [R,1+KERNEL^2]. Each computes what color, affine_grid,
// projective_grid and control_grid with grid_sample, and morpho_exp with morpho do. With WEIGHTED there are no more than three
// stages, and a3 is the weights [CHANNELS,HEIGHT,WIDTH].
// The images on the way stay in workgroup memory: two that take turns, and the exponentials of a morphology.
// Workgroup: 128 invocations for one row, channel by channel. Grid: rows (linear, folded).
// Deterministic: strided partial sums over channels and pixels, then a fixed tree.

//#import bilinear
//#import homography
//#import workgroup_sum

struct Params {
    rows: u32,
    // Rows of an image, J.
    per_image: u32,
    shared_rows: u32,
    // First elements of the matrix and of the base.
    matrix: u32,
    base: u32,
}

// What the stages do, in order.
override STAGE_0: u32 = 0u;
override STAGE_1: u32 = 0u;
override STAGE_2: u32 = 0u;
override STAGE_3: u32 = 0u;
override WEIGHTED: bool = false;
override CHANNELS: u32 = 1u;
override HEIGHT: u32 = 28u;
override WIDTH: u32 = 28u;
override CONTROLS: u32 = 1u;
// Extent of the window, odd.
override KERNEL: u32 = 1u;
// Elements of two images, of the exponentials and of a row of (alpha, a); at least one.
override IMAGES_LEN: u32 = 1568u;
override EXPONENTIALS_LEN: u32 = 1u;
override WINDOW_LEN: u32 = 2u;

const NONE: u32 = 0u;
const COLOR: u32 = 1u;
const AFFINE: u32 = 2u;
const PROJECTIVE: u32 = 3u;
const CONTROL: u32 = 4u;
const MORPHO: u32 = 5u;

const WG_SIZE: u32 = 128u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> source: array<f32>;
@group(0) @binding(2)
var<storage, read> x: array<f32>;
@group(0) @binding(3)
var<storage, read> a0: array<f32>;
@group(0) @binding(4)
var<storage, read> a1: array<f32>;
@group(0) @binding(5)
var<storage, read> a2: array<f32>;
@group(0) @binding(6)
var<storage, read> a3: array<f32>;
@group(0) @binding(7)
var<storage, read> controls: array<f32>;
@group(0) @binding(8)
var<storage, read_write> d: array<f32>;

var<workgroup> sh_images: array<f32, IMAGES_LEN>;
var<workgroup> sh_e: array<f32, EXPONENTIALS_LEN>;
var<workgroup> sh_window: array<f32, WINDOW_LEN>;

// Element i of the parameters of a stage.
fn parameter(stage: u32, i: u32) -> f32 {
    switch stage {
        case 0u: { return a0[i]; }
        case 1u: { return a1[i]; }
        case 2u: { return a2[i]; }
        default: { return a3[i]; }
    }
}

// Where pixel p of the result of a spatial stage is in its image, (x, y).
fn position(kind: u32, stage: u32, r: u32, p: u32) -> vec2<f32> {
    if kind == CONTROL {
        let pixels = HEIGHT * WIDTH;
        var moved = vec2<f32>();
        for (var g = 0u; g < CONTROLS; g += 1u) {
            let b = 2u * (r * CONTROLS + g);
            moved += controls[params.matrix + g * pixels + p] * vec2<f32>(parameter(stage, b), parameter(stage, b + 1u));
        }
        let b = params.base + 2u * p;
        return vec2<f32>(controls[b], controls[b + 1u]) + moved;
    }
    let u = f32(2u * (p % WIDTH) + 1u) / f32(WIDTH) - 1.0;
    let v = f32(2u * (p / WIDTH) + 1u) / f32(HEIGHT) - 1.0;
    if kind == AFFINE {
        let t = r * 6u;
        return vec2<f32>(
            u + (parameter(stage, t) * u + parameter(stage, t + 1u) * v + parameter(stage, t + 2u)),
            v + (parameter(stage, t + 3u) * u + parameter(stage, t + 4u) * v + parameter(stage, t + 5u)),
        );
    }
    var offsets: array<f32, 9>;
    for (var k = 0u; k < 9u; k += 1u) {
        offsets[k] = parameter(stage, r * 9u + k);
    }
    let point = homography(offsets, u, v);
    return vec2<f32>(point.x, point.y);
}

// The image that begins at `of_image`, bilinear between the four neighbours of a position.
fn sample(of_image: u32, at: vec2<f32>) -> f32 {
    let h = bilinear_axis(at.x, WIDTH);
    let v = bilinear_axis(at.y, HEIGHT);
    let w00 = (1.0 - v.fraction) * (1.0 - h.fraction) * v.has_lower * h.has_lower;
    let w01 = (1.0 - v.fraction) * h.fraction * v.has_lower * h.has_upper;
    let w10 = v.fraction * (1.0 - h.fraction) * v.has_upper * h.has_lower;
    let w11 = v.fraction * h.fraction * v.has_upper * h.has_upper;
    let upper = of_image + v.lower * WIDTH;
    let lower = of_image + v.upper * WIDTH;
    return w00 * sh_images[upper + h.lower] + w01 * sh_images[upper + h.upper]
        + w10 * sh_images[lower + h.lower] + w11 * sh_images[lower + h.upper];
}

// The weighted mean over the window of pixel p.
fn mean(of_image: u32, p: u32) -> f32 {
    let i = p / WIDTH;
    let j = p % WIDTH;
    var numerator = 0.0;
    var denominator = 0.0;
    for (var di = 0u; di < KERNEL; di += 1u) {
        // Above the image the difference wraps round to a large number.
        let row = i + di - KERNEL / 2u;
        for (var dj = 0u; dj < KERNEL; dj += 1u) {
            let column = j + dj - KERNEL / 2u;
            let a = sh_window[1u + di * KERNEL + dj];
            if row < HEIGHT && column < WIDTH {
                let ae = a * sh_e[row * WIDTH + column];
                numerator += ae * sh_images[of_image + row * WIDTH + column];
                denominator += ae;
            } else {
                denominator += a;
            }
        }
    }
    return numerator / denominator;
}

// One stage for channel c of row r: of the image that begins at `of_image`. Gives where its result begins. In uniform
// control flow.
fn transformed(kind: u32, stage: u32, r: u32, c: u32, of_image: u32, lane: u32) -> u32 {
    let pixels = HEIGHT * WIDTH;
    let to = pixels - of_image;
    if kind == MORPHO {
        let first = r * (1u + KERNEL * KERNEL);
        for (var i = lane; i < 1u + KERNEL * KERNEL; i += WG_SIZE) {
            sh_window[i] = parameter(stage, first + i);
        }
        let alpha = parameter(stage, first);
        for (var p = lane; p < pixels; p += WG_SIZE) {
            sh_e[p] = exp(clamp(alpha * sh_images[of_image + p], -60.0, 60.0));
        }
        workgroupBarrier();
    }
    for (var p = lane; p < pixels; p += WG_SIZE) {
        var value: f32;
        if kind == COLOR {
            let b = 2u * (r * CHANNELS + c);
            value = (1.0 + parameter(stage, b)) * sh_images[of_image + p] + parameter(stage, b + 1u);
        } else if kind == MORPHO {
            value = mean(of_image, p);
        } else {
            value = sample(of_image, position(kind, stage, r, p));
        }
        sh_images[to + p] = value;
    }
    workgroupBarrier();
    return to;
}

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let r = group.y * groups.x + group.x;
    if r >= params.rows {
        return;
    }
    let pixels = HEIGHT * WIDTH;
    let partner = r % params.shared_rows;
    let image = r / params.per_image;
    var sum = 0.0;
    for (var c = 0u; c < CHANNELS; c += 1u) {
        for (var p = lane; p < pixels; p += WG_SIZE) {
            sh_images[p] = source[(partner * CHANNELS + c) * pixels + p];
        }
        workgroupBarrier();
        var at = transformed(STAGE_0, 0u, r, c, 0u, lane);
        if STAGE_1 != NONE {
            at = transformed(STAGE_1, 1u, r, c, at, lane);
        }
        if STAGE_2 != NONE {
            at = transformed(STAGE_2, 2u, r, c, at, lane);
        }
        if STAGE_3 != NONE {
            at = transformed(STAGE_3, 3u, r, c, at, lane);
        }
        for (var p = lane; p < pixels; p += WG_SIZE) {
            let e = x[(image * CHANNELS + c) * pixels + p] - sh_images[at + p];
            if WEIGHTED {
                sum += a3[c * pixels + p] * e * e;
            } else {
                sum += e * e;
            }
        }
        // The next channel overwrites what other lanes may still be reading.
        workgroupBarrier();
    }
    let total = workgroup_sum(lane, sum);
    if lane == 0u {
        d[r] = total / f32(CHANNELS * pixels);
    }
}
