// dx = dy - exp(y) sum over k of dy, row by row
//
// y, dy, dx [R,K]. One invocation a row, 64 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation sums each row in order.

struct Params {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> y: array<f32>;
@group(0) @binding(2)
var<storage, read> dy: array<f32>;
@group(0) @binding(3)
var<storage, read_write> dx: array<f32>;

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
    var sum = 0.0;
    for (var k = 0u; k < params.columns; k += 1u) {
        sum += dy[first + k];
    }
    for (var k = 0u; k < params.columns; k += 1u) {
        dx[first + k] = dy[first + k] - exp(y[first + k]) * sum;
    }
}
