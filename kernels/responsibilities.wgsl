// gamma[b] = softmax over k of (log_pi - d[b])
//
// d [B,K], log_pi [K], gamma [B,K]. One invocation a row, 64 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation sums each row in order.

struct Params {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> d: array<f32>;
@group(0) @binding(2)
var<storage, read> log_pi: array<f32>;
@group(0) @binding(3)
var<storage, read_write> gamma: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = (group.y * groups.x + group.x) * 64u + lane;
    if row >= params.rows {
        return;
    }
    let first = row * params.columns;
    var largest = log_pi[0] - d[first];
    var best = 0u;
    for (var k = 1u; k < params.columns; k += 1u) {
        let score = log_pi[k] - d[first + k];
        if score > largest {
            largest = score;
            best = k;
        }
    }
    // Differences of distances first: the distances are large and would round away log_pi.
    let nearest = d[first + best];
    let most = log_pi[best];
    var sum = 0.0;
    for (var k = 0u; k < params.columns; k += 1u) {
        let part = exp((log_pi[k] - most) - (d[first + k] - nearest));
        gamma[first + k] = part;
        sum += part;
    }
    for (var k = 0u; k < params.columns; k += 1u) {
        gamma[first + k] /= sum;
    }
}
