// A tile of a 3x3 convolution of feature maps with stride 1, by matrix units: 8 UNIT positions x 2 (WIDE) or 1 UNIT channels
//
// sum[b,c,p] = sum over s, ky, kx of weight(s, c, 3 ky + kx) source[b, s, p + (ky,kx) - PAD], zero outside
//
// Positions are those of shared/matrix_map.wgsl; some belong to no output and are computed in vain, one in 15 with maps of
// 28x28. Four subgroups compute 2 UNIT positions each, all channels: for UNIT source channels at a time, which are brought
// to workgroup memory as f16 with the weights that go with them, 9 taps of products [channels, sources] [sources, positions]
// whose sums stay f32 in registers. A device may form more subgroups than four, if
// their size may vary; those repeat what others do and store the same sums to the same places.
//
// Depends on the importing file for shared/matrix_map.wgsl, shared/matrix_unit_*.wgsl and
//   fn weight(s: u32, c: u32, tap: u32) -> f32
//   fn results(i: vec4<u32>, c: vec4<u32>, sums: vec4<f32>) -> vec4<f32>   of the sums at elements i of the result
//   [B,CHANNELS,HEIGHT,WIDTH], of channels c
//   fn store(i: u32, value: f32)                   stores element i of the result
//   fn xhat(i: vec4<u32>, c: u32) -> vec4<f32>     at elements i, of channel c
//   CENTRED: bool   whether parts are the mean of the result and its squared deviations; otherwise the sums of result times
//   xhat and result
//   parts: array<f32>   [2,CHANNELS,tiles], what SUMS writes of the pixels of every tile, and how many they are, [tiles]

override WIDE: bool = true;
override PAD: u32 = 1u;
override SOURCES: u32 = 16u;
override SOURCE_HEIGHT: u32 = 28u;
override SOURCE_WIDTH: u32 = 28u;
override CHANNELS: u32 = 16u;
override HEIGHT: u32 = 28u;
override WIDTH: u32 = 28u;
// vec4s of the weights of 9 taps, with rows as far apart as those of the map.
override WEIGHTS_LEN: u32 = 1728u;
// Sums of UNIT channels: a channel's are SUMS_PITCH apart, a few more than there are positions.
override SUMS_PITCH: u32 = 136u;
override SUMS_LEN: u32 = 2176u;

// Whether each tile's parts of the sums over a channel are written.
override SUMS: bool = false;

const SUBGROUPS: u32 = 4u;
// Invocations that share the sum over a channel at most: what the columns of sums are longer.
const SLICES: u32 = 8u;

var<workgroup> sh_weights: array<vec4<f16>, WEIGHTS_LEN>;
var<workgroup> sh_sums: array<f32, SUMS_LEN>;

// Computes and stores a workgroup's tile. `group` is that of channels. In uniform control flow.
fn convolve_tile(tile: u32, group: u32, lane: u32, subgroup: u32, positions: u32) {
    let tile_len = 2u * SUBGROUPS * UNIT;
    // A tile past the last is computed, of zeros, and not stored: Naga wants matrices in uniform control flow, and does not
    // see that all would return.
    let first = tile * tile_len;
    let channels = UNIT * select(1u, 2u, WIDE);
    let first_channel = group * channels;
    let maps = Source(0u, SOURCES, SOURCE_HEIGHT, SOURCE_WIDTH, PAD);
    let own = subgroup % SUBGROUPS * 2u * UNIT;

    // Channels x positions, both in halves.
    var s00: Sums;
    var s01: Sums;
    var s10: Sums;
    var s11: Sums;
    for (var begin = 0u; begin < SOURCES; begin += UNIT) {
        bring(maps, begin, first, tile_len + step_to(8u), positions, 0u, lane);
        for (var e = lane; e < channels * UNIT / 4u * 9u; e += LANES) {
            let tap = e % 9u;
            let q = e / 9u % (UNIT / 4u);
            let c = e / (9u * (UNIT / 4u));
            // Those of sources that are not there meet zeros, and those of channels what is not stored.
            let s = min(begin + 4u * q + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(SOURCES - 1u));
            let to = min(first_channel + c, CHANNELS - 1u);
            let v = vec4<f32>(weight(s.x, to, tap), weight(s.y, to, tap), weight(s.z, to, tap), weight(s.w, to, tap));
            sh_weights[(tap * channels + c) * PITCH + q] = vec4<f16>(v);
        }
        workgroupBarrier();
        for (var tap = 0u; tap < 9u; tap += 1u) {
            let at = own + step_to(tap);
            let pixels0 = coopLoad<Right>(&sh_map[at * PITCH], PITCH);
            let pixels1 = coopLoad<Right>(&sh_map[(at + UNIT) * PITCH], PITCH);
            let weights0 = coopLoadT<Left>(&sh_weights[tap * channels * PITCH], PITCH);
            s00 = coopMultiplyAdd(weights0, pixels0, s00);
            s01 = coopMultiplyAdd(weights0, pixels1, s01);
            if WIDE {
                let weights1 = coopLoadT<Left>(&sh_weights[(tap * channels + UNIT) * PITCH], PITCH);
                s10 = coopMultiplyAdd(weights1, pixels0, s10);
                s11 = coopMultiplyAdd(weights1, pixels1, s11);
            }
        }
        // The next channels overwrite what other subgroups may still be reading.
        workgroupBarrier();
    }

    coopStoreT(s00, &sh_sums[own], SUMS_PITCH);
    coopStoreT(s01, &sh_sums[own + UNIT], SUMS_PITCH);
    workgroupBarrier();
    store_channels(first_channel, first, positions, lane);
    if SUMS {
        workgroupBarrier();
        sum_channels(first_channel, tile, positions, lane);
    }
    if WIDE {
        workgroupBarrier();
        coopStoreT(s10, &sh_sums[own], SUMS_PITCH);
        coopStoreT(s11, &sh_sums[own + UNIT], SUMS_PITCH);
        workgroupBarrier();
        store_channels(first_channel + UNIT, first, positions, lane);
        if SUMS {
            workgroupBarrier();
            sum_channels(first_channel + UNIT, tile, positions, lane);
        }
    }
}

// UNIT channels from `channel` on at all positions of the tile that are outputs.
fn store_channels(channel: u32, first: u32, positions: u32, lane: u32) {
    for (var e = lane; e < 2u * SUBGROUPS * UNIT; e += LANES) {
        let at = place(first + e);
        if is_output(at, first + e, positions) {
            let start = (at.b * CHANNELS * HEIGHT + at.row) * WIDTH + at.column;
            for (var c = 0u; c < UNIT && channel + c < CHANNELS; c += 4u) {
                store_quad(channel + c, start, c * SUMS_PITCH + e);
            }
        }
    }
}

// Four channels from `channel` on at one position, element `start` of channel 0, with the sums from `at` on.
fn store_quad(channel: u32, start: u32, at: u32) {
    let wanted = channel + vec4<u32>(0u, 1u, 2u, 3u);
    let c = min(wanted, vec4<u32>(CHANNELS - 1u));
    let i = start + c * HEIGHT * WIDTH;
    let sums = vec4<f32>(sh_sums[at], sh_sums[at + SUMS_PITCH], sh_sums[at + 2u * SUMS_PITCH], sh_sums[at + 3u * SUMS_PITCH]);
    let values = results(i, c, sums);
    for (var j = 0u; j < 4u; j += 1u) {
        if wanted[j] < CHANNELS {
            store(i[j], values[j]);
            sh_sums[at + j * SUMS_PITCH] = values[j];
        }
    }
}

// Whether a place is that of an output.
fn is_output(at: Place, position: u32, positions: u32) -> bool {
    return position < positions && at.row < HEIGHT && at.column < WIDTH;
}

// Parts of the sums over UNIT channels from `channel` on, of what `store` gave. In uniform control flow.
fn sum_channels(channel: u32, tile: u32, positions: u32, lane: u32) {
    let tile_len = 2u * SUBGROUPS * UNIT;
    let slices = min(LANES / UNIT, SLICES);
    let c = lane / slices;
    let slice = lane % slices;
    let takes_part = c < UNIT && channel + c < CHANNELS;
    var first = 0.0;
    var second = 0.0;
    var count = 0.0;
    if takes_part {
        for (var e = slice; e < tile_len; e += 4u * slices) {
            let own = e + slices * vec4<u32>(0u, 1u, 2u, 3u);
            var i: vec4<u32>;
            var there: vec4<bool>;
            var v: vec4<f32>;
            for (var j = 0u; j < 4u; j += 1u) {
                let at = place(tile * tile_len + own[j]);
                there[j] = own[j] < tile_len && is_output(at, tile * tile_len + own[j], positions);
                i[j] = ((at.b * CHANNELS + channel + c) * HEIGHT + at.row) * WIDTH + at.column;
                v[j] = sh_sums[c * SUMS_PITCH + min(own[j], tile_len - 1u)];
            }
            v = select(vec4<f32>(), v, there);
            let plain = v.x + v.y + v.z + v.w;
            if CENTRED {
                first += plain;
                count += dot(select(vec4<f32>(), vec4<f32>(1.0), there), vec4<f32>(1.0));
            } else {
                let terms = v * xhat(select(vec4<u32>(), i, there), channel + c);
                first += dot(select(vec4<f32>(), terms, there), vec4<f32>(1.0));
                second += plain;
            }
        }
    }
    first = over_slices(c, slice, slices, first);
    if CENTRED {
        count = over_slices(c, slice, slices, count);
        // A tile may have no output.
        first /= max(count, 1.0);
        if takes_part {
            for (var e = slice; e < tile_len; e += slices) {
                let at = place(tile * tile_len + e);
                if is_output(at, tile * tile_len + e, positions) {
                    let d = sh_sums[c * SUMS_PITCH + e] - first;
                    second += d * d;
                }
            }
        }
    }
    second = over_slices(c, slice, slices, second);
    let tiles = (positions + tile_len - 1u) / tile_len;
    if takes_part && slice == 0u && tile < tiles {
        parts[(channel + c) * tiles + tile] = first;
        parts[(CHANNELS + channel + c) * tiles + tile] = second;
        if CENTRED && channel + c == 0u {
            parts[2u * CHANNELS * tiles + tile] = count;
        }
    }
}

// The sum over the slices of a channel, for each of them; beyond its positions. In uniform control flow.
fn over_slices(c: u32, slice: u32, slices: u32, own: f32) -> f32 {
    let column = c * SUMS_PITCH + 2u * SUBGROUPS * UNIT;
    if c < UNIT {
        sh_sums[column + slice] = own;
    }
    workgroupBarrier();
    var sum = 0.0;
    if c < UNIT {
        for (var s = 0u; s < slices; s += 1u) {
            sum += sh_sums[column + s];
        }
    }
    // The next sums overwrite what other lanes may still be reading.
    workgroupBarrier();
    return sum;
}
