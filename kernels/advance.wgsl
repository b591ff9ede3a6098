// clock[0] += images, clock[1] += 1
//
// clock [2] u32, updated in place: position in the epoch and number of the step. One invocation.
// Deterministic: one write each.

struct Params {
    images: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read_write> clock: array<u32>;

@compute @workgroup_size(1)
fn main() {
    clock[0] += params.images;
    clock[1] += 1u;
}
