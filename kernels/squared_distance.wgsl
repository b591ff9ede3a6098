// d[b,j] = 1/n sum over elements of weights (x[b] - t[s])^2, with s the partner of row r = b J + j
//
// x [B,n], t [S,n], weights [n] (if WEIGHTED), index [R] u32 (selected rows only), d [B,J], R = B J.
// Workgroup: 64 invocations for one row. Grid: rows (linear, folded).
// Deterministic: strided partial sums and a tree of fixed shape.

//#import rows
//#import workgroup_sum

struct Params {
    rows: u32,
    // Rows of an image, J.
    per_image: u32,
    item: u32,
    shared_rows: u32,
}

override WEIGHTED: bool = false;

const WG_SIZE: u32 = 64u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> t: array<f32>;
@group(0) @binding(3)
var<storage, read> weights: array<f32>;
@group(0) @binding(4)
var<storage, read> index: array<u32>;
@group(0) @binding(5)
var<storage, read_write> d: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let r = group.y * groups.x + group.x;
    if r >= params.rows {
        return;
    }
    let image = r / params.per_image * params.item;
    let target_row = shared_row(r, params.shared_rows) * params.item;
    var sum = 0.0;
    for (var i = lane; i < params.item; i += 4u * WG_SIZE) {
        // Four are loaded together; past the end the last is, in vain.
        let next = i + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
        let near = min(next, vec4<u32>(params.item - 1u));
        let of_x = image + near;
        let of_t = target_row + near;
        let values = vec4<f32>(x[of_x.x], x[of_x.y], x[of_x.z], x[of_x.w]);
        let off = values - vec4<f32>(t[of_t.x], t[of_t.y], t[of_t.z], t[of_t.w]);
        let e = select(vec4<f32>(), off, next < vec4<u32>(params.item));
        if WEIGHTED {
            sum += dot(vec4<f32>(weights[near.x], weights[near.y], weights[near.z], weights[near.w]) * e, e);
        } else {
            sum += dot(e, e);
        }
    }
    let total = workgroup_sum(lane, sum);
    if lane == 0u {
        d[r] = total / f32(params.item);
    }
}
