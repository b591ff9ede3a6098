//! Bytes that are being decoded at the same time, over all threads.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that may be in use at once.
const MOST: u64 = 2 << 30;

/// Memory that threads share: whoever wants more than is left waits until others give back.
pub(super) struct Budget {
    used: Mutex<u64>,
    given_back: Condvar,
}

/// A part of the budget, given back when it is dropped.
pub(super) struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    pub(super) fn new() -> Self {
        Budget { used: Mutex::new(0), given_back: Condvar::new() }
    }

    /// Waits for `bytes`; one who wants more than there is gets all of it. A thread that has a share takes no other one,
    /// so that somebody always goes on.
    pub(super) fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(MOST);
        let mut used = self.lock();
        while MOST - *used < bytes {
            used = self.given_back.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += bytes;
        Share { budget: self, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.lock() -= self.bytes;
        self.budget.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn threads_wait_for_memory() {
        let (budget, now, most) = (Budget::new(), AtomicU64::new(0), AtomicU64::new(0));
        let each = MOST / 2 - 1;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _share = budget.take(each);
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
        drop(budget.take(u64::MAX));
        assert_eq!(*budget.lock(), 0);
    }
}
