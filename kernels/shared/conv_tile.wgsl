// A tile of a 3x3 convolution of feature maps, through workgroup memory: 4 pixels x 8 (WIDE) or 4 channels an invocation
//
// sum[b,c,p] = sum over s, ky, kx of weight(s, c, 3 ky + kx) source[b, s, STRIDE p + (ky,kx) - PAD], zero outside
//
// Pixels are numbered in blocks of 4 neighbours of a row, rows and images in ascending order; a workgroup takes 32 of
// these blocks for LANES / 32 groups of channels. Rows count with the padding that they need: image b begins at padded row
// b IMAGE_ROWS, so the rows of a tile are consecutive whether or not it crosses from one image to the next. DEPTH source
// channels at a time are brought to workgroup memory, the padded rows as vec4s (an invocation's pixels and those beside
// them are then two loads, three with stride 2) and the weights as one vec4 for 4 channels, the same for a whole warp.
//
// Depends on the importing file for
//   Element: f32 or f16, what the rows are in workgroup memory. Each invocation loads its own pixels, and a warp moves half
//   as many bytes with f16. Weights stay f32: one load serves the whole warp, and not to convert them is cheaper.
//   shared/conv_stage.wgsl, and for what that depends on
//   fn results(i: vec4<u32>, c: u32, sums: vec4<f32>) -> Results   of the sums at elements i of the result
//   [B,CHANNELS,HEIGHT,WIDTH], of channel c
//   fn store(i: u32, value: f32)            stores element i of the result
//   CENTRED: bool   whether parts are the mean of the result and its squared deviations; the sums of result times xhat and of
//   the result otherwise
//   parts: array<f32>   [2,CHANNELS,tiles], what SUMS writes of the pixels of every tile, and how many they are, [tiles]

override LANES: u32 = 64u;
override WIDE: bool = true;
override DEPTH: u32 = 4u;
override STRIDE: u32 = 1u;
override PAD: u32 = 1u;
override SOURCES: u32 = 16u;
override SOURCE_HEIGHT: u32 = 28u;
override SOURCE_WIDTH: u32 = 28u;
override CHANNELS: u32 = 16u;
override HEIGHT: u32 = 28u;
override WIDTH: u32 = 28u;
// Blocks of a row; vec4s of a padded row; padded rows of an image.
override ROW_BLOCKS: u32 = 7u;
override ROW_VECS: u32 = 8u;
override IMAGE_ROWS: u32 = 30u;
// vec4s of one source channel's rows; of all rows and all weights in workgroup memory.
override PATCH: u32 = 80u;
override ROWS_LEN: u32 = 320u;
// Room for the sums over the blocks of a tile as well.
override WEIGHTS_LEN: u32 = 144u;

// Whether each tile's parts of the sums over a channel are written: mean and squared deviations, or sums.
override SUMS: bool = false;

const TILE: u32 = 32u;

var<workgroup> sh_rows: array<vec4<Element>, ROWS_LEN>;
var<workgroup> sh_weights: array<vec4<f32>, WEIGHTS_LEN>;

// Sums of channels `first` to `first` + 3, and `first` + 4 to `first` + 7, at the four pixels.
struct Tile {
    low: array<vec4<f32>, 4>,
    high: array<vec4<f32>, 4>,
}

// A number for each channel of an invocation.
struct Channels {
    low: vec4<f32>,
    high: vec4<f32>,
}

// Where a block begins.
struct Place {
    b: u32,
    y: u32,
    x: u32,
}

fn place(block: u32) -> Place {
    let line = block / ROW_BLOCKS;
    return Place(line / HEIGHT, line % HEIGHT, (block % ROW_BLOCKS) * 4u);
}

fn padded_row(at: Place) -> u32 {
    return at.b * IMAGE_ROWS + at.y * STRIDE;
}

// Computes and stores what is an invocation's. `tile` and `group` (of channels) are the workgroup's, `blocks` counts those of
// the batch. In uniform control flow.
fn convolve_tile(tile: u32, group: u32, lane: u32, blocks: u32) {
    if tile * TILE >= blocks {
        return;
    }
    let sums = tile_sums(tile, group, lane, blocks);
    let block = tile * TILE + lane % TILE;
    let channel = (group * (LANES / TILE) + lane / TILE) * select(4u, 8u, WIDE);
    // Lanes past the last block have no pixels.
    let at = place(min(block, blocks - 1u));
    let count = select(0u, min(WIDTH - at.x, 4u), block < blocks);
    let low = store_quad(at, count, channel, sums.low);
    var high = Stored();
    if WIDE {
        high = store_quad(at, count, channel + 4u, sums.high);
    }
    if SUMS {
        let first = over_blocks(lane, Channels(low.first, high.first));
        if CENTRED {
            let all = f32(pixels_before(min(tile * TILE + TILE, blocks)) - pixels_before(tile * TILE));
            let mean = Channels(first.low / all, first.high / all);
            let squares = Channels(deviations(sums.low, mean.low, count), deviations(sums.high, mean.high, count));
            write_parts(tile, lane, blocks, channel, mean, over_blocks(lane, squares));
            if group == 0u && lane == 0u {
                parts[2u * CHANNELS * ((blocks + TILE - 1u) / TILE) + tile] = all;
            }
        } else {
            write_parts(tile, lane, blocks, channel, first, over_blocks(lane, Channels(low.second, high.second)));
        }
    }
}

// What is stored of a channel at four pixels, and what parts need of it besides.
struct Results {
    values: vec4<f32>,
    xhat: vec4<f32>,
}

// Sums over pixels of what is stored, for 4 channels: of the values or, unless CENTRED, of these times xhat; of the values.
struct Stored {
    first: vec4<f32>,
    second: vec4<f32>,
}

// 4 channels at the first `count` pixels of a block. Everything is loaded before anything is stored.
fn store_quad(at: Place, count: u32, first: u32, sums: array<vec4<f32>, 4>) -> Stored {
    let x = min(vec4<u32>(at.x) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(WIDTH - 1u));
    let i = ((at.b * CHANNELS + first) * HEIGHT + at.y) * WIDTH + x;
    let r0 = of_channel(i, first, 0u, vec4<f32>(sums[0].x, sums[1].x, sums[2].x, sums[3].x));
    let r1 = of_channel(i, first, 1u, vec4<f32>(sums[0].y, sums[1].y, sums[2].y, sums[3].y));
    let r2 = of_channel(i, first, 2u, vec4<f32>(sums[0].z, sums[1].z, sums[2].z, sums[3].z));
    let r3 = of_channel(i, first, 3u, vec4<f32>(sums[0].w, sums[1].w, sums[2].w, sums[3].w));
    store_channel(i, count, first, 0u, r0.values);
    store_channel(i, count, first, 1u, r1.values);
    store_channel(i, count, first, 2u, r2.values);
    store_channel(i, count, first, 3u, r3.values);
    let plain = vec4<f32>(
        over_pixels(r0.values, count),
        over_pixels(r1.values, count),
        over_pixels(r2.values, count),
        over_pixels(r3.values, count),
    );
    if CENTRED {
        return Stored(plain, vec4<f32>());
    }
    let scaled = vec4<f32>(
        over_pixels(r0.values * r0.xhat, count),
        over_pixels(r1.values * r1.xhat, count),
        over_pixels(r2.values * r2.xhat, count),
        over_pixels(r3.values * r3.xhat, count),
    );
    return Stored(scaled, plain);
}

// Of channel `first` + c; of the last if there are fewer.
fn of_channel(i: vec4<u32>, first: u32, c: u32, sums: vec4<f32>) -> Results {
    let channel = min(first + c, CHANNELS - 1u);
    return results(i + (channel - first) * HEIGHT * WIDTH, channel, sums);
}

fn store_channel(i: vec4<u32>, count: u32, first: u32, c: u32, values: vec4<f32>) {
    if first + c >= CHANNELS {
        return;
    }
    let at = i + c * HEIGHT * WIDTH;
    if count > 0u { store(at.x, values.x); }
    if count > 1u { store(at.y, values.y); }
    if count > 2u { store(at.z, values.z); }
    if count > 3u { store(at.w, values.w); }
}

fn over_pixels(values: vec4<f32>, count: u32) -> f32 {
    let v = select(vec4<f32>(), values, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(count));
    return v.x + v.y + v.z + v.w;
}

// Squared deviations from the mean at the first pixels of a block.
fn deviations(values: array<vec4<f32>, 4>, mean: vec4<f32>, pixels: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var p = 0u; p < 4u; p += 1u) {
        if p < pixels {
            let d = values[p] - mean;
            sum += d * d;
        }
    }
    return sum;
}

// Pixels of a channel before a block.
fn pixels_before(block: u32) -> u32 {
    return block / ROW_BLOCKS * WIDTH + block % ROW_BLOCKS * 4u;
}

// Sums over the blocks of a tile, for every invocation those of its channels; by a tree of fixed shape, in the place of the
// weights. In uniform control flow.
fn over_blocks(lane: u32, own: Channels) -> Channels {
    let stride = select(1u, 2u, WIDE);
    sh_weights[lane * stride] = own.low;
    if WIDE {
        sh_weights[lane * stride + 1u] = own.high;
    }
    for (var half = TILE / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane % TILE < half {
            sh_weights[lane * stride] += sh_weights[(lane + half) * stride];
            if WIDE {
                sh_weights[lane * stride + 1u] += sh_weights[(lane + half) * stride + 1u];
            }
        }
    }
    workgroupBarrier();
    let at = lane / TILE * TILE * stride;
    let sums = Channels(sh_weights[at], sh_weights[at + stride - 1u]);
    // The next sums overwrite what other lanes may still be reading.
    workgroupBarrier();
    return sums;
}

fn write_parts(tile: u32, lane: u32, blocks: u32, channel: u32, first: Channels, second: Channels) {
    if lane % TILE != 0u {
        return;
    }
    write_quad(tile, blocks, channel, first.low, second.low);
    if WIDE {
        write_quad(tile, blocks, channel + 4u, first.high, second.high);
    }
}

fn write_quad(tile: u32, blocks: u32, channel: u32, first: vec4<f32>, second: vec4<f32>) {
    let tiles = (blocks + TILE - 1u) / TILE;
    for (var c = 0u; c < 4u; c += 1u) {
        if channel + c < CHANNELS {
            parts[(channel + c) * tiles + tile] = first[c];
            parts[(CHANNELS + channel + c) * tiles + tile] = second[c];
        }
    }
}

fn tile_sums(tile: u32, group: u32, lane: u32, blocks: u32) -> Tile {
    // Lanes past the last block compute it once more.
    let at = place(min(tile * TILE + lane % TILE, blocks - 1u));
    let first_row = padded_row(place(tile * TILE));
    let last = place(min(tile * TILE + TILE, blocks) - 1u);
    let rows = padded_row(last) + 3u - first_row;
    let own = (padded_row(at) - first_row) * ROW_VECS + at.x / 4u * STRIDE;

    let per_lane = select(1u, 2u, WIDE);
    let quads = LANES / TILE * per_lane;
    let first = group * quads * 4u;
    let quad = lane / TILE * per_lane;

    var low = array<vec4<f32>, 4>();
    var high = array<vec4<f32>, 4>();
    let share = share_of(Area(first_row, rows, last.b, tile, group, first, quads), lane);
    var stage: Stage;
    if PREFETCH {
        stage = fetched(share, 0u);
    }
    for (var begin = 0u; begin < SOURCES; begin += DEPTH) {
        let depth = min(DEPTH, SOURCES - begin);
        if !PREFETCH {
            stage = fetched(share, begin);
        }
        keep_stage(share, begin, stage);
        workgroupBarrier();
        // The next stage is on its way while this one is computed.
        if PREFETCH && begin + DEPTH < SOURCES {
            stage = fetched(share, begin + DEPTH);
        }
        for (var d = 0u; d < depth; d += 1u) {
            for (var ky = 0u; ky < 3u; ky += 1u) {
                let vec = d * PATCH + own + ky * ROW_VECS;
                let l = vec4<f32>(sh_rows[vec]);
                let m = vec4<f32>(sh_rows[vec + 1u]);
                // What tap kx meets at the four pixels.
                var v0 = l;
                var v1 = vec4<f32>(l.yzw, m.x);
                var v2 = vec4<f32>(l.zw, m.xy);
                if STRIDE == 2u {
                    let r = vec4<f32>(sh_rows[vec + 2u]);
                    v0 = vec4<f32>(l.xz, m.xz);
                    v1 = vec4<f32>(l.yw, m.yw);
                    v2 = vec4<f32>(l.z, m.xz, r.x);
                }
                let w = (d * 9u + ky * 3u) * quads + quad;
                accumulate(&low, sh_weights[w], v0);
                accumulate(&low, sh_weights[w + quads], v1);
                accumulate(&low, sh_weights[w + 2u * quads], v2);
                if WIDE {
                    accumulate(&high, sh_weights[w + 1u], v0);
                    accumulate(&high, sh_weights[w + quads + 1u], v1);
                    accumulate(&high, sh_weights[w + 2u * quads + 1u], v2);
                }
            }
        }
        // The next channels overwrite what other lanes may still be reading.
        workgroupBarrier();
    }
    return Tile(low, high);
}

// One tap of 4 channels at 4 pixels.
fn accumulate(sums: ptr<function, array<vec4<f32>, 4>>, w: vec4<f32>, pixels: vec4<f32>) {
    (*sums)[0] += w * pixels.x;
    (*sums)[1] += w * pixels.y;
    (*sums)[2] += w * pixels.z;
    (*sums)[3] += w * pixels.w;
}
