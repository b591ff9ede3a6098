// dw[s] = sum of dy[r] x[r]^T and db[s] = sum of dy[r], over the rows r whose partner is s
//
// x [R,I], dy [R,O], index [R] u32 (selected rows only); dw [S,O,I], db [S,O].
// Workgroup: 256 elements of dw of one partner, an invocation each; the one at input 0 sums db too. Selected rows may be
// anywhere: 256 at a time are looked through and those of the partner listed. Four rows are loaded together. Grid: (partner,
// tile of its elements), tile fastest (linear, folded).
// Deterministic: one invocation sums each element, over rows in an order that their indices decide, by place modulo four, then
// these four.

//#import rows

struct Params {
    partners: u32,
    // Workgroups of a partner.
    tiles: u32,
    inputs: u32,
    outputs: u32,
    rows: u32,
}

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> dy: array<f32>;
@group(0) @binding(3)
var<storage, read> index: array<u32>;
@group(0) @binding(4)
var<storage, read_write> dw: array<f32>;
@group(0) @binding(5)
var<storage, read_write> db: array<f32>;

const NEXT: vec4<u32> = vec4<u32>(0u, 1u, 2u, 3u);

// Whether rows are the partner's; how many are among every SEGMENTS-th of them; these rows.
var<workgroup> sh_own: array<u32, 256>;
var<workgroup> sh_counts: array<u32, SEGMENTS>;
var<workgroup> sh_rows: array<u32, 256>;

const SEGMENTS: u32 = 16u;

// Lists which of 256 rows from `base` on are those of partner s, and gives their number. In uniform control flow.
fn list_rows(s: u32, base: u32, lane: u32) -> u32 {
    let r = base + lane;
    let is_own = r < params.rows && shared_row(min(r, params.rows - 1u), params.partners) == s;
    sh_own[lane] = u32(is_own);
    workgroupBarrier();
    if lane < SEGMENTS {
        var count = 0u;
        for (var k = lane; k < 256u; k += SEGMENTS) {
            count += sh_own[k];
        }
        sh_counts[lane] = count;
    }
    workgroupBarrier();
    var before = 0u;
    var all = 0u;
    for (var segment = 0u; segment < SEGMENTS; segment += 1u) {
        before += select(0u, sh_counts[segment], segment < lane);
        all += sh_counts[segment];
    }
    if lane < SEGMENTS {
        for (var k = lane; k < 256u; k += SEGMENTS) {
            if sh_own[k] == 1u {
                sh_rows[before] = base + k;
                before += 1u;
            }
        }
    }
    workgroupBarrier();
    return all;
}

// Four of the partner's rows from the k-th on; the last again past the end.
fn four_rows(s: u32, k: u32, count: u32) -> vec4<u32> {
    let at = min(k + NEXT, vec4<u32>(count - 1u));
    if ROWS == SELECTED {
        return vec4<u32>(sh_rows[at.x], sh_rows[at.y], sh_rows[at.z], sh_rows[at.w]);
    }
    return s + at * params.partners;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group.y * groups.x + group.x;
    if item >= params.partners * params.tiles {
        return;
    }
    let s = item / params.tiles;
    let own = (item - s * params.tiles) * 256u + lane;
    let at = min(own, params.outputs * params.inputs - 1u);
    let o = at / params.inputs;
    let i = at - o * params.inputs;

    var weights = vec4<f32>();
    var biases = vec4<f32>();
    // Rows that are not selected need no list: they are s, s + S, s + 2 S, ...
    let step = select(params.rows, 256u, ROWS == SELECTED);
    for (var base = 0u; base < params.rows; base += step) {
        var count = (params.rows - s + params.partners - 1u) / params.partners;
        if ROWS == SELECTED {
            count = list_rows(s, base, lane);
        }
        for (var k = 0u; k < count; k += 4u) {
            let r = four_rows(s, k, count);
            let of_dy = r * params.outputs + o;
            let of_x = r * params.inputs + i;
            let there = k + NEXT < vec4<u32>(count);
            let g = select(vec4<f32>(), vec4<f32>(dy[of_dy.x], dy[of_dy.y], dy[of_dy.z], dy[of_dy.w]), there);
            let values = vec4<f32>(x[of_x.x], x[of_x.y], x[of_x.z], x[of_x.w]);
            weights += select(vec4<f32>(), g * values, there);
            biases += g;
        }
        // The next list overwrites what other lanes may still be reading.
        workgroupBarrier();
    }
    if own >= params.outputs * params.inputs {
        return;
    }
    let first = s * params.outputs;
    dw[(first + o) * params.inputs + i] = (weights.x + weights.y) + (weights.z + weights.w);
    if i == 0u {
        db[first + o] = (biases.x + biases.y) + (biases.z + biases.w);
    }
}
