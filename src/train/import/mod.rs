//! Checkpoints of the published code as run folders.

mod error;
mod told;
mod write;

pub use error::ImportError;
pub use write::Imported;

use super::config::Config;
use crate::model::Kind;
use crate::torch::{Item, Tensor, TorchError, TorchFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use told::{kind, prototypes};

/// Names of tensors that a message lists before it counts the rest.
const LISTED: usize = 4;

/// A checkpoint of the published code.
#[derive(Clone, Debug)]
pub struct Published {
    file: TorchFile,
    kind: Kind,
    /// Tensors by name.
    state: BTreeMap<String, Tensor>,
}

impl Published {
    /// Opens a checkpoint, or a state dict without anything around it.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let file = TorchFile::open(path)?;
        let root = file.root();
        let entries = root.get("model_state").unwrap_or(root).entries();
        let mut state = BTreeMap::new();
        for (name, item) in &entries {
            // Trained on several devices, every name begins with `module.`.
            let name = name.strip_prefix("module.").unwrap_or(name);
            if let Ok(tensor) = item.tensor() {
                state.insert(name.to_string(), tensor);
            }
        }
        let Some(kind) = kind(&state) else {
            let names = root.entries().into_iter().map(|(name, _)| format!("'{name}'"));
            return Err(ImportError::NoModel { path: path.into(), found: listed(names.collect()) });
        };
        Ok(Published { file, kind, state })
    }

    fn path(&self) -> PathBuf {
        self.file.path().into()
    }

    /// An argument that the model was made with.
    fn argument(&self, name: &str) -> Option<Item<'_>> {
        self.file.root().get("model_kwargs")?.get(name)
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.state.get(name).map(|t| &t.shape[..])
    }

    /// K, C, H, W.
    fn extents(&self) -> Result<[usize; 4], ImportError> {
        let name = prototypes(self.kind);
        let shape = self.shape(name).unwrap_or_default();
        shape.try_into().map_err(|_| {
            let problem = format!("is of shape {shape:?}, expected [K,C,H,W]");
            TorchError::Tensor { path: self.path(), name: name.into(), problem }.into()
        })
    }

    /// One line about the model.
    pub fn describe(&self, config: &Config) -> String {
        let Config { clusters, sequence, encoder, .. } = config;
        format!("{}, {clusters} prototypes, {sequence}, {encoder}", self.kind.published())
    }
}

/// The first few of some items, and how many more there are.
fn listed(items: Vec<String>) -> String {
    let more = items.len().saturating_sub(LISTED);
    let shown = items[..items.len() - more].join(", ");
    match (items.len(), more) {
        (0, _) => "nothing by name".into(),
        (_, 0) => shown,
        _ => format!("{shown} and {more} more"),
    }
}
