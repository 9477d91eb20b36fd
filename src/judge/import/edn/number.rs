//! Numbers, characters and escapes: each has one way in which it is printed, so that equal ones are equal.

/// A number as a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// A whole one of 64 bits.
    Integer(i64),
    /// Any other, as it is printed.
    Other(String),
}

/// A number, which begins with a digit after its sign. What Clojure takes for equal is printed alike: `1`, `+1`, `1N` and
/// `0x1`; `1.0` and `1e0`; `1.20M` and `1.2M`. `None`: it is none.
pub(super) fn number(word: &str) -> Option<Number> {
    let integer = |number: i128| match i64::try_from(number) {
        Ok(number) => Number::Integer(number),
        Err(_) => Number::Other(number.to_string()),
    };
    let (minus, digits) = match word.as_bytes()[0] {
        b'-' => (true, &word[1..]),
        b'+' => (false, &word[1..]),
        _ => (false, word),
    };
    let signed = |number: i128| if minus { -number } else { number };
    let whole = digits.strip_suffix('N').unwrap_or(digits);
    if whole.bytes().all(|byte| byte.is_ascii_digit()) && !whole.is_empty() {
        if whole.len() > 1 && whole.starts_with('0') {
            return i128::from_str_radix(whole, 8).ok().map(|number| integer(signed(number)));
        }
        return Some(match whole.parse::<i128>() {
            Ok(number) => integer(signed(number)),
            Err(_) => Number::Other(format!("{}{whole}", if minus { "-" } else { "" })),
        });
    }
    if let Some(hex) = whole.strip_prefix("0x").or_else(|| whole.strip_prefix("0X")) {
        return unsigned(hex, 16).map(|number| integer(signed(number)));
    }
    if let Some((radix, number)) = whole.split_once(['r', 'R']) {
        let radix = radix.parse().ok().filter(|radix| (2..=36).contains(radix))?;
        return unsigned(number, radix).map(|number| integer(signed(number)));
    }
    if let Some((above, below)) = digits.split_once('/') {
        let (above, below) = (unsigned(above, 10)?, unsigned(below, 10).filter(|&below| below > 0)?);
        let common = common_divisor(above, below);
        let (above, below) = (signed(above / common), below / common);
        return Some(if below == 1 { integer(above) } else { Number::Other(format!("{above}/{below}")) });
    }
    match digits.strip_suffix('M') {
        Some(digits) => decimal(minus, digits).map(Number::Other),
        None => floating(word).map(Number::Other),
    }
}

fn unsigned(digits: &str, radix: u32) -> Option<i128> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    i128::from_str_radix(digits, radix).ok().filter(|_| is_plain)
}

fn common_divisor(mut one: i128, mut other: i128) -> i128 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one.max(1)
}

/// Digits, perhaps with a point, and an exponent.
fn parts(digits: &str) -> Option<(&str, &str, i64)> {
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (!whole.is_empty() && are_digits(whole) && are_digits(fraction)).then_some((whole, fraction, exponent))
}

fn floating(word: &str) -> Option<String> {
    parts(word.trim_start_matches(['+', '-']))?;
    let number: f64 = word.parse().ok()?;
    Some(match number {
        f64::INFINITY => "##Inf".to_owned(),
        f64::NEG_INFINITY => "##-Inf".to_owned(),
        0.0 => "0.0".to_owned(),
        _ => format!("{number:?}"),
    })
}

/// Without zeros that say nothing, and without an exponent if that is short.
fn decimal(minus: bool, digits: &str) -> Option<String> {
    /// Zeros that are written out.
    const ZEROS_MAX: i64 = 30;
    let (whole, fraction, exponent) = parts(digits)?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some("0M".to_owned());
    }
    let exponent = exponent
        .checked_sub(fraction.len() as i64)?
        .checked_add((digits.len() - significant.len()) as i64)?;
    let sign = if minus { "-" } else { "" };
    Some(match exponent {
        0..=ZEROS_MAX => format!("{sign}{significant}{}M", "0".repeat(exponent as usize)),
        _ if (-ZEROS_MAX..0).contains(&exponent) => {
            let below = exponent.unsigned_abs() as usize;
            let padded =
                format!("{}{significant}", "0".repeat((below + 1).saturating_sub(significant.len())));
            let (whole, fraction) = padded.split_at(padded.len() - below);
            format!("{sign}{whole}.{fraction}M")
        }
        _ => format!("{sign}{significant}E{exponent}M"),
    })
}

/// The names of characters that are not written as they are.
const NAMED: [(&str, char); 6] = [
    ("newline", '\n'),
    ("return", '\r'),
    ("space", ' '),
    ("tab", '\t'),
    ("backspace", '\u{8}'),
    ("formfeed", '\u{c}'),
];

/// A character, from what is after its backslash; `None`: there is none of that name.
pub(super) fn character(name: &str) -> Option<String> {
    let mut chars = name.chars();
    let first = chars.next()?;
    let unit = if chars.next().is_none() {
        u32::from(first)
    } else if let Some((_, named)) = NAMED.iter().find(|(known, _)| *known == name) {
        u32::from(*named)
    } else if let Some(hex) = name.strip_prefix('u').filter(|hex| hex.len() == 4) {
        unsigned(hex, 16)? as u32
    } else {
        let octal = name.strip_prefix('o').filter(|octal| octal.len() <= 3)?;
        unsigned(octal, 8).filter(|&unit| unit <= 0o377)? as u32
    };
    Some(match char::from_u32(unit) {
        Some(c) => match NAMED.iter().find(|(_, named)| *named == c) {
            Some((name, _)) => format!("\\{name}"),
            None if c.is_control() || c.is_whitespace() => format!("\\u{unit:04x}"),
            None => format!("\\{c}"),
        },
        None => format!("\\u{unit:04x}"),
    })
}

/// What an escape stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    Char(char),
    /// Half of a surrogate pair: no character.
    Half(u32),
}

/// What the escape stands for that begins after a backslash, and its bytes without that; `None`: there is none such.
pub(super) fn escape(rest: &str) -> Option<(Escape, usize)> {
    let plain = |c| Some((Escape::Char(c), 1));
    match rest.as_bytes().first()? {
        b'n' => plain('\n'),
        b'r' => plain('\r'),
        b't' => plain('\t'),
        b'b' => plain('\u{8}'),
        b'f' => plain('\u{c}'),
        b'"' => plain('"'),
        b'\\' => plain('\\'),
        b'0'..=b'7' => {
            let digits = rest.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            let unit = u32::from_str_radix(&rest[..digits], 8).ok().filter(|&unit| unit <= 0o377)?;
            Some((Escape::Char(char::from_u32(unit)?), digits))
        }
        b'u' => {
            let unit = |text: &str| unsigned(text.get(..4)?, 16).map(|unit| unit as u32);
            let high = unit(&rest[1..])?;
            let low = rest[5..].strip_prefix("\\u").and_then(unit);
            if let (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) = (high, low) {
                let pair = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Some((Escape::Char(char::from_u32(pair)?), 11));
            }
            Some((char::from_u32(high).map_or(Escape::Half(high), Escape::Char), 5))
        }
        _ => None,
    }
}
