//! Reads texts with parts that are filled in (configuration §8.2.6).

use super::diagnostics::Fault;
use super::lexer::Word;
use super::model::{Alias, Flags, Format, Piece};
use super::sample::{self, Reader};
use super::suggest;

/// Parts of one text.
const PIECES_MAX: usize = 256;

/// The same for rules, which read the request's line while the request is under way: it is to be kept for them.
///
/// # Errors
/// As those of [`parse`].
pub(crate) fn parse_for_rule(reader: &mut Reader<'_>, word: &Word) -> Result<Format, Fault> {
    use Alias::{Hm, Hp, Hpo, Hq, Hu, Hv, R};
    let format = parse(reader, word)?;
    let of_line = |piece: &Piece| matches!(piece, Piece::Alias(Hm | Hp | Hpo | Hq | Hu | Hv | R, _));
    if format.pieces.iter().any(of_line) {
        reader.keep_line();
    }
    Ok(format)
}

/// Parses a word as such a text. `%%` is a percent sign, `%name` a variable, `%[…]` an expression, `%{+Q}`
/// sets flags: those of the following part, and with `%{+Q}o` of all that follow.
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
            text = rest;
        }
        let piece = if let Some(inner) = text.strip_prefix('[') {
            let ((expr, _), rest) = sample::parse_start(reader, inner.trim_start(), word.span)?;
            text = rest
                .trim_start()
                .strip_prefix(']')
                .ok_or_else(|| fault("the bracket after `%` is never closed".to_owned()))?;
            Piece::Sample(expr, own)
        } else {
            let len = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
            let (name, rest) = text.split_at_checked(len).unwrap_or((text, ""));
            text = rest;
            if name == "o" {
                // Nothing to write: the flags hold for all that comes.
                flags = own;
                continue;
            }
            if matches!(name, "sslc" | "sslv") {
                // Nothing here is encrypted.
                plain.extend_from_slice(if own.quote { b"\"\"" } else { b"-" });
                continue;
            }
            Piece::Alias(alias(name).map_err(fault)?, own)
        };
        if !plain.is_empty() {
            format.pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
        }
        if format.pieces.len() >= PIECES_MAX {
            return Err(fault(format!("a text has at most {PIECES_MAX} parts")));
        }
        format.pieces.push(piece);
    }
    plain.extend_from_slice(text.as_bytes());
    if !plain.is_empty() {
        format.pieces.push(Piece::Text(plain.into()));
    }
    Ok(format)
}

/// Every variable. `ft` is `f`, for nothing here is encrypted.
const ALIASES: &[(&str, Alias)] = &[
    ("ac", Alias::Ac),
    ("b", Alias::B),
    ("B", Alias::Bytes),
    ("bc", Alias::Bc),
    ("bi", Alias::Bi),
    ("bp", Alias::Bp),
    ("bq", Alias::Bq),
    ("CC", Alias::Cc),
    ("ci", Alias::Ci),
    ("cp", Alias::Cp),
    ("CS", Alias::Cs),
    ("f", Alias::F),
    ("fc", Alias::Fc),
    ("fi", Alias::Fi),
    ("fp", Alias::Fp),
    ("ft", Alias::F),
    ("H", Alias::Host),
    ("HM", Alias::Hm),
    ("HP", Alias::Hp),
    ("HPO", Alias::Hpo),
    ("HQ", Alias::Hq),
    ("hr", Alias::Hr),
    ("hrl", Alias::Hrl),
    ("hs", Alias::Hs),
    ("hsl", Alias::Hsl),
    ("HU", Alias::Hu),
    ("HV", Alias::Hv),
    ("ID", Alias::Id),
    ("lc", Alias::Lc),
    ("ms", Alias::Ms),
    ("pid", Alias::Pid),
    ("r", Alias::R),
    ("rc", Alias::Rc),
    ("rt", Alias::Rt),
    ("s", Alias::S),
    ("sc", Alias::Sc),
    ("si", Alias::Si),
    ("sp", Alias::Sp),
    ("sq", Alias::Sq),
    ("ST", Alias::Status),
    ("t", Alias::T),
    ("T", Alias::Gmt),
    ("Ta", Alias::Ta),
    ("Tc", Alias::Tc),
    ("Td", Alias::Td),
    ("Th", Alias::Th),
    ("Ti", Alias::Ti),
    ("Tl", Alias::Tl),
    ("Tq", Alias::Tq),
    ("TR", Alias::TR),
    ("Tr", Alias::Tr),
    ("tr", Alias::TrDate),
    ("trg", Alias::Trg),
    ("trl", Alias::Trl),
    ("Ts", Alias::Ts),
    ("ts", Alias::Term),
    ("tsc", Alias::TermCookies),
    ("Tt", Alias::Tt),
    ("Tu", Alias::Tu),
    ("Tw", Alias::Tw),
    ("U", Alias::Up),
];

fn alias(name: &str) -> Result<Alias, String> {
    let found = ALIASES.iter().find(|(known, _)| *known == name);
    found.map(|(_, alias)| *alias).ok_or_else(|| match name {
        "" => "expected `%name`, `%[expression]` or `%%`".to_owned(),
        _ => format!(
            "there is no variable `%{name}`{}; a percent sign is written `%%`",
            suggest::hint(name, ALIASES.iter().map(|(known, _)| *known))
        ),
    })
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
        let format = parse(&mut reader, &word).map_err(Fault::into_message)?;
        Ok(format
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => String::from_utf8_lossy(text).into_owned(),
                Piece::Sample(expr, flags) => {
                    format!("<{}{}>", expr.text, if flags.quote { " Q" } else { "" })
                }
                Piece::Alias(alias, flags) => {
                    format!("{alias:?}{}", if flags.quote { " Q" } else { "" })
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
        assert_eq!(
            parse_text("%{+Q}r %ci%{+Q}o %{-Q}cp/%HPO").unwrap(),
            ["R Q", " ", "Ci", " ", "Cp", "/", "Hpo Q"]
        );
        assert_eq!(parse_text("a%sslv%{+Q}sslc").unwrap(), ["a-\"\""]);
        for text in ["%nosuch", "%cip", "%", "%[src", "%[nosuch]", "%{+Z}[src]", "%{+Q[src]"] {
            assert!(parse_text(text).is_err(), "{text}");
        }
    }
}
