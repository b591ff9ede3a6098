// e[r,c,p] = exp(alpha image[s,c,p]), alpha = p[r,0], the exponent limited to +-60, with s the row's partner
//
// image [S,C,H,W], p [R,1+K^2], index [R] u32 (selected rows only), e [R,C,H,W].
// One invocation an element, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

//#import rows

struct Params {
    n: u32,
    item: u32,
    width: u32,
    shared_rows: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> image: array<f32>;
@group(0) @binding(2)
var<storage, read> p: array<f32>;
@group(0) @binding(3)
var<storage, read> index: array<u32>;
@group(0) @binding(4)
var<storage, read_write> e: array<f32>;

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
    let x = image[shared_row(r, params.shared_rows) * params.item + (at - r * params.item)];
    e[at] = exp(clamp(p[r * params.width] * x, -60.0, 60.0));
}
