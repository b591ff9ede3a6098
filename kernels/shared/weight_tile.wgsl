// A tile of the weight gradient of a 3x3 convolution that keeps a window in registers
//
// sum[o,i,ky,kx] = sum over b, p of dy[b,o,p] x[b, i, STRIDE p + (ky,kx) - PAD], zero outside
//
// An invocation holds the 9 taps of one input channel for 4 output channels (9 vec4 sums) and walks along rows of the image;
// each step brings 3 new pixels of x (6 with stride 2) and one vec4 of dy from workgroup memory for 36 multiply-adds. Bands of
// ROWS rows of an image are staged together, those of x with a border and an odd number of words between channels, so that
// lanes do not meet in a bank.
//
// Depends on the importing file for
//   Element: f32 or f16, what x is in workgroup memory; with f16 bands have room for more rows. dy stays f32: its place also
//   takes the sums of the parts.
//   fn input(i: u32, c: u32) -> f32      element i of x, of channel c
//   fn gradient(i: u32, c: u32) -> f32   element i of dy, of channel c
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

// Computes and stores what is an invocation's: bands from `begin` to before `end` of the batch. In uniform control flow.
fn weight_tile(group: vec3<u32>, lane: u32, begin: u32, end: u32) {
    let bands_per_image = (HEIGHT + ROWS - 1u) / ROWS;
    let i = lane % IN_TILE;
    let quad = lane / IN_TILE % QUADS;
    let part = lane / (IN_TILE * QUADS);

    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();
    var s8 = vec4<f32>();
    for (var band = begin; band < end; band += 1u) {
        let b = band / bands_per_image;
        let first_row = band % bands_per_image * ROWS;
        for (var e = lane; e < IN_TILE * X_ROWS * X_COLUMNS; e += LANES) {
            let channel = e / (X_ROWS * X_COLUMNS);
            let within = e % (X_ROWS * X_COLUMNS);
            let iy = i32(first_row * STRIDE + within / X_COLUMNS) - i32(PAD);
            let ix = i32(within % X_COLUMNS) - i32(PAD);
            let c = group.x * IN_TILE + channel;
            var value = 0.0;
            if c < IN_CHANNELS && iy >= 0 && iy < i32(IN_HEIGHT) && ix >= 0 && ix < i32(IN_WIDTH) {
                value = input(((b * IN_CHANNELS + c) * IN_HEIGHT + u32(iy)) * IN_WIDTH + u32(ix), c);
            }
            sh_x[channel * X_PLANE + within] = Element(value);
        }
        for (var e = lane; e < ROWS * WIDTH * QUADS; e += LANES) {
            let p = e % (ROWS * WIDTH);
            let q = e / (ROWS * WIDTH);
            let first = (group.y * QUADS + q) * 4u;
            var value = vec4<f32>();
            if first_row + p / WIDTH < HEIGHT {
                let start = ((b * OUT_CHANNELS + first) * HEIGHT + first_row) * WIDTH + p;
                for (var j = 0u; j < 4u; j += 1u) {
                    if first + j < OUT_CHANNELS {
                        value[j] = gradient(start + j * HEIGHT * WIDTH, first + j);
                    }
                }
            }
            sh_dy[p * QUADS + q] = value;
        }
        workgroupBarrier();
        for (var row = part; row < ROWS && first_row + row < HEIGHT; row += PARTS) {
            let start = i * X_PLANE + row * STRIDE * X_COLUMNS;
            var left = column(start);
            var middle = column(start + 1u);
            for (var p = 0u; p < WIDTH; p += 1u) {
                let right = column(start + p * STRIDE + 2u);
                let g = sh_dy[(row * WIDTH + p) * QUADS + quad];
                s0 += g * left.x;
                s1 += g * middle.x;
                s2 += g * right.x;
                s3 += g * left.y;
                s4 += g * middle.y;
                s5 += g * right.y;
                s6 += g * left.z;
                s7 += g * middle.z;
                s8 += g * right.z;
                if STRIDE == 1u {
                    left = middle;
                    middle = right;
                } else if p + 1u < WIDTH {
                    left = right;
                    middle = column(start + p * STRIDE + 3u);
                }
            }
        }
        // The next band overwrites what other lanes may still be reading.
        workgroupBarrier();
    }

    let slot = i + IN_TILE * quad;
    for (var other = 1u; other < PARTS; other += 1u) {
        s0 = gather(other, part, slot, s0);
        s1 = gather(other, part, slot, s1);
        s2 = gather(other, part, slot, s2);
        s3 = gather(other, part, slot, s3);
        s4 = gather(other, part, slot, s4);
        s5 = gather(other, part, slot, s5);
        s6 = gather(other, part, slot, s6);
        s7 = gather(other, part, slot, s7);
        s8 = gather(other, part, slot, s8);
    }
    if part > 0u {
        return;
    }
    let first = (group.y * QUADS + quad) * 4u;
    let channel = group.x * IN_TILE + i;
    store(group.z, first, channel, 0u, s0);
    store(group.z, first, channel, 1u, s1);
    store(group.z, first, channel, 2u, s2);
    store(group.z, first, channel, 3u, s3);
    store(group.z, first, channel, 4u, s4);
    store(group.z, first, channel, 5u, s5);
    store(group.z, first, channel, 6u, s6);
    store(group.z, first, channel, 7u, s7);
    store(group.z, first, channel, 8u, s8);
}
