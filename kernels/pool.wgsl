// y[b,c,p] = the largest or smallest x[b, c, stride p + (ky,kx) - pad] over the window, positions outside the image left out
//
// x [B,C,H,W], y [B,C,H',W'].
// One invocation an element of y, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

const MAX: u32 = 0u;
const MIN: u32 = 1u;

override EXTREME: u32 = 0u;

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
var<storage, read_write> y: array<f32>;

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
    let j = (at % params.out_width) * params.stride;
    let line = at / params.out_width;
    let i = (line % params.out_height) * params.stride;
    let plane = (line / params.out_height) * params.height;
    var best = 0.0;
    var found = false;
    for (var ky = 0u; ky < params.window; ky += 1u) {
        // Above the image the difference wraps round to a large number.
        let row = i + ky - params.pad;
        for (var kx = 0u; kx < params.window; kx += 1u) {
            let column = j + kx - params.pad;
            if row < params.height && column < params.width {
                let value = x[(plane + row) * params.width + column];
                if !found || (EXTREME == MAX && value > best) || (EXTREME == MIN && value < best) {
                    best = value;
                    found = true;
                }
            }
        }
    }
    y[at] = best;
}
