//! Types of the numbers in storages.

/// How the numbers of a storage are kept.
#[derive(Clone, Copy, Debug)]
pub struct Element {
    /// Class of the storage, without `Storage`.
    pub class: &'static str,
    /// Bytes of a number.
    pub size: usize,
    /// One number, rounded to f32; `None` for those that are not real.
    pub decode: Option<fn(&[u8]) -> f32>,
}

impl Element {
    /// The numbers of a storage of class `name`, such as `FloatStorage`.
    pub fn of(name: &str) -> Option<Element> {
        let class = name.strip_suffix("Storage")?;
        ELEMENTS.into_iter().find(|e| e.class == class)
    }
}

const ELEMENTS: [Element; 12] = [
    real("Float", 4, |b| f32::from_le_bytes(low(b))),
    real("Double", 8, |b| f64::from_le_bytes(low(b)) as f32),
    real("Half", 2, |b| half(u16::from_le_bytes(low(b)))),
    real("BFloat16", 2, |b| f32::from_bits(u32::from(u16::from_le_bytes(low(b))) << 16)),
    real("Long", 8, |b| i64::from_le_bytes(low(b)) as f32),
    real("Int", 4, |b| i32::from_le_bytes(low(b)) as f32),
    real("Short", 2, |b| i16::from_le_bytes(low(b)).into()),
    real("Char", 1, |b| i8::from_le_bytes(low(b)).into()),
    real("Byte", 1, |b| b[0].into()),
    real("Bool", 1, |b| if b[0] == 0 { 0.0 } else { 1.0 }),
    Element { class: "ComplexFloat", size: 8, decode: None },
    Element { class: "ComplexDouble", size: 16, decode: None },
];

const fn real(class: &'static str, size: usize, decode: fn(&[u8]) -> f32) -> Element {
    Element { class, size, decode: Some(decode) }
}

fn low<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}

/// IEEE 754 binary16, exactly.
fn half(bits: u16) -> f32 {
    let [sign, exponent, fraction] = [bits >> 15, bits >> 10 & 0x1f, bits & 0x3ff].map(u32::from);
    let magnitude = match exponent {
        0 => fraction as f32 / 16_777_216.0,
        31 => f32::from_bits(0xff << 23 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    if sign == 1 { -magnitude } else { magnitude }
}
