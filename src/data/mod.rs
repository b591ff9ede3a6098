//! Data sets: one loader per format.
