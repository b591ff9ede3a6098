//! The order that people expect of file names: `img2` before `img10`.

use std::cmp::Ordering;

/// Compares two relative paths with `/` between their parts, folder by folder; digits in a row count as one number. Names
/// that differ in leading zeros alone are told apart by their bytes, so that the order is total.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('/'), b.split('/'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => name(a, b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn name(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() && !b.is_empty() {
        let (left, right) = (digits(a), digits(b));
        let order = if left > 0 && right > 0 {
            let (number, other) = (a[..left].trim_start_matches('0'), b[..right].trim_start_matches('0'));
            (a, b) = (&a[left..], &b[right..]);
            number.len().cmp(&other.len()).then(number.cmp(other))
        } else {
            let (mut x, mut y) = (a.chars(), b.chars());
            let order = x.next().cmp(&y.next());
            (a, b) = (x.as_str(), y.as_str());
            order
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// Bytes of the digits that `text` begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let expected = [
            "a/9.png",
            "a/10.png",
            "a b/1.png",
            "a2/1.png",
            "a10/1.png",
            "b",
            "b/1.png",
            "img.png",
            "img2.png",
            "img02.png",
            "img10.png",
            "img99999999999999999999998.png",
            "img99999999999999999999999.png",
            "x1y2",
            "x1y10",
            "x01y10",
            "é1",
            "é12",
        ];
        let mut sorted = expected.to_vec();
        sorted.reverse();
        sorted.sort_by(|a, b| natural(a, b));
        // Equal numbers with different zeros are told apart by bytes.
        let mut expected = expected.to_vec();
        expected.swap(8, 9);
        expected.swap(14, 15);
        assert_eq!(sorted, expected);
    }
}
