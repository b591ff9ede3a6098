// y = x - log sum over k of exp x, row by row
//
// x, y [R,K]. One invocation a row, 64 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation sums each row in order.

struct Params {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read_write> y: array<f32>;

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
    var largest = x[first];
    for (var k = 1u; k < params.columns; k += 1u) {
        largest = max(largest, x[first + k]);
    }
    var sum = 0.0;
    for (var k = 0u; k < params.columns; k += 1u) {
        sum += exp(x[first + k] - largest);
    }
    let shift = log(sum);
    for (var k = 0u; k < params.columns; k += 1u) {
        y[first + k] = x[first + k] - largest - shift;
    }
}
