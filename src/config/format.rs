//! Reads texts with parts that are filled in (configuration §8.2.6).

use super::diagnostics::{Fault, quoted};
use super::lexer::Word;
use super::model::{Flags, Format, Piece};
use super::sample::{self, Reader};

/// Parts of one text.
const PIECES_MAX: usize = 256;

/// Parses a word as such a text. `%%` is a percent sign, `%[…]` an expression, `%{+Q}` sets flags: those of the
/// following part, or with nothing behind it of the whole text.
///
/// # Errors
/// An unknown part, a bad expression.
pub(crate) fn parse(reader: &mut Reader<'_>, word: &Word) -> Result<Format, Fault> {
    let mut text: &str = word.text()?;
    let fault = |message: String| Fault::at(word.span, message);
    let mut format = Format::default();
    let mut plain = Vec::new();
    let mut flags = Flags::default();
    while let Some(at) = text.find('%') {
        plain.extend_from_slice(text.get(..at).unwrap_or_default().as_bytes());
        text = text.get(at + 1..).unwrap_or_default();
        if let Some(rest) = text.strip_prefix('%') {
            plain.push(b'%');
            text = rest;
            continue;
        }
        let mut own = flags;
        if let Some(rest) = text.strip_prefix('{') {
            let (list, rest) = rest
                .split_once('}')
                .ok_or_else(|| fault("the brace after `%` is never closed".to_owned()))?;
            own = self::flags(list, own).map_err(fault)?;
            // Nothing to write follows: they hold for all that comes.
            if !rest.starts_with('[') {
                flags = own;
            }
            text = rest;
        }
        let Some(inner) = text.strip_prefix('[') else {
            return Err(fault(format!("{}: expected `%[expression]` or `%%`", quoted(text.as_bytes()))));
        };
        let ((expr, _), rest) = sample::parse_start(reader, inner.trim_start(), word.span)?;
        text = rest
            .trim_start()
            .strip_prefix(']')
            .ok_or_else(|| fault("the bracket after `%` is never closed".to_owned()))?;
        if !plain.is_empty() {
            format.pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
        }
        if format.pieces.len() >= PIECES_MAX {
            return Err(fault(format!("a text has at most {PIECES_MAX} parts")));
        }
        format.pieces.push(Piece::Sample(expr, own));
    }
    plain.extend_from_slice(text.as_bytes());
    if !plain.is_empty() {
        format.pieces.push(Piece::Text(plain.into()));
    }
    Ok(format)
}

/// `+Q,-X`; without a sign as with `+`.
fn flags(list: &str, mut flags: Flags) -> Result<Flags, String> {
    for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (on, name) = match item.strip_prefix('-') {
            Some(name) => (false, name),
            None => (true, item.strip_prefix('+').unwrap_or(item)),
        };
        match name {
            "Q" => flags.quote = on,
            "X" => flags.hex = on,
            "E" => flags.escape = on,
            _ => return Err(format!("`{item}` is no flag; expected Q, X or E with `+` or `-`")),
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostics::{Span, Spot};
    use crate::config::sample::Shared;

    fn parse_text(text: &str) -> Result<Vec<String>, String> {
        let (mut shared, spot) = (Shared::default(), Spot::default());
        let mut reader = Reader { shared: &mut shared, spot: &spot, env: &|_| None };
        let word = Word { bytes: text.as_bytes().to_vec(), span: Span::default() };
        let format = parse(&mut reader, &word).map_err(|fault| fault.message)?;
        Ok(format
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => String::from_utf8_lossy(text).into_owned(),
                Piece::Sample(expr, flags) => {
                    format!("<{}{}>", expr.text, if flags.quote { " Q" } else { "" })
                }
            })
            .collect())
    }

    #[test]
    fn texts_are_cut_into_parts() {
        assert_eq!(parse_text("").unwrap(), [""; 0]);
        assert_eq!(parse_text("a%%b").unwrap(), ["a%b"]);
        assert_eq!(
            parse_text("a%[src]b%{+Q}[hdr(x),lower]").unwrap(),
            ["a", "<src>", "b", "<hdr(x),lower Q>"]
        );
        for text in ["%", "%[src", "%[nosuch]", "%{+Z}[src]", "%{+Q[src]"] {
            assert!(parse_text(text).is_err(), "{text}");
        }
    }
}
