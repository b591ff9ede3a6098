//! Damage to files, for tests of what readers make of it.

use proptest::prelude::*;

/// One change to a file: bytes at a place (a share of the length, near the start more often), or its end.
#[derive(Debug, Clone)]
pub enum Change {
    Put(f64, Vec<u8>),
    Flip(f64, u8),
    Cut(f64),
}

/// Changes, of which `number` draws the bytes that are put somewhere.
pub fn change(number: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Change> {
    let place = || prop_oneof![0.0..1.0, 0.0..0.05, (0.0..1.0_f64).prop_map(|x| x * x * x)];
    prop_oneof![
        4 => (place(), number).prop_map(|(at, bytes)| Change::Put(at, bytes)),
        4 => (place(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        1 => (0.0..1.0).prop_map(Change::Cut),
    ]
}

/// Damages a file.
pub fn apply(changes: Vec<Change>, bytes: &mut Vec<u8>) {
    for change in changes {
        let len = bytes.len();
        let at = |share: f64| (share * len as f64) as usize;
        match change {
            Change::Put(share, new) => {
                for (old, new) in bytes[at(share).min(len)..].iter_mut().zip(new) {
                    *old = new;
                }
            }
            Change::Flip(share, bits) => {
                if let Some(byte) = bytes.get_mut(at(share)) {
                    *byte ^= bits;
                }
            }
            Change::Cut(share) => bytes.truncate(at(share)),
        }
    }
}
