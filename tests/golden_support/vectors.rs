//! Reference vectors: one safetensors file per case.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};

/// A tensor of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// A file of vectors.
pub struct Vectors {
    tensors: BTreeMap<String, Tensor>,
    metadata: HashMap<String, String>,
    /// What was asked for, so that a vector that nothing compares is noticed.
    used: RefCell<BTreeSet<String>>,
}

impl Vectors {
    /// Reads a case from the folder that PROTEUS_GOLDEN names, or from the project's own.
    pub fn load(case: &str) -> Result<Vectors, String> {
        let folder = std::env::var_os("PROTEUS_GOLDEN")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from);
        let path = folder.join(format!("{case}.safetensors"));
        let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Self::parse(&bytes).map_err(|e| format!("{}: {e}", path.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Vectors, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let mut tensors = BTreeMap::new();
        for (name, view) in SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(format!("{name} is {:?}, not F32", view.dtype()));
            }
            let value = |b: &[u8]| f32::from_le_bytes(b.try_into().expect("4 bytes"));
            let values: Vec<f32> = view.data().chunks_exact(4).map(value).collect();
            tensors.insert(name.to_owned(), Tensor { shape: view.shape().to_vec(), values });
        }
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Vectors { tensors, metadata, used: RefCell::default() })
    }

    /// A tensor, from now on counted as compared or used.
    pub fn tensor(&self, name: &str) -> Result<&Tensor, String> {
        self.used.borrow_mut().insert(name.to_owned());
        self.tensors.get(name).ok_or_else(|| format!("{name}: not among the vectors"))
    }

    /// A setting of the operation.
    pub fn setting(&self, key: &str) -> Result<&str, String> {
        self.metadata.get(key).map(String::as_str).ok_or_else(|| format!("no '{key}' in the metadata"))
    }

    /// Tensors that nothing asked for.
    pub fn unused(&self) -> Vec<String> {
        let used = self.used.borrow();
        self.tensors.keys().filter(|name| !used.contains(*name)).cloned().collect()
    }

    /// The tensors, to spoil one of them.
    pub fn tensors_mut(&mut self) -> &mut BTreeMap<String, Tensor> {
        &mut self.tensors
    }
}
