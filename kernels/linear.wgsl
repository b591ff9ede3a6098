// y[r] = w[s] x[r] + b[s], with s the row's partner; with RECTIFY then max(y, 0)
//
// x [R,I], w [S,O,I], b [S,O], index [R] u32 (selected rows only), y [R,O].
// One invocation an element of y, 64 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation sums each element, in ascending order of the inputs.

//#import rows

struct Params {
    n: u32,
    inputs: u32,
    outputs: u32,
    shared_rows: u32,
}

override RECTIFY: bool = false;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> w: array<f32>;
@group(0) @binding(3)
var<storage, read> b: array<f32>;
@group(0) @binding(4)
var<storage, read> index: array<u32>;
@group(0) @binding(5)
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
    let r = at / params.outputs;
    let o = at - r * params.outputs;
    let unit = shared_row(r, params.shared_rows) * params.outputs + o;
    var sum = 0.0;
    for (var i = 0u; i < params.inputs; i += 1u) {
        sum += w[unit * params.inputs + i] * x[r * params.inputs + i];
    }
    let value = sum + b[unit];
    // What is not a number stays so, where the device has such numbers.
    y[at] = select(value, 0.0, RECTIFY && value < 0.0);
}
