// y[s] = sum of the rows of x whose partner is s
//
// x [R,n], index [R] u32 (selected rows only), y [S,n]. With one shared row it is the sum of all rows: the second
// stage of conv2d_grad_weight.
// Workgroup: 256 invocations, 256 / SLICES neighbouring elements of y x SLICES slices, each of which takes every SLICES-th
// row. Linear grid folded to two dimensions.
// Deterministic: a slice sums its rows by their position modulo four in ascending order, then these four; the slices are added
// in ascending order.

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
        let stride = step * SLICES;
        var sums = vec4<f32>();
        for (var r = first + slice * step; r < params.rows; r += 4u * stride) {
            // Four rows are loaded together; past the end the last is, in vain.
            let next = r + stride * vec4<u32>(0u, 1u, 2u, 3u);
            let near = min(next, vec4<u32>(params.rows - 1u));
            var wanted = next < vec4<u32>(params.rows);
            if ROWS == SELECTED {
                let of_each = vec4<u32>(
                    shared_row(near.x, params.shared_rows),
                    shared_row(near.y, params.shared_rows),
                    shared_row(near.z, params.shared_rows),
                    shared_row(near.w, params.shared_rows),
                );
                wanted = wanted & (of_each == vec4<u32>(s));
            }
            if any(wanted) {
                let of_x = near * params.item + i;
                sums += select(vec4<f32>(), vec4<f32>(x[of_x.x], x[of_x.y], x[of_x.z], x[of_x.w]), wanted);
            }
        }
        sum = (sums.x + sums.y) + (sums.z + sums.w);
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
