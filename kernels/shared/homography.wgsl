// The image of a point under a homography.
//
// Depends on the importing file for
//   beta: array<f32>    offsets from the identity, rows of 3x3 matrices one after the other.

struct Projected {
    x: f32,
    y: f32,
    // 1 / w, or 1 on the horizon.
    scale: f32,
    // 1, or 0 on the horizon, where the scale is a constant.
    slope: f32,
}

// (x, y) / w with (x, y, w) = H (u, v, 1), H = identity + beta[h..h + 9]. Where w is no more than 1e-8 from zero it
// counts as 1, so that no coordinate is infinite.
fn homography(h: u32, u: f32, v: f32) -> Projected {
    let w = 1.0 + (beta[h + 6u] * u + beta[h + 7u] * v + beta[h + 8u]);
    var point: Projected;
    let horizon = abs(w) <= 1e-8;
    point.scale = 1.0 / select(w, 1.0, horizon);
    point.slope = select(1.0, 0.0, horizon);
    point.x = (u + (beta[h] * u + beta[h + 1u] * v + beta[h + 2u])) * point.scale;
    point.y = (v + (beta[h + 3u] * u + beta[h + 4u] * v + beta[h + 5u])) * point.scale;
    return point;
}
