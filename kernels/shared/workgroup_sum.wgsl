// Sum over a workgroup by a tree of fixed shape, hence the same bits on every run.
//
// Depends on the importing file for
//   WG_SIZE: u32        a power of two, the number of invocations of the workgroup.
// Must be called in uniform control flow. Every lane gets the sum.

var<workgroup> sh_sum: array<f32, WG_SIZE>;

fn workgroup_sum(lane: u32, value: f32) -> f32 {
    // The lanes may still be reading the result of an earlier call.
    workgroupBarrier();
    sh_sum[lane] = value;
    workgroupBarrier();
    for (var half = WG_SIZE / 2u; half > 0u; half /= 2u) {
        if lane < half {
            sh_sum[lane] += sh_sum[lane + half];
        }
        workgroupBarrier();
    }
    return sh_sum[0];
}
