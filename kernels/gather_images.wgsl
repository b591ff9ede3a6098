// x[b] = data[order[clock[0] + b]] / 255
//
// data [images, item] bytes, four to a word, the first in the lowest bits; order [length] u32; clock [2] u32;
// x [batch, item] f32, with item = C H W.
// One invocation an element of x, 256 a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is written once.

struct Params {
    n: u32,
    item: u32,
    images: u32,
    length: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> data: array<u32>;
@group(0) @binding(2)
var<storage, read> order: array<u32>;
@group(0) @binding(3)
var<storage, read> clock: array<u32>;
@group(0) @binding(4)
var<storage, read_write> x: array<f32>;

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
    let b = i / params.item;
    // A clock past the end repeats the last image instead of reading outside the buffer.
    let position = min(clock[0] + b, params.length - 1u);
    let image = min(order[position], params.images - 1u);
    let byte = image * params.item + (i - b * params.item);
    let value = (data[byte >> 2u] >> ((byte & 3u) * 8u)) & 255u;
    x[i] = f32(value) / 255.0;
}
