// The image of a point under a homography.

struct Projected {
    x: f32,
    y: f32,
    // 1 / w, or 1 on the horizon.
    scale: f32,
    // 1, or 0 on the horizon, where the scale is a constant.
    slope: f32,
}

// (x, y) / w with (x, y, w) = H (u, v, 1), H = identity + offsets, row after row. Where w is no more than 1e-8 from zero it
// counts as 1, so that no coordinate is infinite.
fn homography(offsets: array<f32, 9>, u: f32, v: f32) -> Projected {
    let w = 1.0 + (offsets[6] * u + offsets[7] * v + offsets[8]);
    var point: Projected;
    let horizon = abs(w) <= 1e-8;
    point.scale = 1.0 / select(w, 1.0, horizon);
    point.slope = select(1.0, 0.0, horizon);
    point.x = (u + (offsets[0] * u + offsets[1] * v + offsets[2])) * point.scale;
    point.y = (v + (offsets[3] * u + offsets[4] * v + offsets[5])) * point.scale;
    return point;
}
