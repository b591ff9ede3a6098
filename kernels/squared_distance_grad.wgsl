// dt[r] = 2/n weights (t[s] - x[b]) dd[b,j] for every row r = b J + j with partner s
//
// x [B,n], t [S,n], dd [B,J], weights [n] (if WEIGHTED), index [R] u32 (selected rows only), dt [R,n], R = B J.
// One invocation an element of dt, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once; `sum_rows` brings shared rows together.

//#import rows

struct Params {
    n: u32,
    // Rows of an image, J.
    per_image: u32,
    item: u32,
    shared_rows: u32,
}

override WEIGHTED: bool = false;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> t: array<f32>;
@group(0) @binding(3)
var<storage, read> dd: array<f32>;
@group(0) @binding(4)
var<storage, read> weights: array<f32>;
@group(0) @binding(5)
var<storage, read> index: array<u32>;
@group(0) @binding(6)
var<storage, read_write> dt: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * 256u + lane;
    if at >= params.n {
        return;
    }
    let r = at / params.item;
    let i = at - r * params.item;
    let e = t[shared_row(r, params.shared_rows) * params.item + i] - x[r / params.per_image * params.item + i];
    var scale = 2.0 / f32(params.item) * dd[r];
    if WEIGHTED {
        scale *= weights[i];
    }
    dt[at] = scale * e;
}
