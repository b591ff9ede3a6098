//! What the tests of operations share: seeded data, a description of every operation, a reference in f64,
//! comparisons, and a runner that puts a case on an engine.

#![allow(dead_code, reason = "every test binary uses a part of this")]

#[path = "../adapter/mod.rs"]
pub mod adapter;
pub mod builder;
pub mod compare;
pub mod engines;
pub mod reference;
pub mod reference_engine;
pub mod runner;
pub mod table;
