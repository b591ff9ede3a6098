//! `proteus data cache`.

use super::failure::Failure;
use super::images::user_cache;
use crate::data::images::Origin;
use std::io::Write;
use std::time::SystemTime;

/// Shows what is kept of decoded images, or removes it.
pub fn run(clear: bool) -> Result<(), Failure> {
    let Some(caches) = user_cache()? else {
        return Err(Failure::User("there is no folder for caches: neither XDG_CACHE_HOME nor HOME is set".into()));
    };
    let place = caches.path.display();
    let mut out = std::io::stdout().lock();
    if clear {
        let freed = caches.clear().map_err(|e| Failure::Failed(format!("cannot empty {place}: {e}")))?;
        writeln!(out, "no decoded images are left in {place}; {} MiB were freed", freed.div_ceil(1 << 20))?;
        return Ok(());
    }
    let entries = caches.entries().map_err(|e| Failure::Failed(format!("cannot read {place}: {e}")))?;
    let mut total = 0;
    for entry in &entries {
        total += entry.bytes;
        let days = SystemTime::now().duration_since(entry.used).map_or(0, |age| age.as_secs() / (24 * 3600));
        let used = match days {
            0 => "today".into(),
            1 => "1 day ago".into(),
            days => format!("{days} days ago"),
        };
        let what = match &entry.origin {
            Some(Origin { folder, files, shape: [_, height, width], fit }) => {
                let fit = fit.as_ref().map_or(String::new(), |fit| format!(", {fit}"));
                format!("{} ({files} files at {width}x{height}{fit})", folder.display())
            }
            None => entry.path.display().to_string(),
        };
        writeln!(out, "{:>7} MiB  used {used:12}  {what}", entry.bytes.div_ceil(1 << 20))?;
    }
    let (taken, most) = (total.div_ceil(1 << 20), caches.limit >> 20);
    let count = entries.len();
    let sets = if count == 1 { "set" } else { "sets" };
    writeln!(out, "{place}: {count} {sets}, {taken} of at most {most} MiB (PROTEUS_CACHE_GIB)")?;
    Ok(())
}
