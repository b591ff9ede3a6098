// m[b] = min over k of d[b,k], argmin[b] = the first k that attains it
//
// d [B,K]; m [B] f32, argmin [B] u32. One invocation a row, 64 a workgroup, linear grid folded to two dimensions.
// Deterministic: one invocation scans each row in order.

struct Params {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> d: array<f32>;
@group(0) @binding(2)
var<storage, read_write> m: array<f32>;
@group(0) @binding(3)
var<storage, read_write> argmin: array<u32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let b = (group.y * groups.x + group.x) * 64u + lane;
    if b >= params.rows {
        return;
    }
    var best = d[b * params.columns];
    var where_best = 0u;
    for (var first = 1u; first < params.columns; first += 4u) {
        // Four are loaded together; past the end the last is, in vain.
        let k = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.columns - 1u));
        let at = b * params.columns + k;
        let values = vec4<f32>(d[at.x], d[at.y], d[at.z], d[at.w]);
        for (var j = 0u; j < 4u; j += 1u) {
            if values[j] < best {
                best = values[j];
                where_best = k[j];
            }
        }
    }
    m[b] = best;
    argmin[b] = where_best;
}
