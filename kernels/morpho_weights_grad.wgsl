// dbeta[r,0] = dp[r,0]; dbeta[r,i] = dp[r,i] a (1 - a), a = p[r,i]
//
// p, dp, dbeta [R,1+K^2].
// One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

struct Params {
    n: u32,
    width: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> p: array<f32>;
@group(0) @binding(2)
var<storage, read> dp: array<f32>;
@group(0) @binding(3)
var<storage, read_write> dbeta: array<f32>;

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
    dbeta[at] = dp[at] * select(p[at] * (1.0 - p[at]), 1.0, at % params.width == 0u);
}
