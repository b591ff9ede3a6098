// counts[k] += number of b with index[b] = k
//
// index [B] u32; counts [K] u32, updated in place. One invocation a count, 64 a workgroup: it scans the whole index,
// which is one batch long, and needs no atomics. Deterministic: every count is updated once.

struct Params {
    length: u32,
    counts: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> index: array<u32>;
@group(0) @binding(2)
var<storage, read_write> counts: array<u32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let k = (group.y * groups.x + group.x) * 64u + lane;
    if k >= params.counts {
        return;
    }
    var found = 0u;
    for (var b = 0u; b < params.length; b += 1u) {
        found += select(0u, 1u, index[b] == k);
    }
    counts[k] += found;
}
