// Feature maps in workgroup memory as matrices of f16: a row for each position, a column for each of UNIT channels
//
// Positions number the pixels of the batch together with the zeros that 3x3 windows of stride 1 meet beside them. Image b
// has MAP_ROWS = height + PAD rows of MAP_COLUMNS = width + PAD positions, of which the first PAD rows and columns are zeros;
// right of an image and below it a window meets those that the next row and the next image begin with. So what tap (ky,kx)
// meets is ky MAP_COLUMNS + kx positions further on wherever the window is, and the pixels under one tap of UNIT neighbouring
// windows are a matrix as they lie: nothing is stored twice, there is no im2col.
//
// Naga 30 declares Vulkan's memory model for kernels with such matrices and does not say, as that model would have it, that
// others see what an invocation writes here before a barrier. Drivers order workgroup memory at barriers all the same.
//
// Rows are PITCH vec4s apart, a few more than they are long, so that those of a matrix begin in different banks.
//
// Depends on the importing file for
//   fn elements(map: u32, i: vec4<u32>, c: vec4<u32>) -> vec4<f32>   elements i of feature map `map`
//   [B,channels,height,width], of channels c, within the range of f16
//   fn keep(e: u32, i: u32, value: f32)   is given each of these with its position from the first that is brought

override LANES: u32 = 128u;
override UNIT: u32 = 16u;
override PITCH: u32 = 6u;
override MAP_ROWS: u32 = 29u;
override MAP_COLUMNS: u32 = 29u;
override MAP_LEN: u32 = 1128u;

var<workgroup> sh_map: array<vec4<f16>, MAP_LEN>;

// Image, row and column of a position.
struct Place {
    b: u32,
    row: u32,
    column: u32,
}

fn place(position: u32) -> Place {
    let line = position / MAP_COLUMNS;
    return Place(line / MAP_ROWS, line % MAP_ROWS, position % MAP_COLUMNS);
}

// Steps from a position to what tap 3 ky + kx meets.
fn step_to(tap: u32) -> u32 {
    return tap / 3u * MAP_COLUMNS + tap % 3u;
}

// Which feature map, its extents, and the rows and columns of zeros that its images begin with.
struct Source {
    map: u32,
    channels: u32,
    height: u32,
    width: u32,
    pad: u32,
}

// Brings `count` positions from `first` on, of `positions` that there are, and UNIT channels from `channel` on to sh_map,
// from row `to` on.
fn bring(maps: Source, channel: u32, first: u32, count: u32, positions: u32, to: u32, lane: u32) {
    let plane = maps.height * maps.width;
    for (var e = lane; e < count; e += LANES) {
        let at = place(first + e);
        // Before the first row or column they wrap around and are too large.
        let y = at.row - maps.pad;
        let x = at.column - maps.pad;
        let inside = first + e < positions && y < maps.height && x < maps.width;
        // What is not there is loaded from a place that is, and then zero: loads in a branch would wait for each other.
        let start = select(0u, (at.b * maps.channels * maps.height + y) * maps.width + x, inside);
        for (var q = 0u; q < UNIT / 4u; q += 1u) {
            let wanted = channel + 4u * q + vec4<u32>(0u, 1u, 2u, 3u);
            let c = min(wanted, vec4<u32>(maps.channels - 1u));
            let i = start + c * plane;
            let there = (c == wanted) & vec4<bool>(inside);
            let v = select(vec4<f32>(), elements(maps.map, i, c), there);
            sh_map[(to + e) * PITCH + q] = vec4<f16>(v);
            if there.x { keep(e, i.x, v.x); }
            if there.y { keep(e, i.y, v.y); }
            if there.z { keep(e, i.z, v.z); }
            if there.w { keep(e, i.w, v.w); }
        }
    }
}
