//! Tables of variants that were measured to be the fastest, one file a device.

use super::adapter::AdapterSummary;
use super::lower::VariantChoice;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What `proteus tune` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuned {
    /// Version of the program; another one may have other kernels.
    pub version: String,
    /// Name of the device.
    pub device: String,
    /// Its driver; another one may compile kernels otherwise.
    pub driver: String,
    /// A variant for each operation and size that was measured.
    #[serde(default)]
    pub choice: Vec<VariantChoice>,
}

/// A table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TunedError {
    /// The file is no such table.
    #[error(
        "the table of tuned kernels {path} is damaged: {message}; mend it, or remove it by `proteus tune --forget`"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it, on one line.
        message: String,
    },
    /// The file cannot be read, written or removed.
    #[error("the table of tuned kernels {path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
}

impl TunedError {
    fn damaged(path: &Path, message: impl ToString) -> Self {
        let message = message.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        TunedError::Damaged { path: path.display().to_string(), message }
    }

    fn io(path: &Path, error: io::Error) -> Self {
        TunedError::Io { path: path.display().to_string(), error }
    }
}

impl Tuned {
    /// An empty table for a device.
    pub fn new(adapter: &AdapterSummary) -> Self {
        let version = env!("CARGO_PKG_VERSION").into();
        Tuned { version, device: adapter.name.clone(), driver: adapter.driver.clone(), choice: Vec::new() }
    }

    /// The file of a device.
    pub fn path(folder: &Path, adapter: &AdapterSummary) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        folder.join(adapter.name.chars().map(plain).collect::<String>() + ".toml")
    }

    /// The table of a device; an empty one if there is none, or if it was measured with another driver or another
    /// version of the program.
    ///
    /// # Errors
    /// If there is a file that is no such table, with the line.
    pub fn read(folder: &Path, adapter: &AdapterSummary) -> Result<Self, TunedError> {
        let path = Self::path(folder, adapter);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::new(adapter)),
            Err(e) => return Err(TunedError::io(&path, e)),
        };
        let table: Tuned = toml::from_str(&text).map_err(|e| TunedError::damaged(&path, e))?;
        let fresh = Self::new(adapter);
        if (&table.version, &table.device, &table.driver) != (&fresh.version, &fresh.device, &fresh.driver) {
            return Ok(fresh);
        }
        if let Some(c) = table.choice.iter().find(|c| !c.is_known()) {
            return Err(TunedError::damaged(&path, format!("there is no variant {} of {}", c.variant, c.operation)));
        }
        Ok(table)
    }

    /// Removes the file of a device, if there is one. Returns its path.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn forget(folder: &Path, adapter: &AdapterSummary) -> Result<PathBuf, TunedError> {
        let path = Self::path(folder, adapter);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(TunedError::io(&path, e)),
            _ => Ok(path),
        }
    }

    /// Puts choices in, over those for the same operations and sizes.
    pub fn merge(&mut self, choices: Vec<VariantChoice>) {
        let same = |a: &VariantChoice, b: &VariantChoice| a.operation == b.operation && a.sizes == b.sizes;
        self.choice.retain(|old| !choices.iter().any(|new| same(old, new)));
        self.choice.extend(choices);
    }

    /// Writes the file of the device, whole or not at all. Returns its path.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Path, adapter: &AdapterSummary) -> Result<PathBuf, TunedError> {
        let path = Self::path(folder, adapter);
        let failed = |e: io::Error| TunedError::io(&path, e);
        let table = toml::to_string(self).map_err(|e| failed(io::Error::other(e)))?;
        let text =
            format!("# Kernels that `proteus tune` measured to be the fastest. Edit or delete at will.\n{table}");
        fs::create_dir_all(folder).map_err(failed)?;
        let aside = path.with_extension("part");
        fs::write(&aside, text).and_then(|()| fs::rename(&aside, &path)).map_err(failed)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::super::adapter::tests::summary;
    use super::*;

    #[test]
    fn tables_are_kept_by_device_and_driver() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path().join("tuned");
        let adapter = summary(0, "Large (TM) 3", wgpu::DeviceType::DiscreteGpu);
        let mut table = Tuned::read(&folder, &adapter).expect("there is none yet");
        assert_eq!(table, Tuned::new(&adapter));
        let one = |shapes: &str, variant: &str| VariantChoice {
            sizes: Some(shapes.into()),
            ..VariantChoice::new("conv2d", variant)
        };
        table.merge(vec![one("1x1", "tiled"), one("2x2", "tiled")]);
        table.merge(vec![one("2x2", "plain")]);
        assert_eq!(table.choice, [one("1x1", "tiled"), one("2x2", "plain")]);
        let path = table.write(&folder, &adapter).expect("written");
        assert!(path.ends_with("large--tm--3.toml"), "{}", path.display());
        assert_eq!(Tuned::read(&folder, &adapter).expect("read"), table);

        let newer = AdapterSummary { driver: "driver 2".into(), ..adapter.clone() };
        assert!(Tuned::read(&folder, &newer).expect("read").choice.is_empty(), "it was measured with another driver");
        let older = Tuned { version: "0.0.0".into(), ..table.clone() };
        older.write(&folder, &adapter).expect("written");
        assert!(Tuned::read(&folder, &adapter).expect("read").choice.is_empty(), "it is of another version");
        table.write(&folder, &adapter).expect("written");
        let text = fs::read_to_string(&path).expect("readable");
        for (right, wrong) in [("\"plain\"", "\"plane\""), ("operation", "operatoin"), ("[[choice]]", "[choice")] {
            fs::write(&path, text.replacen(right, wrong, 1)).expect("written");
            let error = Tuned::read(&folder, &adapter).expect_err(wrong).to_string();
            assert!(error.contains("large--tm--3.toml") && error.contains("--forget"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        Tuned::forget(&folder, &adapter).expect("removed");
        Tuned::forget(&folder, &adapter).expect("gone already");
        assert!(Tuned::read(&folder, &adapter).expect("read").choice.is_empty());
    }
}
