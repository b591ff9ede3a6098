// dx[b,c,q] = sum of dy[b,c,p] over the windows p whose first position with x = y, line by line, is q
//
// x [B,C,H,W], y, dy [B,C,H',W'], dx [B,C,H,W].
// One invocation an element of dx, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation gathers each element, in ascending order of the windows. No atomics.

struct Params {
    n: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    window: u32,
    stride: u32,
    pad: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> y: array<f32>;
@group(0) @binding(3)
var<storage, read> dy: array<f32>;
@group(0) @binding(4)
var<storage, read_write> dx: array<f32>;

// First and last + 1 of the windows over position q, among `count`.
fn windows(q: u32, count: u32) -> vec2<u32> {
    let end = (q + params.pad) / params.stride + 1u;
    var first = 0u;
    if q + params.pad >= params.window {
        first = (q + params.pad - params.window) / params.stride + 1u;
    }
    return vec2<u32>(first, min(end, count));
}

// Whether no position of the window at (top, left) that comes before (i, j) holds the value too.
fn is_first(value: f32, plane: u32, top: u32, left: u32, i: u32, j: u32) -> bool {
    for (var ky = 0u; ky < params.window; ky += 1u) {
        // Above the image the difference wraps round to a large number.
        let row = top + ky - params.pad;
        for (var kx = 0u; kx < params.window; kx += 1u) {
            let column = left + kx - params.pad;
            if row == i && column == j {
                return true;
            }
            if row < params.height && column < params.width && x[(plane * params.height + row) * params.width + column] == value {
                return false;
            }
        }
    }
    return true;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * 256u + lane;
    if at >= params.n {
        return;
    }
    let j = at % params.width;
    let line = at / params.width;
    let i = line % params.height;
    let plane = line / params.height;
    let value = x[at];
    let rows = windows(i, params.out_height);
    let columns = windows(j, params.out_width);
    var sum = 0.0;
    for (var oy = rows.x; oy < rows.y; oy += 1u) {
        for (var ox = columns.x; ox < columns.y; ox += 1u) {
            let o = (plane * params.out_height + oy) * params.out_width + ox;
            if y[o] == value && is_first(value, plane, oy * params.stride, ox * params.stride, i, j) {
                sum += dy[o];
            }
        }
    }
    dx[at] = sum;
}
