//! x[b] = data[order[clock[0] + b]] / 255.

use super::Kernel;
use rayon::prelude::*;

/// `item` bytes an image.
pub fn kernel(item: usize) -> Kernel {
    Box::new(move |args| {
        let data: &[u8] = bytemuck::cast_slice(args.u32(0));
        let (order, first, x) = (args.u32(1), args.u32(2)[0] as usize, args.out(0));
        x.par_chunks_mut(item).enumerate().for_each(|(b, x)| {
            // An order beyond the data reads black, as on the GPU.
            let from = order.get(first + b).map_or(usize::MAX, |&i| i as usize);
            match from.checked_mul(item).and_then(|start| data.get(start..start + item)) {
                Some(image) => x.iter_mut().zip(image).for_each(|(x, &byte)| *x = f32::from(byte) / 255.0),
                None => x.fill(0.0),
            }
        });
    })
}
