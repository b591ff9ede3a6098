//! Event files as TensorBoard reads them: records with check sums, each a small protocol buffer.
//! (tensorflow/core/lib/io/record_writer.h and tensorflow/core/util/event.proto)

use crate::train::TrainError;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Their folder in that of the run.
const FOLDER: &str = "tensorboard";

/// An event file that grows.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// A new file in the folder `tensorboard` of the run folder `run`. Of a run that was resumed after `epochs` epochs,
    /// TensorBoard forgets what earlier files say of later ones.
    ///
    /// # Errors
    /// [`TrainError::File`] if it cannot be written.
    pub fn create(run: &Path, epochs: usize) -> Result<Self, TrainError> {
        let folder = run.join(FOLDER);
        let failed = |path: &Path, source| TrainError::File { action: "create", path: path.to_path_buf(), source };
        std::fs::create_dir_all(&folder).map_err(|e| failed(&folder, e))?;
        // TensorBoard reads the files of a folder in the order of their names: seconds since 1970, then what tells those
        // of one second apart.
        let seconds = now() as u64;
        let mut number = 0;
        loop {
            let path = folder.join(format!("events.out.tfevents.{seconds:010}.proteus.{number:03}"));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut events = Events { path, file };
                    events.write(0, &bytes(3, b"brain.Event:2"))?;
                    if epochs > 0 {
                        // session_log { status: START }
                        events.write(epochs + 1, &bytes(7, &integer(1, 1)))?;
                    }
                    return Ok(events);
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(e) => return Err(failed(&path, e)),
            }
        }
    }

    /// Numbers after an epoch.
    ///
    /// # Errors
    /// [`TrainError::File`] if they cannot be written.
    pub fn scalars(&mut self, epoch: usize, values: &[(String, f64)]) -> Result<(), TrainError> {
        let value = |(tag, v): &(String, f64)| bytes(1, &[bytes(1, tag.as_bytes()), float(2, *v as f32)].concat());
        let values: Vec<u8> = values.iter().flat_map(value).collect();
        self.write(epoch, &bytes(5, &values))
    }

    /// A PNG file after an epoch.
    ///
    /// # Errors
    /// [`TrainError::File`] if it cannot be written.
    pub fn image(&mut self, epoch: usize, tag: &str, [width, height]: [u32; 2], png: &[u8]) -> Result<(), TrainError> {
        let image = [integer(1, height.into()), integer(2, width.into()), integer(3, 3), bytes(4, png)].concat();
        let value = [bytes(1, tag.as_bytes()), bytes(4, &image)].concat();
        self.write(epoch, &bytes(5, &bytes(1, &value)))
    }

    fn write(&mut self, step: usize, what: &[u8]) -> Result<(), TrainError> {
        let time = [vec![(1 << 3) | 1], now().to_le_bytes().to_vec()].concat();
        let event = [time, integer(2, step as u64), what.to_vec()].concat();
        // In one piece, so that a crash leaves whole records but for the last.
        let written = self.file.write_all(&record(&event));
        written.map_err(|source| TrainError::File { action: "write", path: self.path.clone(), source })
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Length, its check sum, data, their check sum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length).to_le_bytes(), data, &masked_crc(data).to_le_bytes()].concat()
}

/// CRC-32C, rotated and moved so that a check sum of data with check sums in them is a good one.
fn masked_crc(data: &[u8]) -> u32 {
    let crc = crc32c(data);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with the polynomial of Castagnoli.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let (mut value, mut bit) = (i as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0x82f6_3b78 } else { value >> 1 };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    !data.iter().fold(!0, |crc: u32, &byte| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)])
}

/// A field of a protocol buffer that is a whole number.
fn integer(field: u8, value: u64) -> Vec<u8> {
    let mut out = vec![field << 3];
    varint(value, &mut out);
    out
}

/// A field of 32 bits.
fn float(field: u8, value: f32) -> Vec<u8> {
    [&[(field << 3) | 5][..], &value.to_le_bytes()].concat()
}

/// A field of so many bytes: text, a picture, another message.
fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![(field << 3) | 2];
    varint(value.len() as u64, &mut out);
    out.extend_from_slice(value);
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data of the records of a file, whose check sums must agree.
    fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !file.is_empty() {
            let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes"));
            let length = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
            assert_eq!(number(8), masked_crc(&file[..8]));
            assert_eq!(number(12 + length), masked_crc(&file[12..12 + length]));
            found.push(file[12..12 + length].to_vec());
            file = &file[16 + length..];
        }
        found
    }

    #[test]
    fn check_sums_are_those_of_others() {
        // RFC 3720, B.4, and the empty record's length as TensorFlow writes it.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked_crc(&[0; 8]), crc32c(&[0; 8]).rotate_right(15).wrapping_add(0xa282_ead8));
        // What TensorFlow's first record of every event file of this version starts with: 24 bytes.
        assert_eq!(record(&[0; 24])[..12], [24, 0, 0, 0, 0, 0, 0, 0, 163, 127, 75, 34]);
    }

    #[test]
    fn records_hold_what_was_written() {
        let home = tempfile::tempdir().expect("a folder");
        let mut first = Events::create(home.path(), 0).expect("a file");
        first.scalars(3, &[("loss/train".into(), 0.5), ("score/acc".into(), 0.25)]).expect("written");
        first.image(300, "prototypes", [2, 1], b"PNG").expect("written");
        let second = Events::create(home.path(), 3).expect("another file in the same second");
        assert!(second.path > first.path);
        let found = records(&std::fs::read(&first.path).expect("readable"));
        assert_eq!(found.len(), 3);
        assert!(found[0].ends_with(b"\x1a\x0dbrain.Event:2"), "the version comes first: {:?}", found[0]);
        // After the time: step 3, a summary of two values.
        assert_eq!(found[1][9..15], [0x10, 3, 0x2a, 37, 0x0a, 17]);
        assert_eq!(found[1][15..27], *b"\x0a\x0aloss/train");
        assert_eq!(found[1][27..32], [0x15, 0, 0, 0, 0x3f], "0.5");
        assert_eq!(found[2][9..12], [0x10, 0xac, 2], "step 300");
        assert!(found[2].ends_with(b"\x08\x01\x10\x02\x18\x03\x22\x03PNG"), "height, width, colours, file");
        let found = records(&std::fs::read(&second.path).expect("readable"));
        assert!(found[1].ends_with(&[0x10, 4, 0x3a, 2, 8, 1]), "a session starts before epoch 4: {:?}", found[1]);
    }
}
