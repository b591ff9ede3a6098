// all[clock[0] + b] = x[b], as 32-bit words of any type
//
// x [B,w], clock [2] u32; all [N,w], updated in place. Rows past the end of `all` are dropped.
// One invocation a word of x, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every word is written once.

struct Params {
    n: u32,
    width: u32,
    // Words of `all`.
    length: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<u32>;
@group(0) @binding(2)
var<storage, read> clock: array<u32>;
@group(0) @binding(3)
var<storage, read_write> all_rows: array<u32>;

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
    let at = clock[0] * params.width + i;
    if at < params.length {
        all_rows[at] = x[i];
    }
}
