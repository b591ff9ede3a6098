//! x[b] = data[order[clock[0] + b]] / 255.

use super::Kernel;
use rayon::prelude::*;

/// `images` images of `item` bytes.
pub fn kernel(images: usize, item: usize) -> Kernel {
    Box::new(move |args| {
        let data: &[u8] = bytemuck::cast_slice(args.u32(0));
        let (order, first, x) = (args.u32(1), args.u32(2)[0] as usize, args.out(0));
        x.par_chunks_mut(item).enumerate().for_each(|(b, x)| {
            // A clock past the end repeats the last image instead of reading outside the data.
            let image = order[(first + b).min(order.len() - 1)] as usize;
            let image = image.min(images - 1);
            for (x, &byte) in x.iter_mut().zip(&data[image * item..][..item]) {
                *x = f32::from(byte) / 255.0;
            }
        });
    })
}
