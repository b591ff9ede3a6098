//! A file of `torch.save` as its reader sees it.

use super::container::{self, Storage, Storages};
use super::error::TorchError;
use super::pickle::{Id, Pickle, Value};
use std::path::{Path, PathBuf};

/// A file of `torch.save`, zipped or not. Tensors are read when they are asked for.
#[derive(Clone, Debug)]
pub struct TorchFile {
    path: PathBuf,
    pickle: Pickle,
    storages: Storages,
    /// Bytes of the file.
    len: usize,
}

/// Where the numbers of a tensor are in the file.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Extents.
    pub shape: Vec<usize>,
    storage: Storage,
    offset: usize,
    strides: Vec<usize>,
}

impl TorchFile {
    /// Opens a file and reads everything but the tensors.
    ///
    /// # Errors
    /// [`TorchError`] where it cannot be read or is none.
    pub fn open(path: &Path) -> Result<Self, TorchError> {
        let bytes = std::fs::read(path).map_err(|source| TorchError::Read { path: path.into(), source })?;
        Self::from_bytes(path, bytes)
    }

    /// A file that has been read already; `path` names it in messages.
    ///
    /// # Errors
    /// As [`TorchFile::open`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, TorchError> {
        let len = bytes.len();
        let (pickle, storages) = container::open(path, bytes)?;
        Ok(TorchFile { path: path.into(), pickle, storages, len })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The saved object.
    pub fn root(&self) -> Item<'_> {
        Item { pickle: &self.pickle, id: self.pickle.root() }
    }

    /// The numbers of a tensor, row-major, rounded to f32; `name` is for messages.
    ///
    /// # Errors
    /// [`TorchError`] where they are not in the file, or not real.
    pub fn read(&self, name: &str, tensor: &Tensor) -> Result<Vec<f32>, TorchError> {
        let failed = |problem: String| TorchError::Tensor { path: self.path.clone(), name: name.into(), problem };
        let storage = &tensor.storage;
        let decode = storage.element.decode.ok_or_else(|| failed("holds complex numbers".into()))?;
        let shape = &tensor.shape;
        let count = shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
        // Strides of zero repeat numbers, so a few bytes could claim any size.
        let count = count.filter(|&n| n <= self.len).ok_or_else(|| failed(format!("{shape:?} exceeds the file")))?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let last = shape
            .iter()
            .zip(&tensor.strides)
            .try_fold(tensor.offset, |at, (&extent, &stride)| at.checked_add((extent - 1).checked_mul(stride)?));
        if last.is_none_or(|last| last >= storage.count) {
            return Err(failed(format!("{shape:?} reaches beyond its storage of {} numbers", storage.count)));
        }
        let bytes = self.storages.read(&self.path, storage)?;
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; shape.len()];
        let mut at = tensor.offset;
        for _ in 0..count {
            values.push(decode(&bytes[at * storage.element.size..]));
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                // Wrapping, because the stride of an axis of extent 1 may be anything.
                at = at.wrapping_add(tensor.strides[axis]);
                if index[axis] < shape[axis] {
                    break;
                }
                at = at.wrapping_sub(shape[axis].wrapping_mul(tensor.strides[axis]));
                index[axis] = 0;
            }
        }
        Ok(values)
    }
}

/// A value of the saved object.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    pickle: &'a Pickle,
    id: Id,
}

impl<'a> Item<'a> {
    fn at(self, id: Id) -> Self {
        Item { pickle: self.pickle, id }
    }

    /// What it is.
    pub fn value(self) -> &'a Value {
        self.pickle.get(self.id)
    }

    /// The entries of a dictionary whose keys are text, in its order; empty for anything else.
    pub fn entries(self) -> Vec<(&'a str, Item<'a>)> {
        let Value::Dict(items) = self.value() else { return Vec::new() };
        let entry = |&(key, value): &(Id, Id)| match self.pickle.get(key) {
            Value::Text(key) => Some((key.as_str(), self.at(value))),
            _ => None,
        };
        items.iter().filter_map(entry).collect()
    }

    /// The entry of a dictionary.
    pub fn get(self, key: &str) -> Option<Item<'a>> {
        self.entries().into_iter().rev().find(|(name, _)| *name == key).map(|(_, item)| item)
    }

    /// The items of a list or tuple; empty for anything else.
    pub fn items(self) -> Vec<Item<'a>> {
        match self.value() {
            Value::List(items) | Value::Tuple(items) => items.iter().map(|&id| self.at(id)).collect(),
            _ => Vec::new(),
        }
    }

    /// Text.
    pub fn text(self) -> Option<&'a str> {
        match self.value() {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub fn count(self) -> Option<usize> {
        match self.value() {
            Value::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    /// A number.
    pub fn number(self) -> Option<f64> {
        match self.value() {
            Value::Int(n) => Some(*n as f64),
            Value::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// A truth value.
    pub fn truth(self) -> Option<bool> {
        match self.value() {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// A tensor or parameter, or why it is none, to follow its name.
    ///
    /// # Errors
    /// The reason.
    pub fn tensor(self) -> Result<Tensor, String> {
        match self.call() {
            Some(("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state", arguments)) => {
                arguments.first().ok_or("is a parameter without numbers")?.plain_tensor()
            }
            _ => self.plain_tensor(),
        }
    }

    fn plain_tensor(self) -> Result<Tensor, String> {
        let Some(("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2", arguments)) = self.call() else {
            return Err("is not a tensor of a kind that can be read here".into());
        };
        let [storage, offset, shape, strides, ..] = arguments[..] else {
            return Err("is a tensor without storage, offset, shape and strides".into());
        };
        let Value::Persistent(id) = storage.value() else { return Err("is a tensor without storage".into()) };
        let storage = Storage::described(self.pickle, *id)?;
        let counts = |item: Item| item.items().into_iter().map(Item::count).collect::<Option<Vec<_>>>();
        match (offset.count(), counts(shape), counts(strides)) {
            (Some(offset), Some(shape), Some(strides)) if shape.len() == strides.len() => {
                Ok(Tensor { shape, storage, offset, strides })
            }
            _ => Err("has an offset, shape or strides that are not whole numbers".into()),
        }
    }

    /// Module, name and arguments of a call.
    fn call(self) -> Option<(&'a str, &'a str, Vec<Item<'a>>)> {
        let Value::Call(function, arguments) = self.value() else { return None };
        let Value::Global(module, name) = self.pickle.get(*function) else { return None };
        Some((module, name, self.at(*arguments).items()))
    }
}
