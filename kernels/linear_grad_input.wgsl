// dx[r] = w[s]^T dy[r], with s the row's partner; with MASKED zero where the mask is not positive
//
// dy [R,O], w [S,O,I], index [R] u32 (selected rows only), mask, dx [R,I].
// One invocation an element of dx, 64 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation sums each element, in ascending order of the outputs.

//#import rows

struct Params {
    n: u32,
    inputs: u32,
    outputs: u32,
    shared_rows: u32,
}

override MASKED: bool = false;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> dy: array<f32>;
@group(0) @binding(2)
var<storage, read> w: array<f32>;
@group(0) @binding(3)
var<storage, read> index: array<u32>;
@group(0) @binding(4)
var<storage, read> mask: array<f32>;
@group(0) @binding(5)
var<storage, read_write> dx: array<f32>;

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
    let r = at / params.inputs;
    let i = at - r * params.inputs;
    let first = shared_row(r, params.shared_rows) * params.outputs;
    var sum = 0.0;
    for (var o = 0u; o < params.outputs; o += 1u) {
        sum += w[(first + o) * params.inputs + i] * dy[r * params.outputs + o];
    }
    if MASKED {
        sum = select(0.0, sum, mask[at] > 0.0);
    }
    dx[at] = sum;
}
