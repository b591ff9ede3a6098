//! Memory that a thread keeps from one kernel to the next.

use super::words::Words;
use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<Option<Words>> = const { RefCell::new(None) };
}

/// Works with so many numbers, whatever earlier work left in them. They begin at a page.
///
/// # Panics
/// If there is no memory for them, or within such work.
pub fn with<R>(numbers: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|words| {
        if words.as_ref().is_none_or(|words| words.len() < numbers) {
            let new = Words::zeroed(numbers);
            *words = Some(new.unwrap_or_else(|e| panic!("{numbers} numbers of scratch memory: {e}")));
        }
        let words = words.as_mut().map_or(&mut [][..], |words| &mut words[..numbers]);
        work(bytemuck::cast_slice_mut(words))
    })
}
