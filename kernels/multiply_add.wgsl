// y = x after `rounds` times v = v / 2 + 1: arithmetic and next to no memory, which shows what a device can do at best
//
// x, y [n]. An invocation has 16 elements, 256 apart so that neighbours load neighbours, in four independent vectors
// whose operations hide each other's latency; 256 invocations a workgroup, linear grid folded to two dimensions.
// Deterministic: every element is computed in one piece and written once.

struct Params {
    n: u32,
    rounds: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read_write> y: array<f32>;

fn load(i: u32) -> f32 {
    if i >= params.n {
        return 0.0;
    }
    return x[i];
}

fn load4(i: u32) -> vec4<f32> {
    return vec4<f32>(load(i), load(i + 256u), load(i + 512u), load(i + 768u));
}

fn store4(i: u32, v: vec4<f32>) {
    for (var k = 0u; k < 4u; k++) {
        if i + 256u * k < params.n {
            y[i + 256u * k] = v[k];
        }
    }
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (group.y * groups.x + group.x) * 4096u + lane;
    if first >= params.n {
        return;
    }
    var a = load4(first);
    var b = load4(first + 1024u);
    var c = load4(first + 2048u);
    var d = load4(first + 3072u);
    let half = vec4<f32>(0.5);
    let one = vec4<f32>(1.0);
    for (var r = 0u; r < params.rounds; r++) {
        a = fma(a, half, one);
        b = fma(b, half, one);
        c = fma(c, half, one);
        d = fma(d, half, one);
    }
    store4(first, a);
    store4(first + 1024u, b);
    store4(first + 2048u, c);
    store4(first + 3072u, d);
}
