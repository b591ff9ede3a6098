//! Memory that a thread keeps from one kernel to the next.

use super::words::Words;
use std::cell::Cell;

thread_local! {
    static SCRATCH: Cell<Option<Words>> = const { Cell::new(None) };
}

/// Works with so many numbers, whatever earlier work left in them. They begin at a page.
///
/// # Panics
/// If there is no memory for them.
pub fn with<R>(numbers: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    // Taken out: work inside of this work finds none and takes memory of its own.
    let kept = SCRATCH.take().filter(|words| words.len() >= numbers);
    let mut words = kept.unwrap_or_else(|| {
        Words::zeroed(numbers).unwrap_or_else(|e| panic!("{numbers} numbers of scratch memory: {e}"))
    });
    let result = work(bytemuck::cast_slice_mut(&mut words[..numbers]));
    SCRATCH.set(Some(words));
    result
}
