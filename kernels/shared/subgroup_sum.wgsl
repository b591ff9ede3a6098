// Sum over a workgroup by its subgroups, whatever their size, in the place of workgroup_sum.wgsl: one operation sums a subgroup,
// then every invocation adds the sums of the subgroups in ascending order. Two barriers instead of ten. Which invocations are
// a subgroup, and in which order it is summed, is up to the device, which does it the same way on every run.
//
// Naga does not know `enable subgroups;` yet, which browsers ask for.
//
// Depends on the importing file for
//   WG_SIZE: u32        the number of invocations of the workgroup, as many as there are subgroups at most.
// and on `main` to set the three variables. Must be called in uniform control flow. Every lane gets the sum.

var<private> subgroup: u32;
var<private> subgroups: u32;
// Whether it writes for its subgroup: no number of a lane is sure to be among those of a subgroup.
var<private> speaker: bool;

var<workgroup> sh_sum: array<f32, WG_SIZE>;

fn workgroup_sum(lane: u32, value: f32) -> f32 {
    let part = subgroupAdd(value);
    // The lanes may still be reading the result of an earlier call.
    workgroupBarrier();
    if speaker {
        sh_sum[subgroup] = part;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var s = 0u; s < subgroups; s += 1u) {
        sum += sh_sum[s];
    }
    return sum;
}
