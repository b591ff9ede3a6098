//! Element types and shapes.

use std::fmt;

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit floating point: all arithmetic.
    F32,
    /// 32-bit unsigned integer: indices and counts.
    U32,
    /// Bytes: the pixels of a data set as it was loaded.
    U8,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Dtype::F32 | Dtype::U32 => 4,
            Dtype::U8 => 1,
        }
    }
}

/// Extents of a tensor, row-major, outermost first.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.0.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Product of all extents but the last `n`: the number of rows when the last `n` form one item.
    pub fn rows(&self, n: usize) -> usize {
        self.0[..self.rank() - n].iter().product()
    }

    /// The last `N` extents.
    ///
    /// # Panics
    /// If the shape has fewer dimensions.
    pub fn tail<const N: usize>(&self) -> [usize; N] {
        assert!(self.rank() >= N, "a tensor of rank {N} or more is needed, not {self:?}");
        self.0[self.rank() - N..].try_into().expect("length checked")
    }

    /// The leading extents (all but the last `n`) followed by `last`.
    pub fn with_tail(&self, n: usize, last: &[usize]) -> Shape {
        let mut dims = self.0[..self.rank() - n].to_vec();
        dims.extend_from_slice(last);
        Shape(dims)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape(dims.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(dims.to_vec())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
