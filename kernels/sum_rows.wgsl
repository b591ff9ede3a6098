// y[s] = sum of the rows of x whose partner is s
//
// x [R,n], index [R] u32 (selected rows only), y [S,n]. With one shared row it is the sum of all rows: the second
// stage of conv2d_grad_weight.
// Workgroup: 256 invocations, 256 / SLICES neighbouring elements of y x SLICES slices, each of which takes every SLICES-th
// row. Linear grid folded to two dimensions.
// Deterministic: a slice sums its rows in ascending order, then the slices are added in ascending order.

//#import rows

struct Params {
    n: u32,
    // Elements of a row.
    item: u32,
    rows: u32,
    shared_rows: u32,
}

override SLICES: u32 = 1u;

@group(0) @binding(0)
var<uniform> params: Params;
@group(0) @binding(1)
var<storage, read> x: array<f32>;
@group(0) @binding(2)
var<storage, read> index: array<u32>;
@group(0) @binding(3)
var<storage, read_write> y: array<f32>;

var<workgroup> sh_sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let elements = 256u / SLICES;
    let at = (group.y * groups.x + group.x) * elements + lane % elements;
    let slice = lane / elements;
    var sum = 0.0;
    if at < params.n {
        let s = at / params.item;
        let i = at - s * params.item;
        // Selected rows may be anywhere; otherwise the rows of s are s, s + S, s + 2 S, ...
        let first = select(s, 0u, ROWS == SELECTED);
        let step = select(params.shared_rows, 1u, ROWS == SELECTED);
        for (var r = first + slice * step; r < params.rows; r += step * SLICES) {
            if shared_row(r, params.shared_rows) == s {
                sum += x[r * params.item + i];
            }
        }
    }
    sh_sums[lane] = sum;
    workgroupBarrier();
    if slice > 0u || at >= params.n {
        return;
    }
    for (var other = 1u; other < SLICES; other += 1u) {
        sum += sh_sums[other * elements + lane];
    }
    y[at] = sum;
}
