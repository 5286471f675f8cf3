//! Numbers, times and names of arguments.

use super::diagnostics::Fault;
use super::lexer::Word;

/// The longest time, in milliseconds (24.8 days), as in HAProxy.
const TIME_MS_MAX: u64 = i32::MAX as u64;

/// A time with an optional unit (configuration §2.5); without one, milliseconds. What is not 0 is at least 1 ms.
///
/// # Errors
/// No number, no such unit, too long.
pub(crate) fn time_ms(word: &Word) -> Result<u64, Fault> {
    Ok(time_us(word, 1_000)?.div_ceil(1_000))
}

/// The same in seconds, which are the unit where none is written.
///
/// # Errors
/// As [`time_ms`].
pub(crate) fn time_s(word: &Word) -> Result<u32, Fault> {
    Ok(u32::try_from(time_us(word, 1_000_000)?.div_ceil(1_000_000)).unwrap_or(u32::MAX))
}

/// A time in microseconds; `plain_us` is the unit where none is written, of which there can be so many as HAProxy counts.
fn time_us(word: &Word, plain_us: u64) -> Result<u64, Fault> {
    let text = word.text()?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let expected = "expected a time such as 500ms, 5s, 2m, 1h (us, ms, s, m, h, d; without a unit ms)";
    if number.is_empty() {
        return Err(Fault::at(word.span, format_args!("{} is no time; {expected}", word.quoted())));
    }
    let factor_us: u64 = match unit {
        "us" => 1,
        "" => plain_us,
        "ms" => 1_000,
        // HAProxy before 3.0 reads the first letter and no further, and `15min` is on many a device.
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000,
        "h" | "hour" | "hours" => 3_600_000_000,
        "d" | "day" | "days" => 86_400_000_000,
        _ => {
            return Err(Fault::at(word.span, format_args!("{} has no time unit; {expected}", word.quoted())));
        }
    };
    let time_us = number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(factor_us))
        .filter(|&us| us <= TIME_MS_MAX * plain_us);
    time_us.ok_or_else(|| {
        Fault::at(word.span, {
            let most = if plain_us == 1_000 { "24.8 days" } else { "68 years" };
            format!("{} is longer than {most}", word.quoted())
        })
    })
}

/// A time that is not 0.
///
/// # Errors
/// As [`time_ms`], and 0.
pub(crate) fn positive_time_ms(word: &Word) -> Result<u64, Fault> {
    match time_ms(word)? {
        0 => Err(Fault::at(word.span, "this time cannot be 0")),
        time => Ok(time),
    }
}

/// A whole number between `min` and `max`.
///
/// # Errors
/// Not a number, or out of the range.
pub(crate) fn number(word: &Word, min: u32, max: u32) -> Result<u32, Fault> {
    let text = word.text()?;
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(n) if plain && (min..=max).contains(&n) => Ok(n),
        _ if max == u32::MAX => {
            Err(Fault::at(word.span, format_args!("{}: expected a number, {min} or more", word.quoted())))
        }
        _ => Err(Fault::at(
            word.span,
            format_args!("{}: expected a number from {min} to {max}", word.quoted()),
        )),
    }
}

/// A name of a proxy, server or ACL: letters, digits, `-`, `_`, `.`, `:`.
///
/// # Errors
/// Empty, or another character.
pub(crate) fn name<'a>(word: &'a Word, what: &str) -> Result<&'a str, Fault> {
    let text = word.text()?;
    if text.is_empty() {
        return Err(Fault::at(word.span, format_args!("the {what} name is empty")));
    }
    match text.chars().find(|&c| !(c.is_ascii_alphanumeric() || "-_.:".contains(c))) {
        None => Ok(text),
        Some(bad) => Err(Fault::at(
            word.span,
            format_args!(
                "`{}` cannot stand in a {what} name (letters, digits, `-`, `_`, `.` and `:` can)",
                bad.escape_debug()
            ),
        )),
    }
}

/// A time for messages: `500ms`, `5s`, `1h`.
pub(crate) fn show_ms(time_ms: u64) -> String {
    for (unit_ms, unit) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        // 50 s stay 50 s, 60 s become 1 m.
        if time_ms >= unit_ms && time_ms.is_multiple_of(unit_ms) {
            return format!("{}{unit}", time_ms / unit_ms);
        }
    }
    format!("{time_ms}ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostics::Span;

    fn word(text: &str) -> Word {
        Word { bytes: text.as_bytes().to_vec(), span: Span::default() }
    }

    #[test]
    fn times_have_haproxys_units() {
        for (text, ms) in [
            ("0", 0),
            ("5000", 5_000),
            ("1us", 1),
            ("2500us", 3),
            ("7ms", 7),
            ("5s", 5_000),
            ("15min", 900_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("24d", 2_073_600_000),
        ] {
            assert_eq!(time_ms(&word(text)).unwrap(), ms, "{text}");
        }
        for text in ["", "s", "5x", "5 s", "-1", "25d", "99999999999999999999", "1.5s", "+5"] {
            assert!(time_ms(&word(text)).is_err(), "{text}");
        }
        assert!(positive_time_ms(&word("0")).is_err());
    }

    #[test]
    fn numbers_are_plain_and_bounded() {
        assert_eq!(number(&word("256"), 0, 256).unwrap(), 256);
        for text in ["257", "-1", "+1", "1k", "", "0x10", " 1"] {
            assert!(number(&word(text), 0, 256).is_err(), "{text}");
        }
    }

    #[test]
    fn shown_times_are_short() {
        for (ms, text) in
            [(500, "500ms"), (50_000, "50s"), (60_000, "1m"), (3_600_000, "1h"), (1_500, "1500ms")]
        {
            assert_eq!(show_ms(ms), text);
        }
    }

    #[test]
    fn names_are_checked() {
        assert_eq!(name(&word("a-b_c.d:9"), "proxy").unwrap(), "a-b_c.d:9");
        for text in ["", "a b", "a,b", "ä", "a\n"] {
            assert!(name(&word(text), "proxy").is_err(), "{text}");
        }
    }
}
