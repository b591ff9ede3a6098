// The values of a channel of feature maps [B,CHANNELS,H,W] that a lane sums: eight in one go, WG_SIZE apart, all asked for before
// the first is needed, since a device reaches the speed of its memory by the bytes that are under way
//
// Depends on the importing file for
//   WG_SIZE: u32        the number of invocations of the workgroup

// Constants, because dividing by them is then no division.
override CHANNELS: u32 = 16u;
// H W.
override PIXELS: u32 = 784u;

const STRIDE: u32 = 8u * WG_SIZE;

// Four positions along a channel, its images one after the other, from `i` on.
fn positions(i: u32) -> vec4<u32> {
    return vec4<u32>(i) + WG_SIZE * vec4<u32>(0u, 1u, 2u, 3u);
}

// Where they are in the maps; those past `end`, where the last before it is.
fn elements(channel: u32, i: vec4<u32>, end: u32) -> vec4<u32> {
    let at = min(i, vec4<u32>(end - 1u));
    return at + (at / PIXELS * (CHANNELS - 1u) + channel) * PIXELS;
}

// Zero from `end` on.
fn before(i: vec4<u32>, end: u32, values: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(), values, i < vec4<u32>(end));
}

fn total(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}
