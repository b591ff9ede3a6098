// How a tile of a convolution, see conv_tile.wgsl, brings its source and its weights to workgroup memory
//
// A stage is DEPTH source channels with the weights that go with them. A lane brings four of the channels at some places of the
// padded rows, by vec4s of four columns; with PREFETCH it loads what it brings of the next stage into registers before a stage
// is computed. What is not there is loaded from the nearest place that is, and then zero: loads in a branch would wait for
// each other.
//
// Depends on the importing file for shared/conv_tile.wgsl, shared/folded_norm.wgsl and
//   struct Loaded                           what four pixels of the source are computed from
//   fn loaded(i: vec4<u32>) -> Loaded       elements i of the source [B,SOURCES,SOURCE_HEIGHT,SOURCE_WIDTH]
//   fn computed(l: Loaded, c: mat4x4<f32>) -> vec4<f32>   these pixels, with their coefficients
//   fn coefficients_of(s: u32) -> vec4<f32> what a pixel of source channel s is computed with
//   fn packed(v: vec4<f32>) -> vec4<Element>   four pixels as they are kept
//   WRITES: bool                            whether the source is written as it is loaded; STRIDE = PAD = 1
//   fn keep(i: u32, value: f32)             writes pixel i of the source, called once for each
//   fn weight(s: u32, c: u32, tap: u32) -> f32

// Whether the next stage is loaded while one is computed. It takes registers, hence room for other workgroups, which hide what a
// stage waits for as well where there are enough of them.
override PREFETCH: bool = false;

// What a workgroup covers: padded rows of the source, the last image, its tile and its group of channels, the first of these
// and quads of them.
struct Area {
    first_row: u32,
    rows: u32,
    last_image: u32,
    tile: u32,
    group: u32,
    first: u32,
    quads: u32,
}

// Four neighbouring columns of a padded row: where they are in the first channel of the source, which are there, and which
// are this workgroup's to write.
struct Columns {
    i: vec4<u32>,
    there: vec4<bool>,
    own: vec4<bool>,
}

// What a lane brings of every stage: channels from `d` on at every `step`-th vec4 from `e` on, the first of which are
// `columns`, and every LANES-th vec4 of the weights.
struct Share {
    area: Area,
    lane: u32,
    d: u32,
    e: u32,
    step: u32,
    columns: Columns,
}

// What a lane has loaded of a stage: its channels at its first columns, and weights.
struct Stage {
    c0: Loaded,
    c1: Loaded,
    c2: Loaded,
    c3: Loaded,
    w0: vec4<f32>,
    w1: vec4<f32>,
    w2: vec4<f32>,
    w3: vec4<f32>,
}

fn share_of(area: Area, lane: u32) -> Share {
    // Lanes divide the quads of channels among them.
    let step = LANES / ((DEPTH + 3u) / 4u);
    let e = lane % step;
    return Share(area, lane, lane / step * 4u, e, step, columns(area, e));
}

// Those at vec4 e of the padded rows.
fn columns(area: Area, e: u32) -> Columns {
    let row = area.first_row + e / ROW_VECS;
    let vec = e % ROW_VECS;
    // The last block may be followed by rows of no image.
    let b = min(row / IMAGE_ROWS, area.last_image);
    let y = i32(row % IMAGE_ROWS) - i32(PAD);
    let near_y = clamp(y, 0, i32(SOURCE_HEIGHT) - 1);
    let x = vec4<i32>(i32(vec * 4u) - i32(PAD)) + vec4<i32>(0, 1, 2, 3);
    let near_x = clamp(x, vec4<i32>(0), vec4<i32>(i32(SOURCE_WIDTH) - 1));
    let start = (b * SOURCES * SOURCE_HEIGHT + u32(near_y)) * SOURCE_WIDTH;
    let is_row = y == near_y && row / IMAGE_ROWS <= area.last_image;
    let there = (x == near_x) & vec4<bool>(is_row);
    var own = vec4<bool>();
    if WRITES && area.group == 0u {
        // One column to the left of a block, and three of it.
        let block = (row / IMAGE_ROWS * HEIGHT + row % IMAGE_ROWS - PAD) * ROW_BLOCKS + vec;
        let blocks_of = vec4<u32>(block - 1u, block, block, block);
        own = there & (blocks_of / vec4<u32>(TILE) == vec4<u32>(area.tile));
    }
    return Columns(start + vec4<u32>(near_x), there, own);
}

// Source channel s; the last past the end, in vain.
fn at_channel(at: Columns, s: u32) -> vec4<u32> {
    return at.i + min(s, SOURCES - 1u) * SOURCE_HEIGHT * SOURCE_WIDTH;
}

// Loads what a lane brings first of the stage that begins with source channel `begin`.
fn fetched(share: Share, begin: u32) -> Stage {
    let s = begin + share.d;
    return Stage(
        loaded(at_channel(share.columns, s)),
        loaded(at_channel(share.columns, s + 1u)),
        loaded(at_channel(share.columns, s + 2u)),
        loaded(at_channel(share.columns, s + 3u)),
        four_weights(share, begin, 0u),
        four_weights(share, begin, 1u),
        four_weights(share, begin, 2u),
        four_weights(share, begin, 3u),
    );
}

// Keeps it, and brings the rest. The stage before is no longer wanted.
fn keep_stage(share: Share, begin: u32, stage: Stage) {
    let s = begin + share.d;
    let last = SOURCES - 1u;
    let c0 = alike(coefficients_of(min(s, last)));
    let c1 = alike(coefficients_of(min(s + 1u, last)));
    let c2 = alike(coefficients_of(min(s + 2u, last)));
    let c3 = alike(coefficients_of(min(s + 3u, last)));
    let elements = share.area.rows * ROW_VECS;
    if share.e < elements {
        keep_columns(share, share.columns, share.e, begin, 0u, computed(stage.c0, c0));
        keep_columns(share, share.columns, share.e, begin, 1u, computed(stage.c1, c1));
        keep_columns(share, share.columns, share.e, begin, 2u, computed(stage.c2, c2));
        keep_columns(share, share.columns, share.e, begin, 3u, computed(stage.c3, c3));
    }
    for (var e = share.e + share.step; e < elements; e += share.step) {
        let at = columns(share.area, e);
        let l0 = loaded(at_channel(at, s));
        let l1 = loaded(at_channel(at, s + 1u));
        let l2 = loaded(at_channel(at, s + 2u));
        let l3 = loaded(at_channel(at, s + 3u));
        keep_columns(share, at, e, begin, 0u, computed(l0, c0));
        keep_columns(share, at, e, begin, 1u, computed(l1, c1));
        keep_columns(share, at, e, begin, 2u, computed(l2, c2));
        keep_columns(share, at, e, begin, 3u, computed(l3, c3));
    }
    keep_weights(share, 0u, stage.w0);
    keep_weights(share, 1u, stage.w1);
    keep_weights(share, 2u, stage.w2);
    keep_weights(share, 3u, stage.w3);
    for (var n = 4u; share.lane + n * LANES < DEPTH * 9u * share.area.quads; n += 2u) {
        let w0 = four_weights(share, begin, n);
        let w1 = four_weights(share, begin, n + 1u);
        keep_weights(share, n, w0);
        keep_weights(share, n + 1u, w1);
    }
}

// The k-th of a lane's channels of the stage, at vec4 e of the padded rows.
fn keep_columns(share: Share, at: Columns, e: u32, begin: u32, k: u32, values: vec4<f32>) {
    let d = share.d + k;
    let s = begin + d;
    if d >= DEPTH || s >= SOURCES {
        return;
    }
    let v = select(vec4<f32>(), values, at.there);
    sh_rows[d * PATCH + e] = packed(v);
    if WRITES {
        let i = at_channel(at, s);
        if at.own.x { keep(i.x, v.x); }
        if at.own.y { keep(i.y, v.y); }
        if at.own.z { keep(i.z, v.z); }
        if at.own.w { keep(i.w, v.w); }
    }
}

// A lane's n-th weights of a stage, one tap of a source channel for four channels: taps, source channels, quads of channels
// follow each other. Those of channels that are not there meet what is not stored.
fn four_weights(share: Share, begin: u32, n: u32) -> vec4<f32> {
    let e = share.lane + n * LANES;
    let tap = e % 9u;
    let s = min(begin + e / 9u % DEPTH, SOURCES - 1u);
    let c = min(vec4<u32>(share.area.first + e / (9u * DEPTH) * 4u) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(CHANNELS - 1u));
    return vec4<f32>(weight(s, c.x, tap), weight(s, c.y, tap), weight(s, c.z, tap), weight(s, c.w, tap));
}

fn keep_weights(share: Share, n: u32, weights: vec4<f32>) {
    let e = share.lane + n * LANES;
    if e < DEPTH * 9u * share.area.quads {
        sh_weights[e % (9u * DEPTH) * share.area.quads + e / (9u * DEPTH)] = weights;
    }
}
