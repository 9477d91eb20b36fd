//! Many numbers and names in little text. `assets/unpack.js` is the other side.
//!
//! * A number is seven bits a byte, the lowest first, and all numbers of a column are one base64 text.
//! * *Differences* hold what is added to the number before, zigzag-coded: 0, -1, 1, -2, … become 0, 1, 2, 3.
//! * In *sparse* columns each zero is followed by how many more zeros follow.
//! * A number that may be missing is one more than it is, and zero if it is missing.
#![expect(clippy::disallowed_types, reason = "asked only what it holds, never in order")]

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// Digits at the end of a name that are taken for a number: so few that a browser's numbers hold it.
const DIGITS_MAX: usize = 15;

/// Names in the order in which they first occurred, without repeating what they have in common: `c3-17` is the stem
/// `c3-` with a number that is one more than that of `c3-16`.
#[derive(Debug, Serialize)]
pub(super) struct Names {
    count: usize,
    stems: Vec<String>,
    /// For each name: which stem, times two, and one more if a number follows it.
    stem: String,
    /// For each name with a number: the difference to the number before with this stem.
    number: String,
}

/// Gives each name a place.
#[derive(Debug, Default)]
pub(super) struct Table {
    names: Vec<String>,
    places: HashMap<String, u64>,
}

impl Table {
    /// The place of a name; a new one has the next.
    pub(super) fn place(&mut self, name: String) -> u64 {
        let next = self.names.len() as u64;
        *self.places.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            next
        })
    }

    /// All names in the order of their places.
    pub(super) fn names(self) -> Vec<String> {
        self.names
    }

    /// The same, packed.
    pub(super) fn packed(self) -> Names {
        let mut stems = Self::default();
        let mut before: HashMap<u64, i64> = HashMap::new();
        let (mut stem_of, mut numbers) = (Vec::new(), Vec::new());
        for name in &self.names {
            let (stem, number) = split(name);
            let stem = stems.place(stem.to_owned());
            stem_of.push(2 * stem + u64::from(number.is_some()));
            if let Some(number) = number {
                let before = before.entry(stem).or_default();
                numbers.push(zigzag(number - *before));
                *before = number;
            }
        }
        let (stem, number) = (plain(stem_of.into_iter()), plain(numbers.into_iter()));
        Names { count: self.names.len(), stems: stems.names, stem, number }
    }
}

/// One more than a number, or zero if it is missing.
pub(super) fn maybe(number: Option<u64>) -> u64 {
    number.map_or(0, |number| number.saturating_add(1))
}

/// Numbers as they are.
pub(super) fn plain(numbers: impl Iterator<Item = u64>) -> String {
    let mut bytes = Vec::new();
    numbers.for_each(|number| push(&mut bytes, number));
    STANDARD.encode(bytes)
}

/// What is added to each number to become the next.
pub(super) fn differences(numbers: impl Iterator<Item = u64>) -> String {
    plain(steps(numbers))
}

/// The same for numbers that seldom change.
pub(super) fn sparse_differences(numbers: impl Iterator<Item = u64>) -> String {
    sparse(steps(numbers))
}

/// Numbers most of which are zero.
pub(super) fn sparse(numbers: impl Iterator<Item = u64>) -> String {
    let mut bytes = Vec::new();
    let mut zeros = 0_u64;
    let end_zeros = |bytes: &mut Vec<u8>, zeros: &mut u64| {
        if *zeros > 0 {
            push(bytes, 0);
            push(bytes, std::mem::take(zeros) - 1);
        }
    };
    for number in numbers {
        if number == 0 {
            zeros += 1;
        } else {
            end_zeros(&mut bytes, &mut zeros);
            push(&mut bytes, number);
        }
    }
    end_zeros(&mut bytes, &mut zeros);
    STANDARD.encode(bytes)
}

fn steps(numbers: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    numbers.scan(0_u64, |before, number| {
        let step = number.wrapping_sub(*before).cast_signed();
        *before = number;
        Some(zigzag(step))
    })
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// A name as what stands before its last digits, and these as a number, if that says the same again.
fn split(name: &str) -> (&str, Option<i64>) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &name[stem.len()..];
    let says_the_same =
        !digits.is_empty() && digits.len() <= DIGITS_MAX && (digits == "0" || !digits.starts_with('0'));
    match digits.parse() {
        Ok(number) if says_the_same => (stem, Some(number)),
        _ => (name, None),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A column's bytes as numbers.
    fn raw(column: &str) -> Vec<u64> {
        let (mut numbers, mut number, mut shift) = (Vec::new(), 0, 0);
        for byte in STANDARD.decode(column).expect("base64") {
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                numbers.push(number);
                (number, shift) = (0, 0);
            }
        }
        numbers
    }

    fn summed(steps: Vec<u64>) -> Vec<i64> {
        let step = |zigzag: u64| (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        steps
            .into_iter()
            .scan(0, |sum, zigzag| {
                Some({
                    *sum += step(zigzag);
                    *sum
                })
            })
            .collect()
    }

    /// As the page's program unpacks them.
    pub(in super::super) fn unpacked_plain(column: &str) -> Vec<i64> {
        raw(column).into_iter().map(u64::cast_signed).collect()
    }

    /// Likewise.
    pub(in super::super) fn unpacked_differences(column: &str) -> Vec<i64> {
        summed(raw(column))
    }

    fn unpacked_sparse(column: &str) -> Vec<u64> {
        let mut numbers = Vec::new();
        let mut packed = raw(column).into_iter();
        while let Some(number) = packed.next() {
            let more = if number == 0 { packed.next().expect("how many more") } else { 0 };
            numbers.extend(std::iter::repeat_n(number, more as usize + 1));
        }
        numbers
    }

    fn unpacked_names(names: &Names) -> Vec<String> {
        let mut numbers = raw(&names.number).into_iter();
        let mut last: HashMap<u64, Vec<u64>> = HashMap::new();
        let name = |coded: u64| {
            let stem = &names.stems[(coded / 2) as usize];
            if coded.is_multiple_of(2) {
                return stem.clone();
            }
            let steps = last.entry(coded / 2).or_default();
            steps.push(numbers.next().expect("a number"));
            format!("{stem}{}", summed(steps.clone()).last().expect("one"))
        };
        raw(&names.stem).into_iter().map(name).collect()
    }

    #[test]
    fn numbers_survive_whatever_their_size() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), 1 << 52, 5, 0, 0, 0, 7, 0];
        let signed = numbers.map(u64::cast_signed);
        assert_eq!(unpacked_plain(&plain(numbers.into_iter())), signed);
        assert_eq!(unpacked_differences(&differences(numbers.into_iter())), signed);
        assert_eq!(unpacked_sparse(&sparse(numbers.into_iter())), numbers);
        assert_eq!(summed(unpacked_sparse(&sparse_differences(numbers.into_iter()))), signed);
        assert_eq!(sparse(std::iter::repeat_n(0, 100_000)).len(), 8, "many zeros are little");
    }

    #[test]
    fn names_survive_whatever_they_end_in() {
        let names = [
            "c3-1",
            "c3-2",
            "c12-1",
            "q0",
            "",
            "007",
            "0",
            "x00",
            "c3-9",
            "c3-3",
            "é9",
            "9",
            "1234567890123456",
            "a-1",
        ];
        let mut table = Table::default();
        let places = names.map(|name| table.place(name.to_owned()));
        assert_eq!(places, std::array::from_fn(|place| place as u64));
        assert_eq!(table.place("q0".to_owned()), 3, "once is enough");
        assert_eq!(unpacked_names(&table.packed()), names);
    }

    #[test]
    fn values_that_count_up_are_little() {
        let mut table = Table::default();
        for n in 0..10_000 {
            table.place(format!("c{}-{}", n % 6, n / 6));
        }
        let packed = serde_json::to_string(&table.packed()).expect("JSON");
        assert!(packed.len() < 28_000, "{}", packed.len());
    }
}
