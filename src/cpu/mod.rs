//! The CPU engine: a twin of every kernel, threaded, with register-tiled products.
//!
//! Feature maps (what convolution, normalisation, shortcuts and pooling work on) are kept channels last,
//! `[B,H,W,C]`, everything else as the tape says; `lower` inserts the few conversions. Every kernel splits its work
//! in a way that does not depend on the number of threads, or computes each output in one piece, so results are the
//! same to the bit for any number of threads.

mod adam;
mod add;
mod advance;
mod affine_grid;
mod affine_grid_grad;
mod batch_norm;
mod batch_norm_grad_input;
mod batch_norm_grad_params;
mod batch_norm_stats;
mod bilinear;
mod channels;
mod color;
mod color_grad_beta;
mod color_grad_image;
mod control_grid;
mod control_grid_grad;
mod conv2d;
mod conv2d_grad_input;
mod conv2d_grad_weight;
mod conv2d_grad_weight_winograd;
mod conv2d_winograd;
mod copy;
mod count;
mod engine;
mod exp;
mod expected_cost;
mod expected_cost_grad_distance;
mod expected_cost_grad_mixing;
mod fill;
mod gather_images;
mod global_avg_pool;
mod global_avg_pool_grad;
mod grid_sample;
mod grid_sample_grad_grid;
mod grid_sample_grad_image;
mod layout;
mod linear;
mod linear_grad_input;
mod linear_grad_weight;
mod log_softmax;
mod log_softmax_grad;
mod logarithm;
mod lower;
mod memory;
mod min_row;
mod min_row_grad;
mod morpho;
mod morpho_exp;
mod morpho_grad_image;
mod morpho_grad_weights;
mod morpho_limit;
mod morpho_weights;
mod morpho_weights_grad;
mod multiply_add;
mod neg_log_normal;
mod neg_log_normal_grad_deviation;
mod neg_log_normal_grad_mean;
mod outer_products;
mod panel;
mod partial_sums;
mod pool;
mod pool_grad;
mod projective_grid;
mod projective_grid_grad;
mod record;
mod relu;
mod relu_grad;
mod responsibilities;
mod row_map;
mod rows;
mod running_stats;
mod scratch;
mod shortcut;
mod shortcut_grad;
mod simd;
mod squared_distance;
mod squared_distance_grad;
mod store_rows;
mod sum;
mod sum_grad;
mod sum_rows;
mod tile;
mod window;
mod winograd;
mod words;

pub use engine::{CpuEngine, Options};
pub use simd::Isa;

use crate::tape::Shape;

/// A lowered operation: what it does with its operands.
type Kernel = Box<dyn Fn(&mut Args) + Send + Sync>;

/// Most operands of a kernel.
const INPUTS: usize = 32;
const OUTPUTS: usize = 24;
/// Name of several operations on rows that run as one kernel.
const CHAIN: &str = "row_chain";

/// Operands of a kernel, as 32-bit words.
struct Args<'a> {
    inputs: [&'a [u32]; INPUTS],
    outputs: [&'a mut [u32]; OUTPUTS],
}

impl<'a> Args<'a> {
    /// Input `i` as numbers.
    fn f32(&self, i: usize) -> &'a [f32] {
        bytemuck::cast_slice(self.inputs[i])
    }

    /// Input `i` as integers.
    fn u32(&self, i: usize) -> &'a [u32] {
        self.inputs[i]
    }

    /// Takes output `i` as numbers; a second taking gives an empty slice.
    fn out(&mut self, i: usize) -> &'a mut [f32] {
        bytemuck::cast_slice_mut(std::mem::take(&mut self.outputs[i]))
    }

    /// Takes output `i` as integers.
    fn out_u32(&mut self, i: usize) -> &'a mut [u32] {
        std::mem::take(&mut self.outputs[i])
    }
}

/// Extents of a feature map `[B,C,H,W]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Map {
    b: usize,
    c: usize,
    h: usize,
    w: usize,
}

impl Map {
    fn of(shape: &Shape) -> Self {
        let [b, c, h, w] = shape.tail();
        Map { b, c, h, w }
    }

    /// Pixels of one image.
    fn pixels(&self) -> usize {
        self.h * self.w
    }

    /// Elements of one image.
    fn image(&self) -> usize {
        self.c * self.h * self.w
    }
}
