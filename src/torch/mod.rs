//! Files of `torch.save`: the container, the pickle inside and the tensors that it describes. Nothing in a file is
//! executed.

mod container;
mod element;
mod error;
mod file;
mod pickle;

pub use error::{PickleError, PickleProblem, TorchError};
pub use file::{Item, Tensor, TorchFile};
pub use pickle::{Id, Pickle, Value};
