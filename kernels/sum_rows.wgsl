// y[s] = sum of the rows of x whose partner is s, in ascending order
//
// x [R,n], index [R] u32 (selected rows only), y [S,n]. With one shared row it is the sum of all rows: the second
// stage of conv2d_grad_weight.
// One invocation an element of y, 64 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation sums each element, in ascending order of the rows.

//#import rows

struct Params {
    n: u32,
    // Elements of a row.
    item: u32,
    rows: u32,
    shared_rows: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> index: array<u32>;
@group(0) @binding(3)
var<storage, read_write> y: array<f32>;

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
    let s = at / params.item;
    let i = at - s * params.item;
    // Selected rows may be anywhere; otherwise the rows of s are s, s + S, s + 2 S, ...
    let first = select(s, 0u, ROWS == SELECTED);
    let step = select(params.shared_rows, 1u, ROWS == SELECTED);
    var sum = 0.0;
    for (var r = first; r < params.rows; r += step) {
        if shared_row(r, params.shared_rows) == s {
            sum += x[r * params.item + i];
        }
    }
    y[at] = sum;
}
