//! Numbers as NumPy, HDF5 and MATLAB files hold them, and how they become pixels and labels.

use super::error::FormatProblem;

/// The kind of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unsigned,
    Signed,
    Float,
}

/// The form of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    kind: Kind,
    /// Bytes: 1, 2, 4 or 8.
    size: usize,
    big_endian: bool,
}

impl Number {
    /// The form of `size` bytes, if there is such a one.
    pub(super) fn new(kind: Kind, size: usize, big_endian: bool) -> Option<Self> {
        let known = match kind {
            Kind::Float => matches!(size, 4 | 8),
            Kind::Unsigned | Kind::Signed => matches!(size, 1 | 2 | 4 | 8),
        };
        known.then_some(Number { kind, size, big_endian })
    }

    /// Bytes of one number.
    pub(super) fn size(self) -> usize {
        self.size
    }

    /// Whether it is a byte that can be taken as it is.
    pub(super) fn is_byte(self) -> bool {
        self.kind == Kind::Unsigned && self.size == 1
    }

    /// Whether it has a fraction.
    pub(super) fn is_float(self) -> bool {
        self.kind == Kind::Float
    }

    /// The numbers in `bytes`. A rest that is shorter than a number is left out.
    pub(super) fn values(self, bytes: &[u8]) -> impl Iterator<Item = f64> + Clone {
        bytes.chunks_exact(self.size).map(move |b| self.value(b))
    }

    /// One number of `size` bytes. Integers beyond 2^53 are rounded: no pixel and no label is that large.
    fn value(self, bytes: &[u8]) -> f64 {
        let mut raw: u64 = 0;
        for i in 0..self.size {
            let from = if self.big_endian { i } else { self.size - 1 - i };
            raw = raw << 8 | u64::from(bytes[from]);
        }
        let unused = 64 - 8 * self.size as u32;
        match (self.kind, self.size) {
            (Kind::Unsigned, _) => raw as f64,
            (Kind::Signed, _) => ((raw << unused) as i64 >> unused) as f64,
            (Kind::Float, 4) => f64::from(f32::from_bits(raw as u32)),
            (Kind::Float, _) => f64::from_bits(raw),
        }
    }
}

/// What the range of the numbers in a file stands for as pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// 0 to 1, black to white: times 255, to the nearest.
    Unit,
    /// 0 to 255, the fraction cut off as a cast does it.
    Bytes,
    /// [`Scale::Unit`] where the numbers are floats of at most 1, otherwise 0 to 255 to the nearest.
    Either,
}

/// Pixels out of `bytes`. A rounding error of 1e-4 of the range beyond its ends is let through.
pub(super) fn pixels(form: Number, bytes: Vec<u8>, scale: Scale) -> Result<Vec<u8>, FormatProblem> {
    if form.is_byte() && scale != Scale::Unit {
        return Ok(bytes);
    }
    let unit = match scale {
        Scale::Unit => true,
        Scale::Bytes => false,
        Scale::Either => form.is_float() && form.values(&bytes).all(|v| v <= 1.0),
    };
    let (factor, half) = if unit { (255.0, 0.5) } else { (1.0, if scale == Scale::Bytes { 0.0 } else { 0.5 }) };
    let mut pixels = Vec::with_capacity(bytes.len() / form.size());
    for value in form.values(&bytes) {
        let scaled = value * factor;
        if !(-0.0255..=255.0255).contains(&scaled) {
            let range = if unit { "0..1" } else { "0..255" };
            let index = pixels.len();
            return Err(FormatProblem::Content(format!("pixel number {index} is {value}, not in {range}")));
        }
        // The cast cuts off the fraction, and saturates.
        pixels.push((scaled + half) as u8);
    }
    Ok(pixels)
}

/// Labels out of `bytes`: whole numbers from 0 to 65535.
pub(super) fn labels(form: Number, bytes: &[u8]) -> Result<Vec<u32>, FormatProblem> {
    let label = |(i, v): (usize, f64)| {
        let whole = (0.0..=65535.0).contains(&v) && v.fract() == 0.0;
        whole.then_some(v as u32).ok_or_else(|| FormatProblem::Content(format!("label number {i} is {v}, no class")))
    };
    form.values(bytes).enumerate().map(label).collect()
}
