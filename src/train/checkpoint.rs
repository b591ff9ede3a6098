//! Weights on disk: safetensors under the names of the published state dict.

use super::error::TrainError;
use super::tensor_file::serialized;
use crate::model::Model;
use crate::nn::STACKED;
use crate::tape::{Engine, Persistent, Store};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Version of the format, in the file's metadata.
const FORMAT: &str = "1";

/// What a checkpoint says besides the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whole epochs done.
    pub epoch: usize,
    /// Active transformations after the identity.
    pub active: usize,
}

impl Checkpoint {
    /// Writes all parameters and running statistics: to a file beside, synced, then renamed, so that `path` is always
    /// whole. Equal weights make equal files.
    pub fn save(
        self,
        path: &Path,
        model: &dyn Model,
        store: &Store,
        engine: &mut dyn Engine,
    ) -> Result<(), TrainError> {
        let mut tensors = Vec::new();
        for id in model.state() {
            let tensor = &store[id];
            let values = engine.read_f32(tensor)?;
            for part in parts(tensor, model.spec().k) {
                let bytes = bytemuck::cast_slice(&values[part.range.clone()]).to_vec();
                tensors.push((part.name, part.shape, bytes));
            }
        }
        let damaged =
            |e: safetensors::SafeTensorError| TrainError::Damaged { path: path.to_path_buf(), problem: e.to_string() };
        let mut views = Vec::new();
        for (name, shape, bytes) in &tensors {
            views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(damaged)?));
        }
        let text = |value: usize| value.to_string();
        let metadata = [("format", FORMAT.into()), ("epoch", text(self.epoch)), ("active", text(self.active))];
        write_whole(path, &serialized(views, &metadata).map_err(damaged)?)
    }

    /// Reads a checkpoint into the engine's tensors.
    pub fn load(path: &Path, model: &dyn Model, store: &Store, engine: &mut dyn Engine) -> Result<Self, TrainError> {
        let damaged = |problem: String| TrainError::Damaged { path: path.to_path_buf(), problem };
        let bytes = read(path)?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let number = |key: &str| -> Result<usize, TrainError> {
            let value = metadata.get(key).ok_or_else(|| damaged(format!("its metadata lacks '{key}'")))?;
            value.parse().map_err(|_| damaged(format!("its metadata says {key} = '{value}', not a number")))
        };
        if metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(damaged("not a checkpoint of this version of proteus".into()));
        }
        let checkpoint = Checkpoint { epoch: number("epoch")?, active: number("active")? };
        if checkpoint.active > model.spec().sequence.0.len() {
            return Err(damaged(format!("{} transformations active, the model has fewer", checkpoint.active)));
        }
        let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
        fill(model, store, engine, |name, shape| {
            let view = file.tensor(name).map_err(|_| damaged(format!("'{name}' is missing")))?;
            if view.dtype() != Dtype::F32 || view.shape() != shape {
                let (dtype, found) = (view.dtype(), view.shape());
                return Err(damaged(format!("'{name}' is {dtype:?} of shape {found:?}, expected F32 of {shape:?}")));
            }
            Ok(bytemuck::pod_collect_to_vec(view.data()))
        })?;
        Ok(checkpoint)
    }
}

/// The bytes of a run's checkpoint.
fn read(path: &Path) -> Result<Vec<u8>, TrainError> {
    std::fs::read(path).map_err(|source| match (source.kind(), path.parent()) {
        (ErrorKind::NotFound, Some(run)) => TrainError::NoWeights(run.to_path_buf()),
        _ => TrainError::File { action: "read", path: path.to_path_buf(), source },
    })
}

/// Channels, height and width of the prototypes in the checkpoint `path`.
pub(super) fn image_shape(path: &Path) -> Result<[usize; 3], TrainError> {
    let damaged = |problem: String| TrainError::Damaged { path: path.to_path_buf(), problem };
    let bytes = read(path)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
    let prototypes = ["prototypes", "mus"].into_iter().find_map(|name| header.info(name));
    match prototypes.map(|info| info.shape.as_slice()) {
        Some(&[_, channels, height, width]) => Ok([channels, height, width]),
        _ => Err(damaged("there are no prototypes [K,C,H,W] in it".into())),
    }
}

/// Names and shapes of all tensors of a checkpoint.
pub(super) fn contents(model: &dyn Model, store: &Store) -> Vec<(String, Vec<usize>)> {
    let parts = model.state().into_iter().flat_map(|id| parts(&store[id], model.spec().k));
    parts.map(|part| (part.name, part.shape)).collect()
}

/// Writes what a checkpoint holds into the engine's tensors: `tensor` gives the numbers for a name and a shape.
pub(super) fn fill(
    model: &dyn Model,
    store: &Store,
    engine: &mut dyn Engine,
    mut tensor: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, TrainError>,
) -> Result<(), TrainError> {
    for id in model.state() {
        let whole = &store[id];
        let mut values = vec![0.0f32; whole.shape.len()];
        for part in parts(whole, model.spec().k) {
            values[part.range].copy_from_slice(&tensor(&part.name, &part.shape)?);
        }
        engine.write_f32(whole, &values)?;
    }
    Ok(())
}

/// A stretch of a tensor with a published name.
struct Part {
    name: String,
    shape: Vec<usize>,
    range: std::ops::Range<usize>,
}

/// Tensors that hold all prototypes' heads are published one by one.
fn parts(tensor: &Persistent, k: usize) -> Vec<Part> {
    let len = tensor.shape.len();
    if !tensor.name.contains(STACKED) {
        return vec![Part { name: tensor.name.clone(), shape: tensor.shape.0.clone(), range: 0..len }];
    }
    let slice = len / k;
    let part = |i: usize| Part {
        name: tensor.name.replace(STACKED, &i.to_string()),
        shape: tensor.shape.0[1..].to_vec(),
        range: i * slice..(i + 1) * slice,
    };
    (0..k).map(part).collect()
}

/// Writes a file so that a crash at any moment leaves the old one or the new one, whole.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    write_beside(path, "", bytes)
}

/// [`write_whole`] for a file that several processes may write at once, each as another `job`.
pub(super) fn write_beside(path: &Path, job: &str, bytes: &[u8]) -> Result<(), TrainError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(if job.is_empty() { ".part".into() } else { format!(".{job}.part") });
    let beside = std::path::PathBuf::from(beside);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|source| {
        // Nothing half-written stays behind; the first error is the one to report.
        let _ = std::fs::remove_file(&beside);
        TrainError::File { action: "write", path: path.to_path_buf(), source }
    })
}
