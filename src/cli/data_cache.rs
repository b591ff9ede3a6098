//! `proteus data cache`.

use super::failure::Failure;
use super::images::user_cache;
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
        writeln!(out, "{place} is empty now; {} MiB were freed", freed.div_ceil(1 << 20))?;
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
        let of = entry.folder.as_deref().unwrap_or(&entry.path).display();
        writeln!(out, "{:>7} MiB  used {used:12}  {of}", entry.bytes.div_ceil(1 << 20))?;
    }
    let (taken, most) = (total.div_ceil(1 << 20), caches.limit >> 20);
    writeln!(out, "{place}: {} sets, {taken} of at most {most} MiB (PROTEUS_CACHE_GIB)", entries.len())?;
    Ok(())
}
