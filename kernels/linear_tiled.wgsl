// y[r] = w[s] x[r] + b[s], with s the row's partner; with RECTIFY then max(y, 0)
//
// x [R,I], w [S,O,I], b [S,O], index [R] u32 (selected rows only), y [R,O].
// The variant of linear that reads weights along their rows and shares them: a workgroup computes 64 outputs for up to 8 rows
// with the same partner (1 selected row), an invocation one output of these rows (2 vec4 sums). 32 inputs at a time go through
// workgroup memory, the weights transposed with an odd stride, x as vec4s over the rows.
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

var<workgroup> sh_w: array<f32, 2080>;
var<workgroup> sh_x: array<vec4<f32>, 64>;

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
    // The rows are first, first + step, ..., 8 at most.
    var s = tile / params.partner_tiles;
    var first = s + tile % params.partner_tiles * 8u * params.shared_rows;
    var step = params.shared_rows;
    if ROWS == SELECTED {
        s = shared_row(tile, params.shared_rows);
        first = tile;
        // Past the last row.
        step = params.rows;
    }
    let first_output = group.z * OUTPUTS;
    let i = lane % DEPTH;
    let half = lane / DEPTH;

    var low = vec4<f32>();
    var high = vec4<f32>();
    for (var begin = 0u; begin < params.inputs; begin += DEPTH) {
        let valid = begin + i < params.inputs;
        for (var o = half; o < OUTPUTS; o += 2u) {
            var value = 0.0;
            if valid && first_output + o < params.outputs {
                value = w[(s * params.outputs + first_output + o) * params.inputs + begin + i];
            }
            sh_w[i * W_STRIDE + o] = value;
        }
        var v = vec4<f32>();
        for (var j = 0u; j < 4u; j += 1u) {
            let r = first + (4u * half + j) * step;
            if valid && r < params.rows {
                v[j] = x[r * params.inputs + begin + i];
            }
        }
        sh_x[2u * i + half] = v;
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
        let r = first + j * step;
        if r < params.rows {
            let value = select(high[j % 4u], low[j % 4u], j < 4u) + bias;
            // What is not a number stays so, where the device has such numbers.
            y[r * params.outputs + o] = select(value, 0.0, RECTIFY && value < 0.0);
        }
    }
}
