//! The tape: operations recorded symbolically, differentiated in reverse mode, and compiled into a
//! list of calls over planned memory that an engine replays.
//!
//! * [`Tape`] records operations on [`Var`] handles. Nothing is computed while recording.
//! * [`Tape::gradients`] appends the adjoint operations to the same tape.
//! * [`Program`] is what is left after dead code is removed: the input of both engines.
//! * [`memory`] assigns transient tensors to slots by their lifetimes.
//! * [`Store`] lists the tensors that outlive a step: parameters, optimiser state, the data set.
//!
//! Each family of operations has one file under `ops/` with its shape rule, its adjoint and its cost.

mod engine;
mod error;
pub mod memory;
mod op;
mod ops;
mod program;
mod record;
mod reverse;
mod store;
mod tensor;
mod timing;

pub use engine::{Engine, EngineError, PlanId};
pub use error::TapeError;
pub use op::{ConvSpec, Extreme, Op, Padding, Rows};
pub use ops::{AdamSpec, LARGEST_WINDOW};
pub use program::{Call, Operand, Place, Program, Storage};
pub use record::{Tape, Var};
pub use store::{ALIGNMENT, Arena, Persistent, PersistentId, Store};
pub use tensor::{Dtype, Shape};
pub use timing::{KernelTime, Launch, Work};
