//! The two containers of `torch.save`: a zip archive since PyTorch 1.6, a chain of pickles before.

use super::element::Element;
use super::error::TorchError;
use super::pickle::{Id, Pickle, Value};
use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// The pickle of the number 0x1950a86a20f9469cfc6c, which files before PyTorch 1.6 begin with.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// Where the bytes of storages are.
#[derive(Clone, Debug)]
pub enum Storages {
    /// Records `prefix`data/KEY of an archive.
    Zip { archive: ZipArchive<Cursor<Arc<[u8]>>>, prefix: String },
    /// Stretches of the file by key.
    Legacy { bytes: Arc<[u8]>, places: HashMap<String, Range<usize>> },
}

/// A storage as a pickle describes it.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Its name in the container.
    pub key: String,
    /// Type of its numbers.
    pub element: Element,
    /// How many numbers.
    pub count: usize,
}

impl Storage {
    /// The storage that the persistent id `id` stands for, or why there is none.
    pub fn described(pickle: &Pickle, id: Id) -> Result<Self, String> {
        let Value::Tuple(fields) = pickle.get(id) else { return Err("has a storage without description".into()) };
        let fields: Vec<&Value> = fields.iter().map(|&f| pickle.get(f)).collect();
        match fields[..] {
            [Value::Text(tag), Value::Global(_, class), Value::Text(key), _, Value::Int(count), ref view @ ..]
                if tag == "storage" =>
            {
                if !matches!(view, [] | [Value::None]) {
                    return Err("shares a part of a storage as PyTorch 0.x did; save it again with a later one".into());
                }
                let element = Element::of(class).ok_or_else(|| format!("holds numbers of the unknown type {class}"))?;
                let count = usize::try_from(*count).map_err(|_| format!("has a storage of {count} numbers"))?;
                Ok(Storage { key: key.clone(), element, count })
            }
            _ => Err("has a storage without description".into()),
        }
    }
}

/// Finds the pickle and the storages of a file.
pub fn open(path: &Path, bytes: Vec<u8>) -> Result<(Pickle, Storages), TorchError> {
    let bytes: Arc<[u8]> = bytes.into();
    if bytes.starts_with(LEGACY) {
        return legacy(path, bytes);
    }
    if bytes.starts_with(b"PK") {
        return archive(path, bytes);
    }
    let problem = match &bytes[..] {
        [] => "it is empty",
        [0x1f, 0x8b, ..] => "it is compressed with gzip; unpack it first",
        [0x80, ..] => "it is a pickle, but not one of torch.save",
        b if b.get(257..262) == Some(b"ustar") => {
            "it is a tar archive, as PyTorch 0.1 wrote them: load and save it with PyTorch 1.x"
        }
        b if b.get(8) == Some(&b'{') => "it may be a safetensors file; `proteus eval` reads those of its own runs",
        _ => "it begins with other bytes",
    };
    Err(TorchError::NotTorch { path: path.into(), problem: problem.into() })
}

fn archive(path: &Path, bytes: Arc<[u8]>) -> Result<(Pickle, Storages), TorchError> {
    let not_torch = |problem: String| TorchError::NotTorch { path: path.into(), problem };
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|e| not_torch(format!("a zip archive that cannot be read ({e}); the file may not be complete")))?;
    // Writers choose the name of the one folder in the archive.
    let names = archive.file_names().filter_map(Result::ok);
    let prefixes = names.filter_map(|n| n.strip_suffix("data.pkl").map(str::to_string));
    let prefix = prefixes.filter(|p| p.is_empty() || p.ends_with('/') && p.matches('/').count() == 1).min();
    let prefix = prefix.ok_or_else(|| not_torch("a zip archive without data.pkl".into()))?;
    if archive.index_for_name(&format!("{prefix}constants.pkl")).is_some() {
        let hint = "a TorchScript program; save the model's state_dict() with torch.save";
        return Err(not_torch(hint.into()));
    }
    if archive.index_for_name(&format!("{prefix}byteorder")).is_some()
        && record(path, &mut archive, &format!("{prefix}byteorder"))? != b"little"
    {
        return Err(TorchError::BigEndian(path.into()));
    }
    let pickle = record(path, &mut archive, &format!("{prefix}data.pkl"))?;
    let pickle = Pickle::read(&pickle).map_err(|source| TorchError::Pickle { path: path.into(), source })?;
    Ok((pickle, Storages::Zip { archive, prefix }))
}

/// A record of an archive, checked against its checksum.
fn record(path: &Path, archive: &mut ZipArchive<Cursor<Arc<[u8]>>>, name: &str) -> Result<Vec<u8>, TorchError> {
    let failed = |problem: String| TorchError::Record { path: path.into(), record: name.into(), problem };
    let mut file = archive.by_name(name).map_err(|e| match e {
        ZipError::UnsupportedArchive(what) => {
            failed(format!("{what}; torch.save stores records as they are: load and save the file with PyTorch"))
        }
        other => failed(other.to_string()),
    })?;
    if file.compression() != CompressionMethod::Stored {
        let how = file.compression();
        return Err(failed(format!(
            "{how}; torch.save stores records as they are: load and save the file with PyTorch"
        )));
    }
    // Not with the capacity that the archive claims: what is stored ends with the file.
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|e| failed(e.to_string()))?;
    Ok(bytes)
}

fn legacy(path: &Path, bytes: Arc<[u8]>) -> Result<(Pickle, Storages), TorchError> {
    let mut at = LEGACY.len();
    let mut next = || {
        let pickle = Pickle::read(&bytes[at..]).map_err(|mut source| {
            source.at += at;
            TorchError::Pickle { path: path.into(), source }
        })?;
        at += pickle.len;
        Ok::<Pickle, TorchError>(pickle)
    };
    // The protocol's version, the machine, the object, and the keys of the storages, which follow.
    let [_, system, object, keys] = [next()?, next()?, next()?, next()?];
    if let Value::Dict(about) = system.get(system.root()) {
        let flag = about.iter().find(|(key, _)| matches!(system.get(*key), Value::Text(t) if t == "little_endian"));
        if flag.is_some_and(|(_, value)| *system.get(*value) == Value::Bool(false)) {
            return Err(TorchError::BigEndian(path.into()));
        }
    }
    let failed = |key: &str, problem: String| TorchError::Record { path: path.into(), record: key.into(), problem };
    let mut sizes = HashMap::new();
    for value in object.values() {
        if let Value::Persistent(id) = value {
            let storage = Storage::described(&object, *id).map_err(|problem| failed("a storage", problem))?;
            sizes.insert(storage.key, storage.element.size);
        }
    }
    let Value::List(keys_in_order) = keys.get(keys.root()) else {
        return Err(failed("storages", "a list of keys was expected".into()));
    };
    let mut places = HashMap::new();
    for &key in keys_in_order {
        let Value::Text(key) = keys.get(key) else {
            return Err(failed("storages", "a list of keys was expected".into()));
        };
        let size = *sizes.get(key).ok_or_else(|| failed(key, "nothing in the file describes it".into()))?;
        let place = || {
            let count = bytes.get(at..at.checked_add(8)?)?;
            let count = usize::try_from(u64::from_le_bytes(std::array::from_fn(|i| count[i]))).ok()?;
            let end = count.checked_mul(size)?.checked_add(at + 8)?;
            (end <= bytes.len()).then_some(at + 8..end)
        };
        let place = place().ok_or_else(|| failed(key, "the file ends early".into()))?;
        at = place.end;
        places.insert(key.clone(), place);
    }
    Ok((object, Storages::Legacy { bytes, places }))
}

impl Storages {
    /// The bytes of a storage.
    pub fn read(&self, path: &Path, storage: &Storage) -> Result<Vec<u8>, TorchError> {
        let (name, bytes) = match self {
            Storages::Zip { archive, prefix } => {
                let name = format!("{prefix}data/{}", storage.key);
                // A clone shares the file's bytes and its directory.
                let bytes = record(path, &mut archive.clone(), &name)?;
                (name, bytes)
            }
            Storages::Legacy { bytes, places } => {
                let place = places.get(&storage.key).cloned();
                (storage.key.clone(), place.map(|p| bytes[p].to_vec()).unwrap_or_default())
            }
        };
        if storage.count.checked_mul(storage.element.size) != Some(bytes.len()) {
            let problem = format!("{} bytes for {} numbers of {}", bytes.len(), storage.count, storage.element.class);
            return Err(TorchError::Record { path: path.into(), record: name, problem });
        }
        Ok(bytes)
    }
}
