// dw[s] = sum of dy[r] x[r]^T and db[s] = sum of dy[r], over the rows r whose partner is s
//
// x [R,I], dy [R,O], index [R] u32 (selected rows only); dw [S,O,I], db [S,O].
// One invocation an element of dw, 64 a workgroup, linear grid folded to two dimensions; the one at input 0 sums db too.
// Deterministic: one invocation sums each element, in ascending order of the rows.

//#import rows

struct Params {
    n: u32,
    inputs: u32,
    outputs: u32,
    rows: u32,
    shared_rows: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> dy: array<f32>;
@group(0) @binding(3)
var<storage, read> index: array<u32>;
@group(0) @binding(4)
var<storage, read_write> dw: array<f32>;
@group(0) @binding(5)
var<storage, read_write> db: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * 64u + lane;
    if at >= params.n {
        return;
    }
    let unit = at / params.inputs;
    let i = at - unit * params.inputs;
    let s = unit / params.outputs;
    let o = unit - s * params.outputs;
    // Selected rows may be anywhere; otherwise the rows of s are s, s + S, s + 2 S, ...
    let first = select(s, 0u, ROWS == SELECTED);
    let step = select(params.shared_rows, 1u, ROWS == SELECTED);
    var weight = 0.0;
    var bias = 0.0;
    for (var r = first; r < params.rows; r += step) {
        if shared_row(r, params.shared_rows) == s {
            let g = dy[r * params.outputs + o];
            weight += g * x[r * params.inputs + i];
            bias += g;
        }
    }
    dw[at] = weight;
    if i == 0u {
        db[unit] = bias;
    }
}
