// dp[r,1+q] = sum over channels and pixels i of g(i) e(i+q) (x(i+q) - y(i)), g = dy inverse; dp[r,0] = sum over q of a_q
// times the same sum with x(i+q) as another factor, x counting as 0 where the exponent of e was limited
//
// image [S,C,H,W], p [R,1+K^2] = (alpha, a); e, y, inverse, dy [R,C,H,W], index [R] u32 (selected rows only);
// dp [R,1+K^2]. Outside the image x = 0 and e = 1.
// Workgroup: 256 invocations for one row: up to 256 places of the window x slices, which share the lines. Tiles of
// TILE_HEIGHT x TILE_WIDTH pixels are brought to workgroup memory, (g, y) of each and (e, x) with a border. Grid: rows (linear,
// folded).
// Deterministic: an invocation sums its lines in order, channel by channel; slices are added in order, and the sum over q by a
// tree of fixed shape.

//#import rows
//#import workgroup_sum

// Extent of the window, odd.
override KERNEL: u32 = 3u;
override HEIGHT: u32 = 28u;
override WIDTH: u32 = 28u;
override TILE_HEIGHT: u32 = 14u;
override TILE_WIDTH: u32 = 28u;
// Pixels of a tile, and of one with its border.
override TILE_LEN: u32 = 392u;
override BORDERED_LEN: u32 = 480u;

struct Params {
    rows: u32,
    channels: u32,
    shared_rows: u32,
}

const WG_SIZE: u32 = 256u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> image: array<f32>;
@group(0) @binding(2)
var<storage, read> p: array<f32>;
@group(0) @binding(3)
var<storage, read> e: array<f32>;
@group(0) @binding(4)
var<storage, read> y: array<f32>;
@group(0) @binding(5)
var<storage, read> inverse: array<f32>;
@group(0) @binding(6)
var<storage, read> dy: array<f32>;
@group(0) @binding(7)
var<storage, read> index: array<u32>;
@group(0) @binding(8)
var<storage, read_write> dp: array<f32>;

var<workgroup> sh_own: array<vec2<f32>, TILE_LEN>;
var<workgroup> sh_near: array<vec2<f32>, BORDERED_LEN>;

// Brings the tile at (top, left) of a channel to workgroup memory: element 0 of its images in `source`, of all else in `own`.
fn bring(source: u32, own: u32, top: u32, left: u32, lane: u32) {
    for (var k = lane; k < TILE_LEN; k += 2u * WG_SIZE) {
        let next = k + WG_SIZE;
        let first = tile_pixel(own, top, left, k);
        let second = tile_pixel(own, top, left, next);
        sh_own[k] = first;
        if next < TILE_LEN { sh_own[next] = second; }
    }
    for (var k = lane; k < BORDERED_LEN; k += 4u * WG_SIZE) {
        let next = k + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
        let first = bordered_pixel(source, own, top, left, k);
        let second = bordered_pixel(source, own, top, left, next.y);
        let third = bordered_pixel(source, own, top, left, next.z);
        let fourth = bordered_pixel(source, own, top, left, next.w);
        sh_near[k] = first;
        if next.y < BORDERED_LEN { sh_near[next.y] = second; }
        if next.z < BORDERED_LEN { sh_near[next.z] = third; }
        if next.w < BORDERED_LEN { sh_near[next.w] = fourth; }
    }
}

// (g, y) of a pixel of the tile; past its end or the image's a load is in vain.
fn tile_pixel(own: u32, top: u32, left: u32, k: u32) -> vec2<f32> {
    let row = top + k / TILE_WIDTH;
    let column = left + k % TILE_WIDTH;
    let at = own + min(row, HEIGHT - 1u) * WIDTH + min(column, WIDTH - 1u);
    return select(vec2<f32>(), vec2<f32>(dy[at] * inverse[at], y[at]), row < HEIGHT && column < WIDTH);
}

// (e, x) of a pixel of the tile with its border.
fn bordered_pixel(source: u32, own: u32, top: u32, left: u32, k: u32) -> vec2<f32> {
    // Above the image and left of it the differences wrap round to large numbers.
    let width = TILE_WIDTH + KERNEL - 1u;
    let row = top + k / width - KERNEL / 2u;
    let column = left + k % width - KERNEL / 2u;
    let at = min(row, HEIGHT - 1u) * WIDTH + min(column, WIDTH - 1u);
    let inside = row < HEIGHT && column < WIDTH;
    return select(vec2<f32>(1.0, 0.0), vec2<f32>(e[own + at], image[source + at]), inside);
}

@compute @workgroup_size(256)
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
    let source = shared_row(r, params.shared_rows) * params.channels;
    let first = r * (1u + KERNEL * KERNEL);
    let alpha = p[first];
    let places = min(KERNEL * KERNEL, WG_SIZE);
    let slices = WG_SIZE / places;
    let slice = lane / places;
    // This lane's part of dp[r,0].
    var dalpha = 0.0;
    for (var begin = 0u; begin < KERNEL * KERNEL; begin += places) {
        let q = begin + lane % places;
        let takes_part = slice < slices && q < KERNEL * KERNEL;
        let step_to = q / KERNEL * (TILE_WIDTH + KERNEL - 1u) + q % KERNEL;
        var sum = 0.0;
        var sum_x = 0.0;
        for (var c = 0u; c < params.channels; c += 1u) {
            for (var top = 0u; top < HEIGHT; top += TILE_HEIGHT) {
                for (var left = 0u; left < WIDTH; left += TILE_WIDTH) {
                    bring((source + c) * pixels, (r * params.channels + c) * pixels, top, left, lane);
                    workgroupBarrier();
                    if takes_part {
                        for (var i = slice; i < TILE_HEIGHT; i += slices) {
                            let line = i * (TILE_WIDTH + KERNEL - 1u) + step_to;
                            for (var j = 0u; j < TILE_WIDTH; j += 1u) {
                                let own = sh_own[i * TILE_WIDTH + j];
                                let near = sh_near[line + j];
                                let term = own.x * near.x * (near.y - own.y);
                                sum += term;
                                sum_x += select(0.0, term * near.y, abs(alpha * near.y) < 60.0);
                            }
                        }
                    }
                    // The next tile overwrites what other lanes may still be reading.
                    workgroupBarrier();
                }
            }
        }
        if takes_part {
            dalpha += p[first + 1u + q] * sum_x;
        }
        sh_sum[lane] = sum;
        workgroupBarrier();
        if slice == 0u && takes_part {
            for (var other = 1u; other < slices; other += 1u) {
                sum += sh_sum[other * places + lane];
            }
            dp[first + 1u + q] = sum;
        }
        // The next sums overwrite what other lanes may still be reading.
        workgroupBarrier();
    }
    let total = workgroup_sum(lane, dalpha);
    if lane == 0u {
        dp[first] = total;
    }
}
