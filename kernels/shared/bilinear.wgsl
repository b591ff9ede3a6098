// The two neighbours of a sampling position along one axis. A coordinate g in [-1, 1] is the position
// ((g + 1) size - 1) / 2 in pixels: -1 and 1 are the outer edges of the first and last pixel.

const BORDER: u32 = 0u;
const ZEROS: u32 = 1u;

// What is read outside the image: the nearest pixel, or zero.
override PADDING: u32 = 0u;

struct Axis {
    // Neighbours, always inside the image so that a load is safe.
    lower: u32,
    upper: u32,
    // 1 where the neighbour is really inside, 0 where it stands for a zero outside.
    has_lower: f32,
    has_upper: f32,
    // Weight of the upper neighbour.
    fraction: f32,
    // d position / d coordinate: size / 2, or 0 where the position was clamped to the border.
    slope: f32,
}

fn bilinear_axis(coordinate: f32, size: u32) -> Axis {
    let last = f32(size) - 1.0;
    var position = ((coordinate + 1.0) * f32(size) - 1.0) * 0.5;
    var axis: Axis;
    axis.slope = f32(size) * 0.5;
    if PADDING == BORDER {
        if position <= 0.0 || position >= last {
            axis.slope = 0.0;
        }
        position = clamp(position, 0.0, last);
    } else {
        // Two pixels outside is as good as any distance, and converts to an integer without overflow.
        position = clamp(position, -2.0, last + 2.0);
    }
    let base = floor(position);
    axis.fraction = position - base;
    let lower = i32(base);
    let upper = lower + 1;
    let end = i32(size);
    axis.has_lower = select(0.0, 1.0, lower >= 0 && lower < end);
    axis.has_upper = select(0.0, 1.0, upper >= 0 && upper < end);
    // Clamped as integers: an undefined coordinate (NaN) must not become an undefined address.
    axis.lower = u32(clamp(lower, 0, end - 1));
    axis.upper = u32(clamp(upper, 0, end - 1));
    return axis;
}
