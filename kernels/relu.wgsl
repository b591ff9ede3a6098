// y = max(x, 0)
//
// x, y [n]. One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

struct Params {
    n: u32,
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
    let i = (group.y * groups.x + group.x) * 256u + lane;
    if i >= params.n {
        return;
    }
    // What is not a number stays so, where the device has such numbers.
    y[i] = select(x[i], 0.0, x[i] < 0.0);
}
