//! Converters (configuration §7.3.1).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::matching::matches;
use super::value::{Sample, Scratch};
use super::world::World;
use crate::config::{Converter, Map, MapOutput, Operand, Operation, Patterns, Regex};

/// The longest text that a converter makes: that of the largest buffer.
const TEXT_BYTES_MAX: usize = 65_535;

/// Applies one converter; `None` where the sample is not what it needs.
pub(super) fn convert(
    converter: &Converter,
    sample: Sample<'static>,
    world: &dyn World,
) -> Option<Sample<'static>> {
    let mut scratch = Scratch::new();
    Some(match converter {
        Converter::Length => Sample::Int(i64::try_from(sample.bytes(&mut scratch).len()).ok()?),
        Converter::Bool { negated } => Sample::Bool(sample.truth() != *negated),
        Converter::Either(yes, no) => text(if sample.truth() { yes } else { no }.to_vec()),
        Converter::IpMask(bits4, bits6) => Sample::Ip(masked(sample.ip()?, *bits4, *bits6)?),
        Converter::Arithmetic(operation, operand) => {
            Sample::Int(calculate(*operation, sample.int()?, number(*operand, world)?)?)
        }
        Converter::StrCmp(id) => {
            let other = world.variable(*id)?;
            let mut other_scratch = Scratch::new();
            let order = sample.bytes(&mut scratch).cmp(other.bytes(&mut other_scratch));
            Sample::Int(order as i64)
        }
        Converter::Map(map) => return mapped(map, &sample),
        converter => return of_text(converter, sample, world),
    })
}

/// Converters from text to text.
fn of_text(converter: &Converter, sample: Sample<'static>, world: &dyn World) -> Option<Sample<'static>> {
    let mut scratch = Scratch::new();
    if let (Converter::Case { upper }, Sample::Bytes(bytes)) = (converter, &sample) {
        let mut bytes = bytes.to_vec();
        if *upper {
            bytes.make_ascii_uppercase()
        } else {
            bytes.make_ascii_lowercase()
        }
        return Some(text(bytes));
    }
    let bytes = sample.bytes(&mut scratch);
    Some(text(match converter {
        Converter::Bytes(offset, len) => {
            let rest = bytes.get(*offset..).unwrap_or_default();
            rest.get(..len.unwrap_or(rest.len())).unwrap_or(rest).to_vec()
        }
        Converter::Base64 => to_base64(bytes),
        Converter::FromBase64 => from_base64(bytes)?,
        Converter::Hex => {
            let mut out = Vec::with_capacity(bytes.len() * 2);
            for byte in bytes {
                out.push(hex_digit(byte >> 4));
                out.push(hex_digit(byte & 15));
            }
            out
        }
        Converter::UrlDecode { in_query } => url_decoded(bytes, *in_query)?,
        Converter::Field(index, delimiters, count) => part(bytes, *index, delimiters, *count, false)?,
        Converter::Word(index, delimiters, count) => part(bytes, *index, delimiters, *count, true)?,
        Converter::Concat(start, variable, end) => {
            let value = variable.and_then(|id| world.variable(id));
            let mut value_scratch = Scratch::new();
            let value = value.as_ref().map(|value| value.bytes(&mut value_scratch)).unwrap_or_default();
            [bytes, start, value, end].concat()
        }
        Converter::RegSub { regex, text, all } => replaced(regex, bytes, text, *all),
        _ => bytes.to_vec(),
    }))
}

fn text(mut bytes: Vec<u8>) -> Sample<'static> {
    bytes.truncate(TEXT_BYTES_MAX);
    Sample::Bytes(Cow::Owned(bytes))
}

fn number(operand: Operand, world: &dyn World) -> Option<i64> {
    match operand {
        Operand::Int(number) => Some(number),
        Operand::Variable(id) => world.variable(id)?.int(),
    }
}

/// Saturating, as HAProxy's; a division by 0 gives the greatest number, its remainder 0.
fn calculate(operation: Operation, a: i64, b: i64) -> Option<i64> {
    Some(match operation {
        Operation::Add => a.saturating_add(b),
        Operation::Sub => a.saturating_sub(b),
        Operation::Mul => a.saturating_mul(b),
        Operation::Div if b == 0 => {
            if a < 0 {
                i64::MIN
            } else {
                i64::MAX
            }
        }
        Operation::Div => a.saturating_div(b),
        Operation::Mod => a.checked_rem(b).unwrap_or(0),
        Operation::And => a & b,
        Operation::Or => a | b,
        Operation::Xor => a ^ b,
    })
}

fn masked(address: IpAddr, bits4: u8, bits6: Option<u8>) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits4.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(ip) & mask))
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits6?.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(ip) & mask))
        }
    })
}

fn mapped(map: &Map, sample: &Sample<'static>) -> Option<Sample<'static>> {
    let entry = map.entries.iter().find(|(matcher, _)| matches(matcher, sample));
    if let (MapOutput::Groups, Some((matcher, by))) = (map.output, entry)
        && let Patterns::Regexes(list) = &matcher.patterns
    {
        let mut scratch = Scratch::new();
        let subject = String::from_utf8_lossy(sample.bytes(&mut scratch));
        let found = list.first()?.engine.captures(&subject)?;
        let mut out = Vec::new();
        expand(by, &mut out, &|group| found.get(group).map(|part| part.as_str().as_bytes()));
        return Some(text(out));
    }
    let value = entry.map(|(_, value)| value).or(map.default.as_ref())?;
    let value = Sample::Bytes(Cow::Owned(value.to_vec()));
    match map.output {
        MapOutput::Text | MapOutput::Groups => Some(value),
        MapOutput::Int => value.int().map(Sample::Int),
        MapOutput::Ip => value.ip().map(Sample::Ip),
    }
}

/// `field` and `word`: parts between delimiters, counted from 1, or from the end with a negative index; `count`
/// of them, 0 = all that follow. A word that does not exist is empty, a field that does not is none.
fn part(bytes: &[u8], index: i32, delimiters: &[u8], count: i32, words: bool) -> Option<Vec<u8>> {
    some_part(bytes, index, delimiters, count, words).or(words.then(Vec::new))
}

fn some_part(bytes: &[u8], index: i32, delimiters: &[u8], count: i32, words: bool) -> Option<Vec<u8>> {
    let is_delimiter = |b: &u8| delimiters.contains(b);
    let mut parts = Vec::new();
    let mut start = 0;
    for end in (0..=bytes.len()).filter(|&at| bytes.get(at).is_none_or(is_delimiter)) {
        if !words || end > start {
            parts.push((start, end));
        }
        start = end + 1;
    }
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    let first = if index > 0 { distance.checked_sub(1)? } else { parts.len().checked_sub(distance)? };
    let wanted = usize::try_from(count).ok()?;
    // Counted from the end, further ones lie before it.
    let (first, last) = match (index > 0, wanted) {
        (true, 0) => (first, parts.len().checked_sub(1)?),
        (true, n) => (first, (first + n - 1).min(parts.len().checked_sub(1)?)),
        (false, 0) => (0, first),
        (false, n) => (first.saturating_sub(n - 1), first),
    };
    let to = if index > 0 && wanted == 0 { bytes.len() } else { parts.get(last)?.1 };
    let from = parts.get(first)?.0;
    bytes.get(from..to).map(<[u8]>::to_vec)
}

/// The text with what the expression finds replaced. Bytes that are no UTF-8 count as characters of their own.
///
/// As in HAProxy the end of the text is looked at once more, so that `b*` finds something behind the `b` of `ab` too;
/// what is found before a character without taking it is passed together with that.
pub fn replaced(regex: &Regex, bytes: &[u8], by: &[u8], all: bool) -> Vec<u8> {
    as_text(bytes, by, &|subject, by| Some(replaced_text(regex, subject, by, all))).unwrap_or_default()
}

/// Makes something of a text and of a replacement.
type Work<'w> = &'w dyn Fn(&str, &[u8]) -> Option<Vec<u8>>;

/// Lets `work` make something of a text and of what replaces parts of it. Where the text is no UTF-8, each byte of both
/// is a character (of Latin-1) meanwhile, so that nothing is lost.
pub fn as_text(bytes: &[u8], by: &[u8], work: Work<'_>) -> Option<Vec<u8>> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return work(text, by);
    }
    let wide = |bytes: &[u8]| -> String { bytes.iter().map(|&byte| char::from(byte)).collect() };
    let made = work(&wide(bytes), wide(by).as_bytes())?;
    let mut narrow = Vec::with_capacity(made.len());
    for c in String::from_utf8_lossy(&made).chars() {
        // Those of Latin-1 are all there are.
        narrow.push(u8::try_from(u32::from(c)).unwrap_or(b'?'));
    }
    Some(narrow)
}

fn replaced_text(regex: &Regex, subject: &str, by: &[u8], all: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(subject.len());
    let mut from = 0;
    while let Some(found) = regex.engine.captures_at(subject, from) {
        let Some(whole) = found.get(0) else { break };
        out.extend_from_slice(subject.as_bytes().get(from..whole.start()).unwrap_or_default());
        expand(by, &mut out, &|group| found.get(group).map(|part| part.as_str().as_bytes()));
        let is_end = from >= subject.len();
        from = whole.end();
        if from == whole.start()
            && let Some(next) = subject.get(from..).and_then(|rest| rest.chars().next())
        {
            let end = from + next.len_utf8();
            out.extend_from_slice(subject.as_bytes().get(from..end).unwrap_or_default());
            from = end;
        }
        if !all || is_end || out.len() > TEXT_BYTES_MAX {
            break;
        }
    }
    out.extend_from_slice(subject.as_bytes().get(from..).unwrap_or_default());
    out
}

/// Writes a replacement: `\0` to `\9` are groups, `\\` a backslash.
pub fn expand<'g>(by: &[u8], out: &mut Vec<u8>, group: &dyn Fn(usize) -> Option<&'g [u8]>) {
    let mut bytes = by.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(digit @ b'0'..=b'9') => {
                    out.extend_from_slice(group(usize::from(digit - b'0')).unwrap_or_default());
                }
                Some(other) => out.push(*other),
                None => out.push(b'\\'),
            },
            byte => out.push(byte),
        }
    }
}

fn hex_digit(nibble: u8) -> u8 {
    b"0123456789ABCDEF".get(usize::from(nibble)).copied().unwrap_or(b'0')
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(bytes: &[u8]) -> Vec<u8> {
    let digit = |value: u32| BASE64.get(value as usize & 63).copied().unwrap_or(b'=');
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let value =
            (0..3).fold(0u32, |value, at| value << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        out.extend([digit(value >> 18), digit(value >> 12)]);
        out.push(if three.len() > 1 { digit(value >> 6) } else { b'=' });
        out.push(if three.len() > 2 { digit(value) } else { b'=' });
    }
    out
}

/// Decodes base64 (RFC 4648 §4); `None` where it is none.
pub fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().position(|&b| b == b'=').unwrap_or(text.len());
    let (digits, padding) = text.split_at(end);
    if padding.len() > 2 || !text.len().is_multiple_of(4) || padding.iter().any(|&b| b != b'=') {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for four in digits.chunks(4) {
        let mut value = 0u32;
        for at in 0..4 {
            let digit = match four.get(at) {
                Some(byte) => u32::try_from(memchr::memchr(*byte, BASE64)?).ok()?,
                None => 0,
            };
            value = value << 6 | digit;
        }
        let [_, a, b, c] = value.to_be_bytes();
        out.extend([a, b, c].iter().take(four.len().saturating_sub(1)));
    }
    Some(out)
}

fn url_decoded(bytes: &[u8], mut in_query: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'%' => {
                let digit = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
                let (high, low) = (digit(at)?, digit(at + 1)?);
                out.push(u8::try_from(high << 4 | low).ok()?);
                at += 2;
            }
            b'+' if in_query => out.push(b' '),
            byte => {
                in_query |= byte == b'?';
                out.push(byte);
            }
        }
    }
    Some(out)
}
