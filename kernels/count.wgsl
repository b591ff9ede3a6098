// counts[k] += number of b with index[b] = k
//
// index [B] u32; counts [K] u32, updated in place. One invocation a count, 256 a workgroup: they bring the index to workgroup
// memory, 1024 entries at a time, four an invocation together, and each looks through all of it. Needs no atomics. Linear grid
// folded to two dimensions. Deterministic: every count is updated once.

struct Params {
    length: u32,
    counts: u32,
}

const WG_SIZE: u32 = 256u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> index: array<u32>;
@group(0) @binding(2)
var<storage, read_write> counts: array<u32>;

var<workgroup> sh_index: array<vec4<u32>, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let k = (group.y * groups.x + group.x) * WG_SIZE + lane;
    var found = vec4<u32>();
    for (var first = 0u; first < params.length; first += 4u * WG_SIZE) {
        // Past the end the last entry is loaded, in vain.
        let next = first + lane + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
        let near = min(next, vec4<u32>(params.length - 1u));
        let entries = vec4<u32>(index[near.x], index[near.y], index[near.z], index[near.w]);
        // No count has that number.
        sh_index[lane] = select(vec4<u32>(params.counts), entries, next < vec4<u32>(params.length));
        workgroupBarrier();
        let rows = min(params.length - first, WG_SIZE);
        for (var row = 0u; row < rows; row += 1u) {
            found += select(vec4<u32>(), vec4<u32>(1u), sh_index[row] == vec4<u32>(k));
        }
        // The next entries overwrite what other lanes may still be reading.
        workgroupBarrier();
    }
    if k < params.counts {
        counts[k] += found.x + found.y + found.z + found.w;
    }
}
