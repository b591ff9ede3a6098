//! Files of safetensors whose bytes follow from their contents.

use safetensors::SafeTensorError;
use safetensors::tensor::{TensorView, serialize};
use serde_json::{Map, Value};

/// The header's length and what it is a multiple of, in bytes.
const WORD: usize = 8;

/// A file of tensors and metadata. The crate alone writes metadata in the random order of a `HashMap`; here they are in
/// the order of their keys, so that equal runs leave equal files.
///
/// # Errors
/// If a tensor is not what its shape says, or the header would be too large.
pub(super) fn serialized(
    tensors: Vec<(&String, TensorView)>,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, SafeTensorError> {
    let mut file = serialize(tensors, None)?;
    let end = WORD + file.first_chunk().map_or(0, |len| u64::from_le_bytes(*len) as usize);
    let named: Map<String, Value> =
        metadata.iter().map(|(key, value)| (key.to_string(), value.as_str().into())).collect();
    let tensors = String::from_utf8_lossy(&file[WORD..end]).trim_end().to_string();
    let comma = if tensors == "{}" { "" } else { "," };
    let mut header = format!("{{\"__metadata__\":{}{comma}{}", Value::Object(named), &tensors[1..]);
    // Tensors begin at a multiple of 8 bytes.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(WORD) - header.len()));
    let len = header.len() as u64;
    file.splice(..end, len.to_le_bytes().into_iter().chain(header.into_bytes()));
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::{Dtype, SafeTensors};

    #[test]
    fn the_same_contents_are_the_same_bytes() {
        let keys = ["run", "crc32", "format", "epoch", "active"];
        let metadata = keys.map(|key| (key, format!("\"{key}\" = {{é}}")));
        let (a, b) = ("a".to_string(), "b".to_string());
        for tensors in [&[][..], &[(&a, vec![1u8, 2, 3])], &[(&b, vec![7; 5]), (&a, vec![])]] {
            let write = || {
                let view = |bytes| TensorView::new(Dtype::U8, vec![<[u8]>::len(bytes)], bytes).expect("bytes");
                serialized(tensors.iter().map(|(name, bytes)| (*name, view(bytes))).collect(), &metadata)
                    .expect("a file")
            };
            let file = write();
            // The crate alone would give the same order once in 120 times.
            assert!((0..4).all(|_| write() == file));
            let (len, header) = SafeTensors::read_metadata(&file).expect("a header");
            assert_eq!(len % WORD, 0);
            let found = header.metadata().as_ref().expect("metadata");
            assert_eq!(found.len(), metadata.len());
            assert!(metadata.iter().all(|(key, value)| found[*key] == *value));
            let read = SafeTensors::deserialize(&file).expect("a file");
            assert_eq!(read.len(), tensors.len());
            for (name, bytes) in tensors {
                assert_eq!(read.tensor(name).expect("there").data(), bytes);
            }
        }
    }
}
