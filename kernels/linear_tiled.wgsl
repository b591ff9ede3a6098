// y[r] = w[s] x[r] + b[s], with s the row's partner; with RECTIFY then max(y, 0)
//
// x [R,I], w [S,O,I], b [S,O], index [R] u32 (selected rows only), y [R,O].
// The variant of linear that reads weights along their rows and shares them: a workgroup computes 64 outputs for up to 8 rows
// with the same partner (1 row that is selected or has its own), an invocation one output of these rows (2 vec4 sums). 32 inputs
// at a time go through workgroup memory, the weights transposed with an odd stride, x as vec4s over the rows.
// Workgroup: 64 outputs. Grid: x, y = (partner, 8 of its rows) or selected rows (linear, folded); z = ceil(O / 64).
// Deterministic: one invocation sums each element, in ascending order of the inputs.

//#import rows

struct Params {
    // Workgroups along the rows, and those of one partner.
    tiles: u32,
    partner_tiles: u32,
    inputs: u32,
    outputs: u32,
    rows: u32,
    shared_rows: u32,
}

override RECTIFY: bool = false;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> w: array<f32>;
@group(0) @binding(3)
var<storage, read> b: array<f32>;
@group(0) @binding(4)
var<storage, read> index: array<u32>;
@group(0) @binding(5)
var<storage, read_write> y: array<f32>;

const OUTPUTS: u32 = 64u;
const DEPTH: u32 = 32u;
const W_STRIDE: u32 = 65u;
const NEXT: vec4<u32> = vec4<u32>(0u, 1u, 2u, 3u);

var<workgroup> sh_w: array<f32, 2080>;
var<workgroup> sh_x: array<vec4<f32>, 64>;

// Weights of every other output from `first` on, of the input whose weights for output 0 are at `at`.
fn four_weights(at: u32, first: u32) -> vec4<f32> {
    let i = at + min(first + 2u * NEXT, vec4<u32>(params.outputs - 1u)) * params.inputs;
    return vec4<f32>(w[i.x], w[i.y], w[i.z], w[i.w]);
}

fn keep_weights(to: u32, weights: vec4<f32>) {
    sh_w[to] = weights.x;
    sh_w[to + 2u] = weights.y;
    sh_w[to + 4u] = weights.z;
    sh_w[to + 6u] = weights.w;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.y * groups.x + group.x;
    if tile >= params.tiles {
        return;
    }
    // The rows are first, first + step, ..., `count` of them.
    let step = params.shared_rows;
    var s = tile / params.partner_tiles;
    var first = s + tile % params.partner_tiles * 8u * step;
    var count = min(8u, (params.rows - first + step - 1u) / step);
    if ROWS == SELECTED {
        s = shared_row(tile, params.shared_rows);
        first = tile;
        count = 1u;
    }
    let first_output = group.z * OUTPUTS;
    let i = lane % DEPTH;
    let half = lane / DEPTH;

    var low = vec4<f32>();
    var high = vec4<f32>();
    for (var begin = 0u; begin < params.inputs; begin += DEPTH) {
        // What is not there is loaded from nearby: inputs are then zero, outputs and rows are not stored. Loads in a branch would
        // wait for each other.
        let input = min(begin + i, params.inputs - 1u);
        let r = (first + min(4u * half + NEXT, vec4<u32>(count - 1u)) * step) * params.inputs + input;
        let v = vec4<f32>(x[r.x], x[r.y], x[r.z], x[r.w]);
        let from_w = s * params.outputs * params.inputs + input;
        // Everything is loaded before anything is stored.
        let o = first_output + half;
        let w0 = four_weights(from_w, o);
        let w1 = four_weights(from_w, o + 8u);
        let w2 = four_weights(from_w, o + 16u);
        let w3 = four_weights(from_w, o + 24u);
        let w4 = four_weights(from_w, o + 32u);
        let w5 = four_weights(from_w, o + 40u);
        let w6 = four_weights(from_w, o + 48u);
        let w7 = four_weights(from_w, o + 56u);
        let to = i * W_STRIDE + half;
        keep_weights(to, w0);
        keep_weights(to + 8u, w1);
        keep_weights(to + 16u, w2);
        keep_weights(to + 24u, w3);
        keep_weights(to + 32u, w4);
        keep_weights(to + 40u, w5);
        keep_weights(to + 48u, w6);
        keep_weights(to + 56u, w7);
        sh_x[2u * i + half] = select(vec4<f32>(), v, begin + i < params.inputs);
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d += 1u) {
            let weight = sh_w[d * W_STRIDE + lane];
            low += weight * sh_x[2u * d];
            high += weight * sh_x[2u * d + 1u];
        }
        // The next inputs overwrite what other lanes may still be reading.
        workgroupBarrier();
    }

    let o = first_output + lane;
    if o >= params.outputs {
        return;
    }
    let bias = b[s * params.outputs + o];
    for (var j = 0u; j < 8u; j += 1u) {
        if j < count {
            let value = select(high[j % 4u], low[j % 4u], j < 4u) + bias;
            // What is not a number stays so, where the device has such numbers.
            y[(first + j * step) * params.outputs + o] = select(value, 0.0, RECTIFY && value < 0.0);
        }
    }
}
