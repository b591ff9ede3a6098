// history[clock[1]] = x
//
// x [1], clock [2] u32; history [T], updated in place. One invocation. Deterministic: one write.

struct Params {
    length: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> clock: array<u32>;
@group(0) @binding(3)
var<storage, read_write> history: array<f32>;

@compute @workgroup_size(1)
fn main() {
    let step = clock[1];
    if step < params.length {
        history[step] = x[0];
    }
}
