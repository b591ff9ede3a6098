// g = gradient + decay parameter; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
// parameter -= a m / (sqrt(v) c + eps), with (a, c) = schedule[clock[1], group]
//
// gradient [n], schedule [T,G,2], clock [2] u32; parameter, m, v [n], updated in place. The bias corrections are in the
// schedule: a = lr / (1 - beta1^t), c = 1 / sqrt(1 - beta2^t).
// One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is updated once.

struct Params {
    n: u32,
    // Rows and columns of the schedule, and the column of these parameters.
    steps: u32,
    columns: u32,
    column: u32,
    beta1: f32,
    beta2: f32,
    // 1 - beta1 and 1 - beta2, subtracted in double precision: in single, 1 - 0.999 is 1e-5 off.
    rest1: f32,
    rest2: f32,
    eps: f32,
    weight_decay: f32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> gradient: array<f32>;
@group(0) @binding(2)
var<storage, read> schedule: array<f32>;
@group(0) @binding(3)
var<storage, read> clock: array<u32>;
@group(0) @binding(4)
var<storage, read_write> parameter: array<f32>;
@group(0) @binding(5)
var<storage, read_write> m: array<f32>;
@group(0) @binding(6)
var<storage, read_write> v: array<f32>;

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
    // A clock past the end keeps the last row instead of reading outside the buffer.
    let row = (min(clock[1], params.steps - 1u) * params.columns + params.column) * 2u;
    let p = parameter[i];
    let g = gradient[i] + params.weight_decay * p;
    let first = params.beta1 * m[i] + params.rest1 * g;
    let second = params.beta2 * v[i] + params.rest2 * g * g;
    m[i] = first;
    v[i] = second;
    parameter[i] = p - schedule[row] * first / (sqrt(second) * schedule[row + 1u] + params.eps);
}
