//! The operations: the common language of the two engines.

/// How rows of a batch find their row in a shared operand (prototypes, head weights).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// Row r uses row r.
    Own,
    /// Row r uses row r mod S, where S is the number of rows of the shared operand: rows are laid out
    /// image by image, prototypes fastest.
    Each,
    /// Row r uses row `index[r]`; the index is the last input of the operation.
    Selected,
}

/// What bilinear sampling reads outside the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// The nearest pixel; the gradient of a clamped coordinate is zero.
    Border,
    /// Zero.
    Zeros,
}

/// Stride and padding of a convolution, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvSpec {
    /// Step between windows in pixels.
    pub stride: usize,
    /// Zero pixels added on every side.
    pub pad: usize,
}

impl ConvSpec {
    /// Extent of the output for an input of `size` pixels and a window of `kernel` pixels.
    pub fn out(&self, size: usize, kernel: usize) -> usize {
        assert!(
            size + 2 * self.pad >= kernel,
            "a window of {kernel} does not fit {size} pixels padded by {}",
            self.pad
        );
        (size + 2 * self.pad - kernel) / self.stride + 1
    }
}

/// Which value of a window pooling keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extreme {
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// One operation. Comments give inputs and outputs: lower-case names are tensors, `->` separates inputs
/// from outputs, `=>` marks outputs that are persistent and updated in place. Leading extents written R
/// or S may be several dimensions; only their product counts. "index" is present with [`Rows::Selected`] only.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// data u8 `[N,C,H,W]`, order u32 `[N]`, clock u32 `[2]` -> x `[B,C,H,W]` = data[`order[clock[0] + b]`] / 255.
    GatherImages,
    /// -> y, every element equal to `value`.
    Fill {
        /// The value.
        value: f32,
    },
    /// x -> y, a copy.
    Copy,
    /// x -> y, x after `rounds` times v = v / 2 + 1: arithmetic without memory, which a device's peak is measured with.
    MultiplyAdd {
        /// Multiply-adds of an element.
        rounds: u32,
    },
    /// a, b -> a + b.
    Add,
    /// x -> max(x, 0).
    Relu,
    /// y (output of `Relu`), dy -> dx = dy where y > 0, else 0.
    ReluGrad,
    /// x `[B,Ci,H,W]`, w `[Co,Ci,kh,kw]` -> y `[B,Co,H',W']`, correlation as in deep learning.
    Conv2d(ConvSpec),
    /// dy `[B,Co,H',W']`, w `[Co,Ci,kh,kw]` -> dx `[B,Ci,H,W]`.
    Conv2dGradInput(ConvSpec),
    /// x `[B,Ci,H,W]`, dy `[B,Co,H',W']` -> dw `[Co,Ci,kh,kw]`.
    Conv2dGradWeight(ConvSpec),
    /// x `[B,C,H,W]` -> mean `[C]`, variance `[C]` (biased, over B,H,W).
    BatchNormStats,
    /// mean `[C]`, variance `[C]` => running_mean `[C]`, running_variance `[C]`:
    /// r = (1 - momentum) r + momentum s, with the variance scaled by n/(n-1) first.
    RunningStats {
        /// Weight of the new statistics.
        momentum: f32,
        /// Number of values behind the statistics, n = B H W.
        count: usize,
    },
    /// x `[B,C,H,W]`, mean `[C]`, variance `[C]`, gamma `[C]`, beta `[C]` -> y = gamma (x - mean) / sqrt(variance +
    /// eps) + beta.
    BatchNorm {
        /// Added to the variance.
        eps: f32,
        /// Whether mean and variance are those of x itself; decides the form of the gradient.
        batch_stats: bool,
    },
    /// x, dy `[B,C,H,W]`, mean `[C]`, variance `[C]` -> dgamma `[C]` = sum dy xhat, dbeta `[C]` = sum dy.
    BatchNormGradParams {
        /// Added to the variance.
        eps: f32,
    },
    /// x, dy `[B,C,H,W]`, mean, variance, gamma, dgamma, dbeta `[C]` -> dx. With batch statistics
    /// dx = gamma inv_std (dy - dbeta/n - xhat dgamma/n), otherwise dx = gamma inv_std dy.
    BatchNormGradInput {
        /// Added to the variance.
        eps: f32,
        /// As in `BatchNorm`.
        batch_stats: bool,
    },
    /// x `[B,C,H,W]` -> y `[B,C2,ceil(H/s),ceil(W/s)]`: every s-th pixel, the channels centred between
    /// (C2-C)/2 zero channels on each side (option A of He et al.).
    Shortcut {
        /// Step between pixels.
        stride: usize,
    },
    /// dy `[B,C2,H',W']` -> dx `[B,C,H,W]`, the transpose of `Shortcut`.
    ShortcutGrad {
        /// Step between pixels.
        stride: usize,
    },
    /// x `[B,C,H,W]` -> y `[B,C,H',W']`, the extreme value of each window; padded positions never win.
    Pool {
        /// Largest or smallest.
        kind: Extreme,
        /// Extent of the window.
        window: usize,
        /// Step between windows, padding.
        spec: ConvSpec,
    },
    /// x `[B,C,H,W]`, y (output of `Pool`), dy `[B,C,H',W']` -> dx `[B,C,H,W]`: dy of each window goes to the first of its
    /// positions, line by line, where x = y.
    PoolGrad {
        /// As in `Pool`.
        window: usize,
        /// As in `Pool`.
        spec: ConvSpec,
    },
    /// x `[B,C,H,W]` -> y `[B,C]`, mean over pixels.
    GlobalAvgPool,
    /// dy `[B,C]` -> dx `[B,C,H,W]` = dy / (H W).
    GlobalAvgPoolGrad,
    /// x `[R,I]`, w `[S,O,I]`, b `[S,O]` (, index `[R]`) -> y `[R,O]` = w x + b with the row's own w and b.
    /// `Rows::Each` with S = 1 is the plain layer.
    Linear(Rows),
    /// dy `[R,O]`, w `[S,O,I]` (, index `[R]`) -> dx `[R,I]`.
    LinearGradInput(Rows),
    /// x `[R,I]`, dy `[R,O]` (, index `[R]`) -> dw `[S,O,I]`, db `[S,O]`.
    LinearGradWeight(Rows),
    /// beta `[R,6]` -> grid `[R,H,W,2]` = (x,y) of theta (u,v,1), theta = identity + beta as a 2x3 matrix, (u,v) the pixel
    /// centres u = (2j+1)/W - 1, v = (2i+1)/H - 1.
    AffineGrid,
    /// dgrid `[R,H,W,2]` -> dbeta `[R,6]`.
    AffineGridGrad,
    /// beta `[R,9]` -> grid `[R,H,W,2]` = (x,y)/w, (x,y,w) = H (u,v,1), H = identity + beta as a 3x3 matrix, (u,v) the pixel
    /// centres as in `AffineGrid`. Where w is no more than 1e-8 from zero it counts as 1.
    ProjectiveGrid,
    /// beta `[R,9]`, dgrid `[R,H,W,2]` -> dbeta `[R,9]`.
    ProjectiveGridGrad,
    /// matrix `[G,H,W]`, base `[H,W,2]`, beta `[R,2G]` as `[R,G,2]` -> grid `[R,H,W,2]` = base + sum over g of
    /// `matrix[g]` `beta[r,g]`.
    ControlGrid,
    /// matrix `[G,H,W]`, dgrid `[R,H,W,2]` -> dbeta `[R,2G]`.
    ControlGridGrad,
    /// image `[S,C,Hs,Ws]`, grid `[R,H,W,2]` (, index `[R]`) -> y `[R,C,H,W]`, bilinear, positions ((g+1) size - 1)/2.
    GridSample(Padding, Rows),
    /// grid `[R,H,W,2]`, dy `[R,C,H,W]` -> dimage `[R,C,Hs,Ws]`, one image per row; `SumRows` brings shared images together.
    GridSampleGradImage(Padding),
    /// image `[S,C,Hs,Ws]`, grid `[R,H,W,2]`, dy `[R,C,H,W]` (, index `[R]`) -> dgrid `[R,H,W,2]`.
    GridSampleGradGrid(Padding, Rows),
    /// image `[S,C,H,W]`, beta `[R,2C]` as `[R,C,2]` = (w,o) (, index `[R]`) -> y `[R,C,H,W]` = (1+w) image + o.
    Color(Rows),
    /// beta `[R,2C]`, dy `[R,C,H,W]` -> dimage `[R,C,H,W]`, one image per row.
    ColorGradImage,
    /// image `[S,C,H,W]`, dy `[R,C,H,W]` (, index `[R]`) -> dbeta `[R,2C]`.
    ColorGradBeta(Rows),
    /// beta `[R,1+n]` -> p `[R,1+n]` = (beta_0, sigmoid(beta_1.. + c)), n odd, c = 5 in the middle of the n and -5
    /// elsewhere.
    MorphoWeights,
    /// p, dp `[R,1+n]` -> dbeta `[R,1+n]`.
    MorphoWeightsGrad,
    /// image `[S,C,H,W]`, p `[R,1+n]` (, index `[R]`) -> e `[R,C,H,W]` = exp(p_0 image), the exponent limited to +-60.
    MorphoExp(Rows),
    /// image `[S,C,H,W]`, p `[R,1+kernel^2]` = (alpha, a), e `[R,C,H,W]` (, index `[R]`) -> y, inverse `[R,C,H,W]`:
    /// over the window around each pixel y = sum a image e / sum a e and inverse = 1 / sum a e, with image = 0 and e =
    /// 1 outside.
    Morpho {
        /// Extent of the window, odd.
        kernel: usize,
        /// Row of the image for each of the R rows.
        rows: Rows,
    },
    /// image `[S,C,H,W]`, p `[R,1+kernel^2]`, e, y, inverse, dy `[R,C,H,W]` (, index `[R]`) -> dimage `[R,C,H,W]`, one
    /// image per row, through e as well, which is a constant where its exponent was limited.
    MorphoGradImage {
        /// As in `Morpho`.
        kernel: usize,
        /// As in `Morpho`.
        rows: Rows,
    },
    /// image `[S,C,H,W]`, p `[R,1+kernel^2]`, e, y, inverse, dy `[R,C,H,W]` (, index `[R]`) -> dp `[R,1+kernel^2]`,
    /// through e as well.
    MorphoGradWeights {
        /// As in `Morpho`.
        kernel: usize,
        /// As in `Morpho`.
        rows: Rows,
    },
    /// image `[S,C,H,W]`, p `[R,1+kernel^2]` = (alpha, a) (, index `[R]`) -> y `[R,C,H,W]`: what `Morpho` tends to as
    /// alpha grows without bound and a becomes 0 or 1. The largest (alpha > 0) or smallest (alpha < 0) value of the
    /// image at those positions of the window whose a > 1/2, at the centre if there are none; with alpha = 0 the mean
    /// sum a image / sum a. The image is 0 outside. Without gradient.
    MorphoLimit {
        /// As in `Morpho`.
        kernel: usize,
        /// As in `Morpho`.
        rows: Rows,
    },
    /// x `[R,n]` (, index `[R]`) -> y `[S,n]`, `y[s]` = sum of the rows that use s, in ascending order.
    SumRows(Rows),
    /// x `[B,n]`, t `[S,n]` (, weights `[n]`) (, index `[R]`) -> d `[B,J]`, R = B J rows: `d[b,j]` = mean over n of
    /// weights (`x[b]` - `t[row]`)^2.
    SquaredDistance {
        /// Row of t for each of the R distances.
        rows: Rows,
        /// Whether there are pixel weights.
        weighted: bool,
    },
    /// x `[B,n]`, t `[S,n]`, dd `[B,J]` (, weights `[n]`) (, index `[R]`) -> dt `[R,n]` = 2/n weights (`t[row]` -
    /// `x[b]`) `dd[b,j]`, one per row.
    SquaredDistanceGrad {
        /// Row of t for each of the R distances.
        rows: Rows,
        /// Whether there are pixel weights.
        weighted: bool,
    },
    /// d `[B,K]` -> m `[B]`, argmin u32 `[B]`; the first of equals.
    MinRow,
    /// dm `[B]`, argmin `[B]` -> dd `[B,K]`, zero but at the minimum.
    MinRowGrad,
    /// x `[B,n]`, mu `[S,n]`, sigma `[T,n]` (, weights `[n]`) (, index `[R]`) -> d `[B,J]`, R = B J rows, minus the
    /// logarithm of a normal density: with v = sigma^2 + min_variance, `d[b,j]` = 1/2 sum over n of weights ((x - mu)^2
    /// / v + log v) + n/2 log(2 pi).
    NegLogNormal {
        /// Row of mu for each of the R densities.
        mean: Rows,
        /// Row of sigma for each of the R densities.
        deviation: Rows,
        /// Whether there are pixel weights.
        weighted: bool,
        /// Added to the squared deviations.
        min_variance: f32,
    },
    /// x `[B,n]`, mu `[S,n]`, sigma `[T,n]`, dd `[B,J]` (, weights `[n]`) (, index `[R]`) -> dmu `[R,n]` =
    /// weights (mu - x) / v `dd[b,j]`, one per row.
    NegLogNormalGradMean {
        /// As in `NegLogNormal`.
        mean: Rows,
        /// As in `NegLogNormal`.
        deviation: Rows,
        /// As in `NegLogNormal`.
        weighted: bool,
        /// As in `NegLogNormal`.
        min_variance: f32,
    },
    /// x `[B,n]`, mu `[S,n]`, sigma `[T,n]`, dd `[B,J]` (, weights `[n]`) (, index `[R]`) -> dsigma `[R,n]` =
    /// weights sigma (1/v - (x - mu)^2 / v^2) `dd[b,j]`, one per row.
    NegLogNormalGradDeviation {
        /// As in `NegLogNormal`.
        mean: Rows,
        /// As in `NegLogNormal`.
        deviation: Rows,
        /// As in `NegLogNormal`.
        weighted: bool,
        /// As in `NegLogNormal`.
        min_variance: f32,
    },
    /// x `[R,K]` -> y `[R,K]` = x - log sum over k of exp x.
    LogSoftmax,
    /// y (output of `LogSoftmax`), dy `[R,K]` -> dx `[R,K]` = dy - exp(y) sum over k of dy.
    LogSoftmaxGrad,
    /// d `[B,K]`, log_pi `[K]` -> gamma `[B,K]` = softmax over k of (log_pi - d). A constant for gradients.
    Responsibilities,
    /// gamma, d `[B,K]`, log_pi `[K]` -> q `[B]` = sum over k of gamma (d - log_pi).
    ExpectedCost,
    /// gamma `[B,K]`, dq `[B]` -> dd `[B,K]` = gamma dq.
    ExpectedCostGradDistance,
    /// gamma `[B,K]`, dq `[B]` -> dlog_pi `[K]` = - sum over b of gamma dq.
    ExpectedCostGradMixing,
    /// x -> y `[1]` = scale * sum of x.
    Sum {
        /// Factor.
        scale: f32,
    },
    /// dy `[1]` -> dx, every element scale * dy.
    SumGrad {
        /// Factor.
        scale: f32,
    },
    /// gradient `[n]`, schedule `[T,G,2]`, clock u32 `[2]` => parameter `[n]`, m `[n]`, v `[n]`. With g = gradient +
    /// decay * parameter, m = b1 m + (1-b1) g, v = b2 v + (1-b2) g^2, parameter -= a m / (sqrt(v) c + eps), where (a,
    /// c) = `schedule[clock[1], group]` = (lr / (1 - b1^t), 1 / sqrt(1 - b2^t)).
    Adam {
        /// Column of the schedule.
        group: usize,
        /// Decay of the first moment (f64, so that 1 - b1 is not rounded twice).
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator.
        eps: f32,
        /// L2 weight decay, added to the gradient.
        weight_decay: f32,
    },
    /// x `[1]`, clock u32 `[2]` => history `[T]`: `history[clock[1]]` = x.
    Record,
    /// x `[B,w]` (f32 or u32), clock u32 `[2]` => all `[N,w]`: `all[clock[0] + b]` = `x[b]`.
    StoreRows,
    /// index u32 `[B]` => counts u32 `[K]`: `counts[index[b]]` += 1.
    Count,
    /// => clock u32 `[2]`: `clock[0]` += images, `clock[1]` += 1.
    Advance {
        /// Images of the step.
        images: usize,
    },
}

impl Op {
    /// Name of the kernel that computes it: the name of the WGSL file, of the CPU twin and of the label.
    pub fn name(&self) -> &'static str {
        match self {
            Op::GatherImages => "gather_images",
            Op::Fill { .. } => "fill",
            Op::Copy => "copy",
            Op::MultiplyAdd { .. } => "multiply_add",
            Op::Add => "add",
            Op::Relu => "relu",
            Op::ReluGrad => "relu_grad",
            Op::Conv2d(_) => "conv2d",
            Op::Conv2dGradInput(_) => "conv2d_grad_input",
            Op::Conv2dGradWeight(_) => "conv2d_grad_weight",
            Op::BatchNormStats => "batch_norm_stats",
            Op::RunningStats { .. } => "running_stats",
            Op::BatchNorm { .. } => "batch_norm",
            Op::BatchNormGradParams { .. } => "batch_norm_grad_params",
            Op::BatchNormGradInput { .. } => "batch_norm_grad_input",
            Op::Shortcut { .. } => "shortcut",
            Op::ShortcutGrad { .. } => "shortcut_grad",
            Op::Pool { .. } => "pool",
            Op::PoolGrad { .. } => "pool_grad",
            Op::GlobalAvgPool => "global_avg_pool",
            Op::GlobalAvgPoolGrad => "global_avg_pool_grad",
            Op::Linear(_) => "linear",
            Op::LinearGradInput(_) => "linear_grad_input",
            Op::LinearGradWeight(_) => "linear_grad_weight",
            Op::AffineGrid => "affine_grid",
            Op::AffineGridGrad => "affine_grid_grad",
            Op::ProjectiveGrid => "projective_grid",
            Op::ProjectiveGridGrad => "projective_grid_grad",
            Op::ControlGrid => "control_grid",
            Op::ControlGridGrad => "control_grid_grad",
            Op::GridSample(..) => "grid_sample",
            Op::GridSampleGradImage(_) => "grid_sample_grad_image",
            Op::GridSampleGradGrid(..) => "grid_sample_grad_grid",
            Op::Color(_) => "color",
            Op::ColorGradImage => "color_grad_image",
            Op::ColorGradBeta(_) => "color_grad_beta",
            Op::MorphoWeights => "morpho_weights",
            Op::MorphoWeightsGrad => "morpho_weights_grad",
            Op::MorphoExp(_) => "morpho_exp",
            Op::Morpho { .. } => "morpho",
            Op::MorphoGradImage { .. } => "morpho_grad_image",
            Op::MorphoGradWeights { .. } => "morpho_grad_weights",
            Op::MorphoLimit { .. } => "morpho_limit",
            Op::SumRows(_) => "sum_rows",
            Op::SquaredDistance { .. } => "squared_distance",
            Op::SquaredDistanceGrad { .. } => "squared_distance_grad",
            Op::MinRow => "min_row",
            Op::MinRowGrad => "min_row_grad",
            Op::NegLogNormal { .. } => "neg_log_normal",
            Op::NegLogNormalGradMean { .. } => "neg_log_normal_grad_mean",
            Op::NegLogNormalGradDeviation { .. } => "neg_log_normal_grad_deviation",
            Op::LogSoftmax => "log_softmax",
            Op::LogSoftmaxGrad => "log_softmax_grad",
            Op::Responsibilities => "responsibilities",
            Op::ExpectedCost => "expected_cost",
            Op::ExpectedCostGradDistance => "expected_cost_grad_distance",
            Op::ExpectedCostGradMixing => "expected_cost_grad_mixing",
            Op::Sum { .. } => "sum",
            Op::SumGrad { .. } => "sum_grad",
            Op::Adam { .. } => "adam",
            Op::Record => "record",
            Op::StoreRows => "store_rows",
            Op::Count => "count",
            Op::Advance { .. } => "advance",
        }
    }

    /// Whether the outputs are persistent tensors that the operation reads as well as writes.
    pub fn updates(&self) -> bool {
        matches!(
            self,
            Op::RunningStats { .. } | Op::Adam { .. } | Op::Record | Op::StoreRows | Op::Count | Op::Advance { .. }
        )
    }
}
