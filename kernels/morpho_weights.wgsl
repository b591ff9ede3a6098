// p[r] = (alpha, sigmoid(b + c)): alpha = beta[r,0], b = beta[r,1..], c = 5 at the centre of the window and -5 elsewhere
//
// beta [R,1+K^2], p [R,1+K^2].
// One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

struct Params {
    n: u32,
    width: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> beta: array<f32>;
@group(0) @binding(2)
var<storage, read_write> p: array<f32>;

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
    let i = at % params.width;
    var value = beta[at];
    if i > 0u {
        // The window has an odd number of elements, so that its centre is in the middle of the row.
        let identity = select(-5.0, 5.0, i == params.width / 2u);
        value = 1.0 / (1.0 + exp(-(value + identity)));
    }
    p[at] = value;
}
