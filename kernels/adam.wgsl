// g = gradient + decay parameter; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
// parameter -= a m / (sqrt(v) c + eps), with (a, c) = schedule[clock[1], group], for groups that lie side by side
//
// gradient [n], schedule [T,G,2], clock [2] u32; parameter, m, v [n], updated in place. The bias corrections are in the
// schedule: a = lr / (1 - beta1^t), c = 1 / sqrt(1 - beta2^t). Groups follow each other in memory and in the schedule; one
// that is not decayed has decay 0.
// One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is updated once.

struct Params {
    n: u32,
    // Rows and columns of the schedule, and the column of the first group.
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
    // Bit k: group k is decayed. Group k begins at element begin_k; those that are not there begin at n.
    decayed: u32,
    begin1: u32,
    begin2: u32,
    begin3: u32,
    begin4: u32,
    begin5: u32,
    begin6: u32,
    begin7: u32,
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

fn group_of(i: u32) -> u32 {
    return u32(i >= params.begin1)
        + u32(i >= params.begin2)
        + u32(i >= params.begin3)
        + u32(i >= params.begin4)
        + u32(i >= params.begin5)
        + u32(i >= params.begin6)
        + u32(i >= params.begin7);
}

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
    let k = group_of(i);
    let row = (min(clock[1], params.steps - 1u) * params.columns + params.column + k) * 2u;
    let decay = select(0.0, params.weight_decay, (params.decayed >> k & 1u) == 1u);
    let p = parameter[i];
    let g = gradient[i] + decay * p;
    let first = params.beta1 * m[i] + params.rest1 * g;
    let second = params.beta2 * v[i] + params.rest2 * g * g;
    m[i] = first;
    v[i] = second;
    parameter[i] = p - schedule[row] * first / (sqrt(second) * schedule[row + 1u] + params.eps);
}
