//! `acl` lines: expression, flags, patterns (configuration §7.1).

use super::diagnostics::{Fault, Span, quoted};
use super::draft::AclTable;
use super::lexer::Word;
use super::model::{AclTest, Expr, Fetch, MatchKind, Matcher, Patterns, Place};
use super::patterns::{self, METHODS};
use super::sample::{self, Reader};
use super::suggest;
use super::values;

/// Adds the test of an `acl` line (`words` follow the keyword) to the table. Says whether it can never match,
/// for want of a pattern.
///
/// # Errors
/// A bad name, fetch, flag or pattern.
pub(crate) fn declare(
    table: &mut AclTable,
    reader: &mut Reader<'_>,
    place: &Place,
    words: &[Word],
    keyword: Span,
) -> Result<bool, Fault> {
    let [name_word, rest @ ..] = words else {
        return Err(Fault::at(keyword, "expected `acl NAME FETCH [FLAGS] [PATTERN…]`"));
    };
    let name = values::name(name_word, "ACL")?;
    if name.eq_ignore_ascii_case("or") {
        return Err(Fault::at(name_word.span, "an ACL cannot be called `or`: that word joins conditions"));
    }
    let test = match test(reader, rest, name_word.span) {
        Ok(test) => test,
        Err(fault) => {
            // The name is known all the same, so that the rules that use it are not complained about as well.
            table.add(name, name, place, constant(false));
            return Err(fault);
        }
    };
    let no_pattern = test.matcher.patterns.is_empty();
    let never = no_pattern && !matches!(test.matcher.kind, MatchKind::Found | MatchKind::Bool);
    table.add(name, name, place, test);
    Ok(never)
}

/// A test that is always true or never.
pub(crate) fn constant(value: bool) -> AclTest {
    let matcher = Matcher { kind: MatchKind::Bool, ignore_case: false, patterns: Patterns::None };
    AclTest {
        expr: Expr::of(Fetch::Always(value), if value { "always_true" } else { "always_false" }),
        matcher,
    }
}

/// Parses expression, flags and patterns; `before` is the word they follow.
///
/// # Errors
/// A bad fetch, flag or pattern.
pub(crate) fn test(reader: &mut Reader<'_>, words: &[Word], before: Span) -> Result<AclTest, Fault> {
    let [fetch_word, rest @ ..] = words else {
        return Err(Fault::at(
            before,
            "a sample fetch is missing here, for example `hdr(host)` or `payload(0,8)`",
        ));
    };
    let (expr, implied) = sample::parse(reader, fetch_word)?;
    let flags = Flags::parse(rest)?;
    let Some(kind) = flags.method.map(|(kind, _)| kind).or(implied) else {
        return Err(Fault::at(
            fetch_word.span,
            format_args!("{} needs a matching method, for example `-m bin`", fetch_word.quoted()),
        ));
    };
    let at = flags.method.map_or(fetch_word.span, |(_, span)| span);
    check_kind(implied, kind, at)?;
    let ignore_case = flags.ignore_case && !is_exact_method(&expr, &flags);
    let mut list = patterns::empty(kind);
    for word in &flags.files {
        let lines = patterns::file_lines(&reader.shared.files, word.text()?);
        for (number, line) in lines.map_err(|why| Fault::at(word.span, why))? {
            patterns::add(&mut list, kind, ignore_case, &line).map_err(|why| {
                Fault::at(word.span, format_args!("{}, line {number}: {why}", word.quoted()))
            })?;
        }
    }
    add_words(&mut list, kind, ignore_case, flags.patterns)?;
    patterns::sort(&mut list, kind);
    let cased = !matches!(kind, MatchKind::Found | MatchKind::Bool | MatchKind::Bin);
    Ok(AclTest { expr, matcher: Matcher { kind, ignore_case: ignore_case && cased, patterns: list } })
}

/// Well-known methods are compared exactly, whatever `-i` says; only the text of other methods has a case.
fn is_exact_method(expr: &Expr, flags: &Flags<'_>) -> bool {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    let is_known = |word: &Word| known.iter().any(|name| word.bytes.eq_ignore_ascii_case(name.as_bytes()));
    matches!(expr.fetch, Fetch::Method)
        && expr.converters.is_empty()
        && flags.method.is_none()
        && flags.patterns.iter().any(is_known)
}

/// Adds the patterns of the line; numbers may have an operator before them, which holds for those that follow.
fn add_words(list: &mut Patterns, kind: MatchKind, ignore_case: bool, words: &[Word]) -> Result<(), Fault> {
    let mut operator: &[u8] = b"eq";
    for word in words {
        if let Patterns::Ints(ranges) = list {
            if let b"eq" | b"ge" | b"gt" | b"le" | b"lt" = word.bytes.as_slice() {
                operator = &word.bytes;
                continue;
            }
            ranges.push(patterns::compare(operator, word.text()?).map_err(|why| Fault::at(word.span, why))?);
            continue;
        }
        patterns::add(list, kind, ignore_case, &word.bytes).map_err(|why| Fault::at(word.span, why))?;
    }
    Ok(())
}

struct Flags<'w> {
    ignore_case: bool,
    method: Option<(MatchKind, Span)>,
    files: Vec<&'w Word>,
    patterns: &'w [Word],
}

impl<'w> Flags<'w> {
    fn parse(words: &'w [Word]) -> Result<Self, Fault> {
        let mut flags = Self { ignore_case: false, method: None, files: Vec::new(), patterns: words };
        while let [word, rest @ ..] = flags.patterns {
            match (word.bytes.as_slice(), rest) {
                (b"-i", _) => flags.ignore_case = true,
                // No look-up of names: nothing here looks names up.
                (b"-n", _) => {}
                (b"--", _) => {
                    flags.patterns = rest;
                    break;
                }
                (b"-m", [method_word, rest @ ..]) => {
                    flags.method = Some((method(method_word)?, method_word.span));
                    flags.patterns = rest;
                    continue;
                }
                (b"-f", [file, rest @ ..]) => {
                    flags.files.push(file);
                    flags.patterns = rest;
                    continue;
                }
                // An identifier for commands of the stats socket, which names patterns by their place.
                (b"-u", [_, rest @ ..]) => {
                    flags.patterns = rest;
                    continue;
                }
                (b"-m" | b"-f" | b"-u", []) => {
                    return Err(Fault::at(
                        word.span,
                        format_args!("a word is missing after {}", word.quoted()),
                    ));
                }
                (b"-M", _) => {
                    return Err(Fault::at(
                        word.span,
                        "the flag `-M` is not built: patterns come from `-f FILE`",
                    ));
                }
                (bytes, _) if bytes.first() == Some(&b'-') && !is_number(bytes) => {
                    return Err(Fault::at(
                        word.span,
                        format_args!(
                            "{} is no flag; write `--` before a pattern that begins with a dash",
                            word.quoted()
                        ),
                    ));
                }
                _ => break,
            }
            flags.patterns = rest;
        }
        Ok(flags)
    }
}

fn is_number(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(u8::is_ascii_digit)
}

fn method(word: &Word) -> Result<MatchKind, Fault> {
    let text = word.text()?;
    if let Some((_, kind)) = METHODS.iter().find(|(name, _)| *name == text) {
        return Ok(*kind);
    }
    let hint = suggest::hint(text, METHODS.iter().map(|(name, _)| *name));
    let names: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
    Err(Fault::at(
        word.span,
        format_args!(
            "{} is no matching method{hint}; expected one of {}",
            quoted(text.as_bytes()),
            names.join(" ")
        ),
    ))
}

/// Which methods fit which samples (configuration §7.1, the table).
fn check_kind(natural: Option<MatchKind>, kind: MatchKind, at: Span) -> Result<(), Fault> {
    let fits = match natural {
        Some(MatchKind::Bool) => matches!(kind, MatchKind::Bool | MatchKind::Found | MatchKind::Int),
        Some(MatchKind::Ip) => kind != MatchKind::Bool,
        _ => true,
    };
    if fits {
        return Ok(());
    }
    Err(Fault::at(at, "this matching method does not fit this fetch"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostics::Spot;
    use crate::config::lexer;
    use crate::config::model::{Part, Side};

    fn parse(text: &str) -> Result<AclTest, String> {
        let words = lexer::split(text.as_bytes(), &|_| None).map_err(Fault::into_message)?;
        let (mut shared, spot) = (sample::Shared::default(), Spot::default());
        let mut reader = Reader { shared: &mut shared, spot: &spot, env: &|_| None };
        test(&mut reader, &words, Span::default()).map_err(Fault::into_message)
    }

    #[test]
    fn fetches_imply_their_method() {
        let hdr = |occurrence| Fetch::Header {
            side: Side::Request,
            name: "upgrade".into(),
            occurrence,
            whole: false,
        };
        for (text, fetch, kind) in [
            ("hdr(Upgrade) x", hdr(0), MatchKind::Str),
            ("req.hdr(upgrade,-1) x", hdr(-1), MatchKind::Str),
            ("hdr_beg(upgrade) x", hdr(0), MatchKind::Beg),
            ("hdr_dom(upgrade) -m beg x", hdr(0), MatchKind::Beg),
            ("hdr(upgrade) -m found", hdr(0), MatchKind::Found),
            ("payload(0,4) 00", Fetch::Payload { side: Side::Request, offset: 0, len: 4 }, MatchKind::Bin),
            (
                "req.payload(2,4) -m str x",
                Fetch::Payload { side: Side::Request, offset: 2, len: 4 },
                MatchKind::Str,
            ),
            ("req.proto_http", Fetch::ProtoHttp, MatchKind::Bool),
            ("always_false", Fetch::Always(false), MatchKind::Bool),
            ("path_beg /a", Fetch::Target(Part::Path), MatchKind::Beg),
            ("url_len 1:5", Fetch::Target(Part::Url), MatchKind::Len),
            ("path,length ge 5", Fetch::Target(Part::Path), MatchKind::Int),
            ("hdr_reg(upgrade) ^a$", hdr(0), MatchKind::Reg),
        ] {
            let test = parse(text).unwrap();
            assert_eq!((test.expr.fetch, test.matcher.kind), (fetch, kind), "{text}");
        }
    }

    #[test]
    fn flags_and_patterns() {
        let test = parse("hdr(host) -i -n -- -X Www.A").unwrap();
        assert!(test.matcher.ignore_case);
        assert_eq!(test.matcher.patterns, Patterns::Bytes(vec![b"-x".to_vec(), b"www.a".to_vec()]));
        let test = parse("payload(0,4) -i -m bin 00fF 0a").unwrap();
        assert_eq!(test.matcher.patterns, Patterns::Bytes(vec![vec![0, 255], vec![10]]));
        let test = parse("hdr_cnt(a) ge 2 lt 1").unwrap();
        assert_eq!(test.matcher.patterns, Patterns::Ints(vec![(2, i64::MAX), (i64::MIN, 0)]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("", "missing"),
            ("hdr host", "name of a header"),
            ("hdr(host) -x a", "no flag"),
            ("hdr(host) -m", "word is missing"),
            ("hdr(host) -m ben a", "did you mean `beg`"),
            ("src -m bool", "does not fit"),
            ("hdr(host) -f /nowhere/x", "cannot read"),
            ("hdr(host a", "parenthesis"),
            ("hdr(a b) x", "parenthesis"),
            ("'hdr(a b)' x", "no header name"),
            ("hdr(host,x) a", "occurrence"),
            ("payload(0,4) 000", "odd number"),
            ("payload(0,4) zz", "not hexadecimal"),
            ("payload(0) 00", "payload(0,8)"),
            ("payload(-1,4) 00", "payload(0,8)"),
            ("payload(65535,1) 00", "beyond"),
            ("payload(18446744073709551615,1) 00", "beyond"),
            ("req.payload(0,4) 00", "needs a matching method"),
            ("ssl_c_used", "not built it yet"),
            ("hdr(host),lowr a", "did you mean `lower`"),
            ("hdr(host) -m reg (a", "no regular expression"),
            ("src 1.2.3.4/40", "no address"),
            ("hdr_cnt(a) ge x", "no number"),
            ("var(x) a", "no variable"),
            ("hrd(host) a", "did you mean `hdr`"),
            ("TRUE(x)", "no arguments"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
