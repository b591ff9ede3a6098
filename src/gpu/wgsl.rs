//! The kernels' text and its imports.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

macro_rules! kernels {
    ($($name:literal),* $(,)?) => {
        /// Every kernel: its name and the text of `kernels/<name>.wgsl`, in alphabetical order.
        pub const KERNELS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../kernels/", $name, ".wgsl")))),*];
    };
}

macro_rules! shared {
    ($($name:literal),* $(,)?) => {
        /// What kernels import: the name and the text of `kernels/shared/<name>.wgsl`.
        pub const SHARED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../kernels/shared/", $name, ".wgsl")))),*];
    };
}

kernels![
    "adam",
    "add",
    "advance",
    "affine_grid",
    "affine_grid_grad",
    "batch_norm",
    "batch_norm_grad_input",
    "batch_norm_grad_params",
    "batch_norm_grad_params_subgroup",
    "batch_norm_stats",
    "batch_norm_stats_subgroup",
    "color",
    "color_grad_beta",
    "color_grad_image",
    "control_grid",
    "control_grid_grad",
    "conv2d",
    "conv2d_grad_input",
    "conv2d_grad_input_half",
    "conv2d_grad_input_matrix",
    "conv2d_grad_input_tiled",
    "conv2d_grad_weight",
    "conv2d_grad_weight_half",
    "conv2d_grad_weight_matrix",
    "conv2d_grad_weight_tiled",
    "conv2d_half",
    "conv2d_matrix",
    "conv2d_tiled",
    "copy",
    "count",
    "expected_cost",
    "expected_cost_grad_distance",
    "expected_cost_grad_mixing",
    "fill",
    "gather_images",
    "global_avg_pool",
    "global_avg_pool_grad",
    "grid_sample",
    "grid_sample_grad_grid",
    "grid_sample_grad_image",
    "linear",
    "linear_grad_input",
    "linear_grad_weight",
    "linear_tiled",
    "log_softmax",
    "log_softmax_grad",
    "min_row",
    "min_row_grad",
    "morpho",
    "morpho_exp",
    "morpho_grad_image",
    "morpho_grad_weights",
    "morpho_limit",
    "morpho_weights",
    "morpho_weights_grad",
    "multiply_add",
    "neg_log_normal",
    "neg_log_normal_grad_deviation",
    "neg_log_normal_grad_mean",
    "pool",
    "pool_grad",
    "projective_grid",
    "projective_grid_grad",
    "record",
    "relu",
    "relu_grad",
    "responsibilities",
    "running_stats",
    "shortcut",
    "shortcut_grad",
    "squared_distance",
    "squared_distance_chain",
    "squared_distance_grad",
    "store_rows",
    "sum",
    "sum_grad",
    "sum_parts",
    "sum_rows",
];

shared![
    "bilinear",
    "channel_stats",
    "channel_sums",
    "channel_values",
    "conv_stage",
    "conv_tile",
    "folded_channels",
    "folded_gradient",
    "folded_norm",
    "folded_operands",
    "folded_source",
    "homography",
    "matrix_map",
    "matrix_tile",
    "matrix_unit_16",
    "matrix_unit_8",
    "normal_rows",
    "rows",
    "subgroup_sum",
    "weight_tile",
    "workgroup_sum",
];

/// The directive that stands for a shared file, on a line of its own. `{NAME}` in the file's name is the value of a constant.
const IMPORT: &str = "//#import ";

/// A kernel's text cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum WgslError {
    /// There is no such kernel.
    #[error("there is no kernel '{0}'")]
    UnknownKernel(String),
    /// An import names no file of `kernels/shared/`.
    #[error("kernel '{kernel}' imports '{import}', which kernels/shared/ does not have")]
    UnknownImport {
        /// The kernel.
        kernel: String,
        /// What it asked for.
        import: String,
    },
    /// A kernel's replacement cannot be read.
    #[error("kernel file {path}: {message}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        message: String,
    },
}

/// Full text of a kernel with its imports, as these constants choose them. A file in `replaced` under its name takes the
/// place of the built-in text.
pub fn source(kernel: &str, constants: &[(&str, f64)], replaced: &[(String, PathBuf)]) -> Result<String, WgslError> {
    let built_in = KERNELS.iter().find(|(name, _)| *name == kernel).map(|(_, text)| Cow::Borrowed(*text));
    let text = match replaced.iter().find(|(name, _)| name == kernel) {
        Some((_, path)) => std::fs::read_to_string(path)
            .map(Cow::Owned)
            .map_err(|e| WgslError::Unreadable { path: path.display().to_string(), message: e.to_string() })?,
        None => built_in.ok_or_else(|| WgslError::UnknownKernel(kernel.to_string()))?,
    };
    expand(kernel, &text, constants)
}

/// Appends the shared files that a text imports, as these constants choose them. They come last, where WGSL allows them, so that the lines of the text
/// keep their numbers.
pub fn expand(kernel: &str, text: &str, constants: &[(&str, f64)]) -> Result<String, WgslError> {
    let mut out = String::with_capacity(text.len());
    let mut imported = String::new();
    for line in text.lines() {
        match line.strip_prefix(IMPORT).map(str::trim) {
            Some(import) => {
                let file = constants.iter().fold(import.to_string(), |file, (name, value)| {
                    file.replace(&format!("{{{name}}}"), &value.to_string())
                });
                let shared = SHARED.iter().find(|(name, _)| *name == file);
                let unknown = || WgslError::UnknownImport { kernel: kernel.to_string(), import: file.clone() };
                imported.push_str(shared.ok_or_else(unknown)?.1);
                imported.push('\n');
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    Ok(out + &imported)
}

/// Writes the text of a specialised kernel to `<folder>/<kernel>[_<constants>].wgsl`, the constants as a header.
pub fn dump(folder: &Path, kernel: &str, constants: &[(&str, f64)], text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let suffix: String = constants.iter().map(|(name, value)| format!("_{name}{value}")).collect();
    let header: String = constants.iter().map(|(name, value)| format!("// override {name} = {value}\n")).collect();
    std::fs::write(folder.join(format!("{kernel}{suffix}.wgsl")), header + text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_replaced_and_unknown_ones_named() {
        let text = source("linear", &[], &[]).expect("a built-in kernel");
        assert!(text.contains("fn shared_row") && !text.contains(IMPORT), "imports are in place");
        let error = expand("mine", "//#import nothing", &[]).expect_err("no such file");
        assert!(error.to_string().contains("'mine' imports 'nothing'"), "{error}");
        assert!(source("nothing", &[], &[]).is_err());
    }

    #[test]
    fn constants_choose_imports() {
        let text = |constants: &[(&str, f64)]| source("conv2d_matrix", constants, &[]);
        assert!(text(&[("WIDE", 1.0), ("UNIT", 8.0)]).expect("there is one of 8").contains("coop_mat8x8"));
        assert!(text(&[("UNIT", 16.0)]).expect("and one of 16").contains("coop_mat16x16"));
        let error = text(&[("UNIT", 4.0)]).expect_err("none of 4").to_string();
        assert!(error.contains("'matrix_unit_4'"), "{error}");
    }

    #[test]
    fn files_replace_kernels_one_by_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let replaced = [("relu".to_string(), folder.path().join("mine.wgsl"))];
        std::fs::write(&replaced[0].1, "// mine").expect("written");
        assert_eq!(source("relu", &[], &replaced).expect("read"), "// mine\n");
        assert!(source("add", &[], &replaced).expect("built in").contains("y = a + b"));
    }
}
