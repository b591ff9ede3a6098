// d[b,j] = 1/n sum over elements of weights (x[b] - t[r])^2, with t[r] = the transformations of source[s] one after the other, s the
// partner of row r = b J + j
//
// source [S,CHANNELS,HEIGHT,WIDTH], x [B,CHANNELS,HEIGHT,WIDTH], d [B,J], R = B J; a0 to a3 the parameters of the stages:
// color [R,CHANNELS,2], affine [R,6], projective [R,9], control points [R,CONTROLS,2] with the matrix [CONTROLS,HEIGHT,WIDTH]
// and the base [HEIGHT,WIDTH,2] among the controls, morphology [R,1+KERNEL^2]. Each computes what color, affine_grid,
// projective_grid and control_grid with grid_sample, and morpho_exp with morpho do. With WEIGHTED there are no more than three
// stages, and a3 is the weights [CHANNELS,HEIGHT,WIDTH].
// The images on the way stay in workgroup memory: two that take turns, and for a morphology the pixels' exponentials e and
// products e x with a border of the (1, 0) that is outside, so that an invocation slides along a row for four pixels.
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
// Elements of two images, of the image with its border, and of a row of parameters of morphologies and control points.
override IMAGES_LEN: u32 = 1568u;
override BORDERED_LEN: u32 = 1u;
override ROW_LEN: u32 = 2u;

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
var<workgroup> sh_bordered: array<vec2<f32>, BORDERED_LEN>;
var<workgroup> sh_row: array<f32, ROW_LEN>;

// Runs of four pixels of a row, and pixels of a row of the image with its border.
fn runs() -> u32 {
    return (WIDTH + 3u) / 4u;
}

fn bordered_width() -> u32 {
    return 4u * runs() + KERNEL - 1u;
}

// Element i of the parameters of a stage.
fn parameter(stage: u32, i: u32) -> f32 {
    switch stage {
        case 0u: { return a0[i]; }
        case 1u: { return a1[i]; }
        case 2u: { return a2[i]; }
        default: { return a3[i]; }
    }
}

// Where four pixels of the result of a spline are in its image: x, then y.
fn moved(p: vec4<u32>) -> mat2x4<f32> {
    let b = params.base + 2u * p;
    var xs = vec4<f32>(controls[b.x], controls[b.y], controls[b.z], controls[b.w]);
    var ys = vec4<f32>(controls[b.x + 1u], controls[b.y + 1u], controls[b.z + 1u], controls[b.w + 1u]);
    for (var g = 0u; g < CONTROLS; g += 1u) {
        let at = params.matrix + g * HEIGHT * WIDTH + p;
        let weights = vec4<f32>(controls[at.x], controls[at.y], controls[at.z], controls[at.w]);
        xs += weights * sh_row[2u * g];
        ys += weights * sh_row[2u * g + 1u];
    }
    return mat2x4<f32>(xs, ys);
}

// Where pixel p of the result of another spatial stage is in its image, (x, y).
fn position(kind: u32, stage: u32, r: u32, p: u32) -> vec2<f32> {
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

// Brings the image that begins at `of_image` with its border to sh_bordered.
fn border(of_image: u32, alpha: f32, lane: u32) {
    let width = bordered_width();
    for (var e = lane; e < (HEIGHT + KERNEL - 1u) * width; e += WG_SIZE) {
        // Above the image and left of it the differences wrap round to large numbers.
        let row = e / width - KERNEL / 2u;
        let column = e % width - KERNEL / 2u;
        let x = sh_images[of_image + min(row, HEIGHT - 1u) * WIDTH + min(column, WIDTH - 1u)];
        let exponential = exp(clamp(alpha * x, -60.0, 60.0));
        let inside = row < HEIGHT && column < WIDTH;
        sh_bordered[e] = select(vec2<f32>(1.0, 0.0), vec2<f32>(exponential, exponential * x), inside);
    }
}

// The weighted means over the windows of the four pixels of a run.
fn means(run: u32) -> vec4<f32> {
    var numerators = vec4<f32>();
    var denominators = vec4<f32>();
    for (var di = 0u; di < KERNEL; di += 1u) {
        let first = (run / runs() + di) * bordered_width() + run % runs() * 4u;
        var near0 = sh_bordered[first];
        var near1 = sh_bordered[first + 1u];
        var near2 = sh_bordered[first + 2u];
        for (var dj = 0u; dj < KERNEL; dj += 1u) {
            let near3 = sh_bordered[first + dj + 3u];
            let a = sh_row[1u + di * KERNEL + dj];
            denominators += a * vec4<f32>(near0.x, near1.x, near2.x, near3.x);
            numerators += a * vec4<f32>(near0.y, near1.y, near2.y, near3.y);
            near0 = near1;
            near1 = near2;
            near2 = near3;
        }
    }
    return numerators / denominators;
}

// One stage for channel c of row r: of the image that begins at `of_image`. Gives where its result begins. In uniform
// control flow.
fn transformed(kind: u32, stage: u32, r: u32, c: u32, of_image: u32, lane: u32) -> u32 {
    let pixels = HEIGHT * WIDTH;
    let to = pixels - of_image;
    if kind == MORPHO || kind == CONTROL {
        let count = select(2u * CONTROLS, 1u + KERNEL * KERNEL, kind == MORPHO);
        for (var i = lane; i < count; i += WG_SIZE) {
            sh_row[i] = parameter(stage, r * count + i);
        }
        if kind == MORPHO {
            border(of_image, parameter(stage, r * count), lane);
        }
        workgroupBarrier();
    }
    if kind == MORPHO {
        for (var run = lane; run < HEIGHT * runs(); run += WG_SIZE) {
            let values = means(run);
            let column = run % runs() * 4u;
            let p = to + run / runs() * WIDTH + column;
            sh_images[p] = values.x;
            if column + 1u < WIDTH { sh_images[p + 1u] = values.y; }
            if column + 2u < WIDTH { sh_images[p + 2u] = values.z; }
            if column + 3u < WIDTH { sh_images[p + 3u] = values.w; }
        }
    } else if kind == CONTROL {
        for (var p = lane; p < pixels; p += 4u * WG_SIZE) {
            // Four pixels share the loads of the control points; past the end the last is computed in vain.
            let next = p + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
            let at = moved(min(next, vec4<u32>(pixels - 1u)));
            sh_images[to + p] = sample(of_image, vec2<f32>(at[0].x, at[1].x));
            if next.y < pixels { sh_images[to + next.y] = sample(of_image, vec2<f32>(at[0].y, at[1].y)); }
            if next.z < pixels { sh_images[to + next.z] = sample(of_image, vec2<f32>(at[0].z, at[1].z)); }
            if next.w < pixels { sh_images[to + next.w] = sample(of_image, vec2<f32>(at[0].w, at[1].w)); }
        }
    } else {
        for (var p = lane; p < pixels; p += WG_SIZE) {
            var value: f32;
            if kind == COLOR {
                let b = 2u * (r * CHANNELS + c);
                value = (1.0 + parameter(stage, b)) * sh_images[of_image + p] + parameter(stage, b + 1u);
            } else {
                value = sample(of_image, position(kind, stage, r, p));
            }
            sh_images[to + p] = value;
        }
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
        // Four pixels are loaded together; past the end the last is, in vain.
        let first = (partner * CHANNELS + c) * pixels;
        for (var p = lane; p < pixels; p += 4u * WG_SIZE) {
            let next = p + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
            let near = first + min(next, vec4<u32>(pixels - 1u));
            let values = vec4<f32>(source[near.x], source[near.y], source[near.z], source[near.w]);
            sh_images[p] = values.x;
            if next.y < pixels { sh_images[next.y] = values.y; }
            if next.z < pixels { sh_images[next.z] = values.z; }
            if next.w < pixels { sh_images[next.w] = values.w; }
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
        let compared = (image * CHANNELS + c) * pixels;
        for (var p = lane; p < pixels; p += 4u * WG_SIZE) {
            let next = p + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
            let near = min(next, vec4<u32>(pixels - 1u));
            let of_x = compared + near;
            let t = at + near;
            var weights = vec4<f32>(1.0);
            if WEIGHTED {
                let w = c * pixels + near;
                weights = vec4<f32>(a3[w.x], a3[w.y], a3[w.z], a3[w.w]);
            }
            let values = vec4<f32>(x[of_x.x], x[of_x.y], x[of_x.z], x[of_x.w]);
            let off = values - vec4<f32>(sh_images[t.x], sh_images[t.y], sh_images[t.z], sh_images[t.w]);
            let e = select(vec4<f32>(), off, next < vec4<u32>(pixels));
            sum += dot(weights * e, e);
        }
        // The next channel overwrites what other lanes may still be reading.
        workgroupBarrier();
    }
    let total = workgroup_sum(lane, sum);
    if lane == 0u {
        d[r] = total / f32(CHANNELS * pixels);
    }
}
