// y = scale * (sum of x)
//
// x [n], y [1]. One workgroup of 256 invocations: what a step sums to one number is small (a loss an image).
// Deterministic: strided partial sums and a tree of fixed shape.

//#import workgroup_sum

struct Params {
    n: u32,
    scale: f32,
}

const WG_SIZE: u32 = 256u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < params.n; i += WG_SIZE) {
        sum += x[i];
    }
    let total = workgroup_sum(lane, sum);
    if lane == 0u {
        y[0] = params.scale * total;
    }
}
