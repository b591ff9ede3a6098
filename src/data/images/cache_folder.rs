//! The folder of decoded sets: where it is, how large it may become, and what is in it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::cache;

/// Sets the bound in GiB; 0 for no cache.
const VARIABLE: &str = "PROTEUS_CACHE_GIB";
/// The bound in bytes, unless the variable says otherwise.
const LIMIT: u64 = 8 << 30;
/// Ending of the files of sets.
pub(super) const ENDING: &str = "images";
/// Ending of files that are being written.
pub(super) const UNFINISHED: &str = "part";
/// What was begun so long ago is not being written any more.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// A folder for decoded sets, of which those used last are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheFolder {
    /// Where it is, or is going to be.
    pub path: PathBuf,
    /// Bytes that its files may take together; 0 to keep none.
    pub limit: u64,
}

/// The bound of the cache is no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}={0}: the bound of the cache is a number of GiB, 0 for no cache")]
pub struct UnknownLimit(String);

/// A decoded set in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// Its file.
    pub path: PathBuf,
    /// Bytes of the file.
    pub bytes: u64,
    /// When it was written or read last.
    pub used: SystemTime,
    /// What it was made of, as far as the file can tell.
    pub origin: Option<Origin>,
}

/// What a decoded set was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The folder of images.
    pub folder: PathBuf,
    /// Number of image files in it.
    pub files: usize,
    /// Channels, height and width of the decoded images.
    pub shape: [usize; 3],
    /// How they were brought to their size; `None` if it is their own.
    pub fit: Option<String>,
}

impl CacheFolder {
    /// That of the user: `proteus` in the folder for caches, with a bound of 8 GiB or what `PROTEUS_CACHE_GIB` says.
    /// `None` where there is no folder for caches.
    ///
    /// # Errors
    /// [`UnknownLimit`] if the variable is set to something else than a number.
    pub fn of_user() -> Result<Option<Self>, UnknownLimit> {
        let limit = match std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
            None => LIMIT,
            Some(text) => bytes(&text.to_string_lossy())?,
        };
        Ok(user_folder().map(|path| CacheFolder { path, limit }))
    }

    /// The sets in it, the one used last first.
    ///
    /// # Errors
    /// What the system says if it cannot be read; no folder is one without sets.
    pub fn entries(&self) -> std::io::Result<Vec<CacheEntry>> {
        let files = match fs::read_dir(&self.path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files?,
        };
        let paths = files.map(|file| file.map(|file| file.path())).collect::<Result<Vec<_>, _>>()?;
        let ours = paths.into_iter().filter(|path| path.extension() == Some(OsStr::new(ENDING)));
        let mut entries: Vec<CacheEntry> = ours.filter_map(|path| entry(path, cache::origin)).collect();
        entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.path.cmp(&b.path)));
        Ok(entries)
    }

    /// Removes all sets and returns the bytes that they took.
    ///
    /// # Errors
    /// What the system says of the first that cannot be removed.
    pub fn clear(&self) -> std::io::Result<u64> {
        let mut freed = 0;
        for entry in self.entries()? {
            fs::remove_file(&entry.path)?;
            freed += entry.bytes;
        }
        self.sweep(SystemTime::now());
        Ok(freed)
    }

    /// Removes the sets that were not used for longest until `more` bytes fit, except for the file `keep`. Returns whether
    /// they do. What cannot be removed now may be another time.
    pub(super) fn make_room(&self, more: u64, keep: &Path) -> bool {
        let Some(most) = self.limit.checked_sub(more) else { return false };
        self.sweep(SystemTime::now());
        let mut entries = self.entries().unwrap_or_default();
        entries.retain(|entry| entry.path != keep);
        let mut total: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in entries.iter().rev() {
            if total <= most {
                break;
            }
            if fs::remove_file(&entry.path).is_ok() {
                total -= entry.bytes;
            }
        }
        total <= most
    }

    /// Removes what was begun and never finished.
    fn sweep(&self, now: SystemTime) {
        let Ok(files) = fs::read_dir(&self.path) else { return };
        let unfinished = files.flatten().filter(|file| file.path().extension() == Some(OsStr::new(UNFINISHED)));
        for entry in unfinished.filter_map(|file| entry(file.path(), |_| None)) {
            if now.duration_since(entry.used).is_ok_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(&entry.path);
            }
        }
    }
}

/// Notes that a file was used now. That this cannot be noted is no harm.
pub(super) fn touch(path: &Path) {
    let _ = File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// A file, if it is still there.
fn entry(path: PathBuf, origin: impl Fn(&Path) -> Option<Origin>) -> Option<CacheEntry> {
    let about = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Some(CacheEntry { bytes: about.len(), used, origin: origin(&path), path })
}

/// The folder for what can be made again: `proteus` in the user's folder for caches; `None` where there is no such folder.
pub fn user_folder() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = || variable("HOME");
    let caches = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("XDG_CACHE_HOME").or_else(|| Some(home()?.join("Library").join("Caches")))
    } else {
        // The specification wants relative paths to be ignored.
        variable("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| Some(home()?.join(".cache")))
    };
    Some(caches?.join("proteus"))
}

/// Bytes of a number of GiB.
fn bytes(text: &str) -> Result<u64, UnknownLimit> {
    match text.trim().parse::<f64>() {
        Ok(gib) if gib.is_finite() && gib >= 0.0 => Ok((gib * (1u64 << 30) as f64) as u64),
        _ => Err(UnknownLimit(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read() {
        assert_eq!((bytes("2"), bytes(" 0.5 "), bytes("0")), (Ok(2 << 30), Ok(1 << 29), Ok(0)));
        for text in ["", "2GiB", "-1", "inf", "nan"] {
            let error = bytes(text).expect_err(text).to_string();
            assert!(error.contains(&format!("PROTEUS_CACHE_GIB={text}: ")), "{error}");
        }
    }

    #[test]
    fn what_was_used_last_stays() {
        let home = tempfile::tempdir().expect("a folder");
        let path = |name: &str| home.path().join(name);
        let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
        // The number of hours since each was used.
        for (name, hours) in
            [("a.images", 5), ("b.images", 1), ("c.images", 9), ("d.txt", 99), ("e.part", 1), ("f.part", 25)]
        {
            fs::write(path(name), [0; 10]).expect("written");
            let file = File::options().append(true).open(path(name)).expect("open");
            file.set_modified(now - hours * hour).expect("a time");
        }
        let caches = CacheFolder { path: home.path().to_owned(), limit: 40 };
        let names = || -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(home.path()).expect("a folder").flatten().collect();
            names.sort_by_key(|f| f.file_name());
            names.iter().map(|f| f.file_name().to_string_lossy().into_owned()).collect()
        };
        assert!(caches.make_room(10, &path("new")));
        assert_eq!(names(), ["a.images", "b.images", "c.images", "d.txt", "e.part"], "all fit");
        assert!(caches.make_room(20, &path("new")));
        assert_eq!(names(), ["a.images", "b.images", "d.txt", "e.part"], "the oldest goes");
        assert!(!caches.make_room(41, &path("new")), "more than may be there at all");
        touch(&path("a.images"));
        assert!(caches.make_room(31, &path("b.images")), "what is replaced does not count, nor is it removed");
        assert_eq!(names(), ["b.images", "d.txt", "e.part"]);
        assert_eq!(caches.clear().expect("removed"), 10);
        assert_eq!(names(), ["d.txt", "e.part"]);
        assert!(CacheFolder { path: path("none"), limit: 1 }.entries().expect("no folder").is_empty());
    }
}
