// A tile of the weight gradient of a 3x3 convolution that keeps a window in registers
//
// sum[o,i,ky,kx] = sum over b, p of dy[b,o,p] x[b, i, STRIDE p + (ky,kx) - PAD], zero outside
//
// An invocation holds the 9 taps of one input channel for 4 output channels (9 vec4 sums) and walks along rows of the image;
// each window brings 3 new pixels of x (6 with stride 2) and one vec4 of dy from workgroup memory for 36 multiply-adds. Bands of
// ROWS rows of an image are staged together, those of x with a border and an odd number of words between channels, so that
// lanes do not meet in a bank. What is not there is loaded from the nearest place that is, and then zero: loads in a branch
// would wait for each other.
//
// Depends on the importing file for
//   Element: f32 or f16, what x is in workgroup memory; with f16 bands have room for more rows. dy stays f32: its place also
//   takes the sums of the parts.
//   fn inputs(i: vec4<u32>, c: vec4<u32>) -> vec4<f32>      elements i of x, of channels c
//   fn gradients(i: vec4<u32>, c: vec4<u32>) -> vec4<f32>   elements i of dy, of channels c
//   dw: array<f32>   as in conv2d_grad_weight_tiled.wgsl

override LANES: u32 = 128u;
override IN_TILE: u32 = 16u;
override QUADS: u32 = 4u;
override PARTS: u32 = 2u;
override ROWS: u32 = 2u;
override STRIDE: u32 = 1u;
override PAD: u32 = 1u;
override IN_CHANNELS: u32 = 16u;
override IN_HEIGHT: u32 = 28u;
override IN_WIDTH: u32 = 28u;
override OUT_CHANNELS: u32 = 16u;
override HEIGHT: u32 = 28u;
override WIDTH: u32 = 28u;
// Rows and columns of x for a band, and the elements between two channels.
override X_ROWS: u32 = 4u;
override X_COLUMNS: u32 = 30u;
override X_PLANE: u32 = 121u;
override X_LEN: u32 = 1936u;
override DY_LEN: u32 = 224u;

var<workgroup> sh_x: array<Element, X_LEN>;
var<workgroup> sh_dy: array<vec4<f32>, DY_LEN>;

// Three pixels of x, one below the other.
fn column(at: u32) -> vec3<f32> {
    return vec3<f32>(f32(sh_x[at]), f32(sh_x[at + X_COLUMNS]), f32(sh_x[at + 2u * X_COLUMNS]));
}

// What dy at a place adds to the nine taps: the columns of the window there, and four channels of dy.
fn add_window(
    sums: ptr<function, array<vec4<f32>, 9>>,
    left: vec3<f32>,
    middle: vec3<f32>,
    right: vec3<f32>,
    g: vec4<f32>,
) {
    (*sums)[0] += g * left.x;
    (*sums)[1] += g * middle.x;
    (*sums)[2] += g * right.x;
    (*sums)[3] += g * left.y;
    (*sums)[4] += g * middle.y;
    (*sums)[5] += g * right.y;
    (*sums)[6] += g * left.z;
    (*sums)[7] += g * middle.z;
    (*sums)[8] += g * right.z;
}

// `sum` of part 0 with that of another part added. In uniform control flow.
fn gather(other: u32, part: u32, slot: u32, sum: vec4<f32>) -> vec4<f32> {
    workgroupBarrier();
    if part == other {
        sh_dy[slot] = sum;
    }
    workgroupBarrier();
    return select(sum, sum + sh_dy[slot], part == 0u);
}

fn store(split: u32, first: u32, i: u32, tap: u32, sum: vec4<f32>) {
    for (var j = 0u; j < 4u; j += 1u) {
        if first + j < OUT_CHANNELS && i < IN_CHANNELS {
            dw[((split * OUT_CHANNELS + first + j) * IN_CHANNELS + i) * 9u + tap] = sum[j];
        }
    }
}

// Where a band of the batch begins, and the first channels of the workgroup.
struct Band {
    b: u32,
    first_row: u32,
    input: u32,
    output: u32,
}

const NEXT: vec4<u32> = vec4<u32>(0u, 1u, 2u, 3u);

// Elements of a band of x.
fn x_band() -> u32 {
    return IN_TILE * X_ROWS * X_COLUMNS;
}

// Elements e of a band of x; those past its end are not wanted.
fn band_inputs(at: Band, e: vec4<u32>) -> vec4<f32> {
    let within = e % (X_ROWS * X_COLUMNS);
    let y = vec4<i32>(at.first_row * STRIDE + within / X_COLUMNS) - i32(PAD);
    let x = vec4<i32>(within % X_COLUMNS) - i32(PAD);
    let near_y = clamp(y, vec4<i32>(0), vec4<i32>(i32(IN_HEIGHT) - 1));
    let near_x = clamp(x, vec4<i32>(0), vec4<i32>(i32(IN_WIDTH) - 1));
    let c = min(at.input + e / (X_ROWS * X_COLUMNS), vec4<u32>(IN_CHANNELS - 1u));
    let i = ((at.b * IN_CHANNELS + c) * IN_HEIGHT + vec4<u32>(near_y)) * IN_WIDTH + vec4<u32>(near_x);
    // Those of channels that are not there meet what is not stored.
    return select(vec4<f32>(), inputs(i, c), (y == near_y) & (x == near_x));
}

fn keep_input(e: u32, value: f32) {
    if e < x_band() {
        sh_x[e / (X_ROWS * X_COLUMNS) * X_PLANE + e % (X_ROWS * X_COLUMNS)] = Element(value);
    }
}

fn keep_inputs(e: vec4<u32>, values: vec4<f32>) {
    keep_input(e.x, values.x);
    keep_input(e.y, values.y);
    keep_input(e.z, values.z);
    keep_input(e.w, values.w);
}

// Brings a band of x to workgroup memory, eight elements a lane together.
fn bring_inputs(at: Band, lane: u32) {
    for (var first = lane; first < x_band(); first += 8u * LANES) {
        let e0 = first + LANES * NEXT;
        let e1 = e0 + 4u * LANES;
        let v0 = band_inputs(at, e0);
        let v1 = band_inputs(at, e1);
        keep_inputs(e0, v0);
        keep_inputs(e1, v1);
    }
}

// Brings a band of dy there, four channels a lane together.
fn bring_gradients(at: Band, lane: u32) {
    for (var e = lane; e < ROWS * WIDTH * QUADS; e += LANES) {
        let p = e % (ROWS * WIDTH);
        let q = e / (ROWS * WIDTH);
        let c = min(at.output + 4u * q + NEXT, vec4<u32>(OUT_CHANNELS - 1u));
        let row = at.first_row + p / WIDTH;
        let i = ((at.b * OUT_CHANNELS + c) * HEIGHT + min(row, HEIGHT - 1u)) * WIDTH + p % WIDTH;
        sh_dy[p * QUADS + q] = select(vec4<f32>(), gradients(i, c), row < HEIGHT);
    }
}

// Computes and stores what is an invocation's: bands from `begin` to before `end` of the batch. In uniform control flow.
fn weight_tile(group: vec3<u32>, lane: u32, begin: u32, end: u32) {
    let bands_per_image = (HEIGHT + ROWS - 1u) / ROWS;
    let i = lane % IN_TILE;
    let quad = lane / IN_TILE % QUADS;
    let part = lane / (IN_TILE * QUADS);

    var sums = array<vec4<f32>, 9>();
    for (var band = begin; band < end; band += 1u) {
        let at = Band(
            band / bands_per_image,
            band % bands_per_image * ROWS,
            group.x * IN_TILE,
            group.y * QUADS * 4u,
        );
        bring_inputs(at, lane);
        bring_gradients(at, lane);
        workgroupBarrier();
        for (var row = part; row < ROWS && at.first_row + row < HEIGHT; row += PARTS) {
            let start = i * X_PLANE + row * STRIDE * X_COLUMNS;
            var left = column(start);
            var middle = column(start + 1u);
            // Two windows at a time, which share what they have in common.
            for (var p = 0u; p < WIDTH; p += 2u) {
                let at_window = start + p * STRIDE;
                let at_dy = (row * WIDTH + p) * QUADS + quad;
                let right = column(at_window + 2u);
                add_window(&sums, left, middle, right, sh_dy[at_dy]);
                if WIDTH % 2u == 0u || p + 1u < WIDTH {
                    let g = sh_dy[at_dy + QUADS];
                    let further = column(at_window + 3u);
                    if STRIDE == 1u {
                        add_window(&sums, middle, right, further, g);
                        left = right;
                        middle = further;
                    } else {
                        let last = column(at_window + 4u);
                        add_window(&sums, right, further, last, g);
                        left = last;
                        middle = column(at_window + min(5u, X_COLUMNS - 1u - p * STRIDE));
                    }
                }
            }
        }
        // The next band overwrites what other lanes may still be reading.
        workgroupBarrier();
    }

    let slot = i + IN_TILE * quad;
    for (var other = 1u; other < PARTS; other += 1u) {
        sums[0] = gather(other, part, slot, sums[0]);
        sums[1] = gather(other, part, slot, sums[1]);
        sums[2] = gather(other, part, slot, sums[2]);
        sums[3] = gather(other, part, slot, sums[3]);
        sums[4] = gather(other, part, slot, sums[4]);
        sums[5] = gather(other, part, slot, sums[5]);
        sums[6] = gather(other, part, slot, sums[6]);
        sums[7] = gather(other, part, slot, sums[7]);
        sums[8] = gather(other, part, slot, sums[8]);
    }
    if part > 0u {
        return;
    }
    let first = (group.y * QUADS + quad) * 4u;
    let channel = group.x * IN_TILE + i;
    store(group.z, first, channel, 0u, sums[0]);
    store(group.z, first, channel, 1u, sums[1]);
    store(group.z, first, channel, 2u, sums[2]);
    store(group.z, first, channel, 3u, sums[3]);
    store(group.z, first, channel, 4u, sums[4]);
    store(group.z, first, channel, 5u, sums[5]);
    store(group.z, first, channel, 6u, sums[6]);
    store(group.z, first, channel, 7u, sums[7]);
    store(group.z, first, channel, 8u, sums[8]);
}
