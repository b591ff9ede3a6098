// dlog_pi[k] = - sum over b of gamma[b,k] dq[b]
//
// gamma [B,K], dq [B], dlog_pi [K].
// Workgroup: 64 invocations for one column. Grid: columns (linear, folded).
// Deterministic: strided partial sums and a tree of fixed shape.

//#import workgroup_sum

struct Params {
    rows: u32,
    columns: u32,
}

const WG_SIZE: u32 = 64u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> gamma: array<f32>;
@group(0) @binding(2)
var<storage, read> dq: array<f32>;
@group(0) @binding(3)
var<storage, read_write> dlog_pi: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let k = group.y * groups.x + group.x;
    if k >= params.columns {
        return;
    }
    var sum = 0.0;
    for (var b = lane; b < params.rows; b += WG_SIZE) {
        sum += gamma[b * params.columns + k] * dq[b];
    }
    let total = workgroup_sum(lane, sum);
    if lane == 0u {
        dlog_pi[k] = -total;
    }
}
