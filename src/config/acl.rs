//! `acl` lines: sample fetch, flags, patterns (configuration §7.1, §7.3).

use super::diagnostics::{Fault, Span, quoted};
use super::draft::AclTable;
use super::keywords::{known, listed};
use super::lexer::Word;
use super::model::{AclTest, Fetch, MatchKind, Matcher, Place};
use super::suggest;
use super::values;

/// The greatest end of `payload(offset,length)`, that of the greatest buffer.
const PAYLOAD_END_BYTES_MAX: usize = 65_535;

/// Fetches that are built, for suggestions and the compatibility page.
pub(crate) const FETCHES: [(&str, &str); 15] = [
    ("HTTP", "predefined: same as `req.proto_http`"),
    ("TRUE, FALSE", "predefined: same as `always_true`, `always_false`"),
    ("always_true", "always true"),
    ("always_false", "never true"),
    ("req.proto_http", "the bytes are an HTTP/1 request with a whole head"),
    ("req_proto_http", "same as `req.proto_http`"),
    ("req.payload", "`req.payload(offset,length)`: bytes of the request; needs `-m`"),
    ("payload", "`payload(offset,length)`: the same, compared with `-m bin` unless told otherwise"),
    ("req.hdr", "`req.hdr(name[,occurrence])`: each comma-separated value of a request header"),
    ("hdr", "same as `req.hdr`"),
    ("hdr_beg", "`hdr` compared with `-m beg`"),
    ("hdr_end", "`hdr` compared with `-m end`"),
    ("hdr_sub", "`hdr` compared with `-m sub`"),
    ("hdr_dir", "`hdr` compared with `-m dir`"),
    ("hdr_dom", "`hdr` compared with `-m dom`"),
];

/// `-m` methods that are built.
pub(crate) const METHODS: [(&str, MatchKind); 9] = [
    ("found", MatchKind::Found),
    ("bool", MatchKind::Bool),
    ("str", MatchKind::Str),
    ("beg", MatchKind::Beg),
    ("end", MatchKind::End),
    ("sub", MatchKind::Sub),
    ("dir", MatchKind::Dir),
    ("dom", MatchKind::Dom),
    ("bin", MatchKind::Bin),
];

/// Adds the test of an `acl` line (`words` follow the keyword) to the table. Says whether it can never match,
/// for want of a pattern.
///
/// # Errors
/// A bad name, fetch, flag or pattern.
pub(crate) fn declare(
    table: &mut AclTable,
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
    let test = match test(rest, name_word.span) {
        Ok(test) => test,
        Err(fault) => {
            // The name is known all the same, so that the rules that use it are not complained about as well.
            let matcher = Matcher { kind: MatchKind::Bool, ignore_case: false, patterns: Vec::new() };
            table.add(name, name, place, AclTest { fetch: Fetch::Always(false), matcher });
            return Err(fault);
        }
    };
    let no_pattern = test.matcher.patterns.is_empty();
    let never = no_pattern && !matches!(test.matcher.kind, MatchKind::Found | MatchKind::Bool);
    table.add(name, name, place, test);
    Ok(never)
}

/// Parses fetch, flags and patterns; `before` is the word they follow.
///
/// # Errors
/// A bad fetch, flag or pattern.
pub(crate) fn test(words: &[Word], before: Span) -> Result<AclTest, Fault> {
    let [fetch_word, rest @ ..] = words else {
        return Err(Fault::at(
            before,
            "a sample fetch is missing here, for example `hdr(host)` or `payload(0,8)`",
        ));
    };
    let (fetch, implied) = fetch(fetch_word)?;
    let flags = Flags::parse(rest)?;
    let Some(kind) = flags.method.map(|(kind, _)| kind).or(implied) else {
        return Err(Fault::at(
            fetch_word.span,
            format!("{} needs a matching method, for example `-m bin`", fetch_word.quoted()),
        ));
    };
    check_kind(&fetch, kind, flags.method.map_or(fetch_word.span, |(_, span)| span))?;
    let mut matcher = Matcher { kind, ignore_case: flags.ignore_case, patterns: Vec::new() };
    match kind {
        // Patterns of booleans are accepted and mean nothing (configuration §7.1.1).
        MatchKind::Found | MatchKind::Bool => matcher.ignore_case = false,
        MatchKind::Bin => {
            matcher.ignore_case = false;
            for word in flags.patterns {
                matcher.patterns.push(hexadecimal(word)?);
            }
        }
        _ => {
            for word in flags.patterns {
                let mut pattern = word.bytes.clone();
                if flags.ignore_case {
                    pattern.make_ascii_lowercase();
                }
                matcher.patterns.push(pattern);
            }
        }
    }
    Ok(AclTest { fetch, matcher })
}

struct Flags<'w> {
    ignore_case: bool,
    method: Option<(MatchKind, Span)>,
    patterns: &'w [Word],
}

impl<'w> Flags<'w> {
    fn parse(words: &'w [Word]) -> Result<Self, Fault> {
        let mut flags = Self { ignore_case: false, method: None, patterns: words };
        while let [word, rest @ ..] = flags.patterns {
            match word.bytes.as_slice() {
                b"-i" => flags.ignore_case = true,
                // No look-up of names: nothing here looks names up.
                b"-n" => {}
                b"--" => {
                    flags.patterns = rest;
                    break;
                }
                b"-m" => {
                    let [method_word, rest @ ..] = rest else {
                        return Err(Fault::at(word.span, "`-m` needs a matching method"));
                    };
                    flags.method = Some((method(method_word)?, method_word.span));
                    flags.patterns = rest;
                    continue;
                }
                b"-f" | b"-M" | b"-u" => {
                    return Err(Fault::at(word.span, format!("the flag {} is not built yet", word.quoted())));
                }
                bytes if bytes.first() == Some(&b'-') => {
                    return Err(Fault::at(
                        word.span,
                        format!(
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

fn method(word: &Word) -> Result<MatchKind, Fault> {
    let text = word.text()?;
    if let Some((_, kind)) = METHODS.iter().find(|(name, _)| *name == text) {
        return Ok(*kind);
    }
    if matches!(text, "int" | "ip" | "len" | "reg") {
        return Err(Fault::at(word.span, format!("the matching method `{text}` is not built yet")));
    }
    let hint = suggest::hint(text, METHODS.iter().map(|(name, _)| *name));
    let names: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
    Err(Fault::at(
        word.span,
        format!("{} is no matching method{hint}; expected one of {}", word.quoted(), names.join(" ")),
    ))
}

/// Which methods fit which samples (configuration §7.1, the table).
fn check_kind(fetch: &Fetch, kind: MatchKind, at: Span) -> Result<(), Fault> {
    let fits = match fetch {
        Fetch::Always(_) | Fetch::ProtoHttp => matches!(kind, MatchKind::Bool | MatchKind::Found),
        Fetch::Payload { .. } => kind != MatchKind::Bool,
        Fetch::Header { .. } => kind != MatchKind::Bool,
    };
    if fits {
        return Ok(());
    }
    Err(Fault::at(at, "this matching method does not fit this fetch"))
}

/// Parses `name`, `name(arguments)`.
fn fetch(word: &Word) -> Result<(Fetch, Option<MatchKind>), Fault> {
    let text = word.text()?;
    let at = word.span;
    let (name, args) = match text.split_once('(') {
        None => (text, None),
        Some((name, rest)) => match rest.split_once(')') {
            None => return Err(Fault::at(at, "the closing parenthesis is missing (no blanks inside)")),
            Some((args, "")) => (name, Some(args)),
            Some((_, tail)) if tail.starts_with(',') => {
                return Err(Fault::at(at, "converters after a fetch are not built yet"));
            }
            Some((_, tail)) => {
                return Err(Fault::at(at, format!("{} after the parenthesis", quoted(tail.as_bytes()))));
            }
        },
    };
    if name.contains(',') {
        return Err(Fault::at(at, "converters after a fetch are not built yet"));
    }
    let no_args = |fetch| match args {
        None | Some("") => Ok((fetch, Some(MatchKind::Bool))),
        Some(_) => Err(Fault::at(at, format!("`{name}` takes no arguments"))),
    };
    match name {
        "always_true" | "TRUE" => no_args(Fetch::Always(true)),
        "always_false" | "FALSE" => no_args(Fetch::Always(false)),
        "req.proto_http" | "req_proto_http" | "HTTP" => no_args(Fetch::ProtoHttp),
        "payload" => Ok((payload(args, at)?, Some(MatchKind::Bin))),
        "req.payload" => Ok((payload(args, at)?, None)),
        "req.hdr" | "hdr" => Ok((header(args, at)?, Some(MatchKind::Str))),
        "hdr_beg" => Ok((header(args, at)?, Some(MatchKind::Beg))),
        "hdr_end" => Ok((header(args, at)?, Some(MatchKind::End))),
        "hdr_sub" => Ok((header(args, at)?, Some(MatchKind::Sub))),
        "hdr_dir" => Ok((header(args, at)?, Some(MatchKind::Dir))),
        "hdr_dom" => Ok((header(args, at)?, Some(MatchKind::Dom))),
        _ if listed(known::FETCHES, name) => {
            Err(Fault::at(at, format!("HAProxy has the fetch `{name}`, oneport has not built it yet")))
        }
        _ => {
            let hint = suggest::hint(name, FETCHES.iter().map(|(n, _)| *n).chain(known::FETCHES.split('|')));
            Err(Fault::at(at, format!("{} is no sample fetch{hint}", quoted(name.as_bytes()))))
        }
    }
}

fn payload(args: Option<&str>, at: Span) -> Result<Fetch, Fault> {
    let wrong =
        || Fault::at(at, "expected `payload(offset,length)` with two numbers, for example `payload(0,8)`");
    let (offset, len) = args.and_then(|args| args.split_once(',')).ok_or_else(wrong)?;
    let parse = |text: &str| {
        let text = text.trim();
        text.parse::<usize>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
    };
    let (Some(offset), Some(len)) = (parse(offset), parse(len)) else { return Err(wrong()) };
    if offset.checked_add(len).is_none_or(|end| end > PAYLOAD_END_BYTES_MAX) {
        return Err(Fault::at(
            at,
            format!("payload ends after byte {PAYLOAD_END_BYTES_MAX}, beyond any buffer"),
        ));
    }
    Ok(Fetch::Payload { offset, len })
}

fn header(args: Option<&str>, at: Span) -> Result<Fetch, Fault> {
    let (name, occurrence) = match args.unwrap_or_default().split_once(',') {
        Some((name, occurrence)) => (name.trim(), Some(occurrence.trim())),
        None => (args.unwrap_or_default().trim(), None),
    };
    if name.is_empty() {
        return Err(Fault::at(at, "expected the name of a header, for example `hdr(host)`"));
    }
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.bytes().all(tchar) {
        return Err(Fault::at(at, format!("{} is no header name", quoted(name.as_bytes()))));
    }
    let occurrence = match occurrence.map(str::parse::<i32>) {
        None => 0,
        Some(Ok(n)) if (-1_000..=1_000).contains(&n) => n,
        Some(_) => return Err(Fault::at(at, "the occurrence is a number: 1 = the first, -1 = the last")),
    };
    Ok(Fetch::Header { name: name.to_ascii_lowercase(), occurrence })
}

fn hexadecimal(word: &Word) -> Result<Vec<u8>, Fault> {
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(word.bytes.len() / 2);
    for pair in word.bytes.chunks(2) {
        match pair {
            [high, low] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => out.push(high << 4 | low),
                _ => {
                    return Err(Fault::at(
                        word.span,
                        format!("{} is not hexadecimal, as `-m bin` expects", word.quoted()),
                    ));
                }
            },
            _ => {
                return Err(Fault::at(
                    word.span,
                    format!("{} has an odd number of hexadecimal digits", word.quoted()),
                ));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::lexer;

    fn parse(text: &str) -> Result<AclTest, String> {
        let words = lexer::split(text.as_bytes(), &|_| None).map_err(|f| f.message)?;
        test(&words, Span::default()).map_err(|f| f.message)
    }

    #[test]
    fn fetches_imply_their_method() {
        let hdr = |occurrence| Fetch::Header { name: "upgrade".into(), occurrence };
        for (text, fetch, kind) in [
            ("hdr(Upgrade) x", hdr(0), MatchKind::Str),
            ("req.hdr(upgrade,-1) x", hdr(-1), MatchKind::Str),
            ("hdr_beg(upgrade) x", hdr(0), MatchKind::Beg),
            ("hdr_dom(upgrade) -m beg x", hdr(0), MatchKind::Beg),
            ("hdr(upgrade) -m found", hdr(0), MatchKind::Found),
            ("payload(0,4) 00", Fetch::Payload { offset: 0, len: 4 }, MatchKind::Bin),
            ("req.payload(2,4) -m str x", Fetch::Payload { offset: 2, len: 4 }, MatchKind::Str),
            ("req.proto_http", Fetch::ProtoHttp, MatchKind::Bool),
            ("always_false", Fetch::Always(false), MatchKind::Bool),
        ] {
            let test = parse(text).unwrap();
            assert_eq!((test.fetch, test.matcher.kind), (fetch, kind), "{text}");
        }
    }

    #[test]
    fn flags_and_patterns() {
        let test = parse("hdr(host) -i -n -- -X Www.A").unwrap();
        assert!(test.matcher.ignore_case);
        assert_eq!(test.matcher.patterns, [b"-x".to_vec(), b"www.a".to_vec()]);
        let test = parse("payload(0,4) -i -m bin 00fF 0a").unwrap();
        assert_eq!(test.matcher.patterns, [vec![0, 255], vec![10]]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("", "missing"),
            ("hdr host", "name of a header"),
            ("hdr(host) -x a", "no flag"),
            ("hdr(host) -m", "needs a matching method"),
            ("hdr(host) -m reg a", "not built yet"),
            ("hdr(host) -m ben a", "did you mean `beg`"),
            ("hdr(host) -m bool", "does not fit"),
            ("hdr(host) -f file", "not built yet"),
            ("hdr(host),lower a", "converters"),
            ("hdr(host a", "parenthesis"),
            ("hdr(a b) x", "parenthesis"),
            ("'hdr(a b)' x", "no header name"),
            ("hdr(host,x) a", "occurrence"),
            ("payload(0,4) 000", "odd number"),
            ("payload(0,4) zz", "not hexadecimal"),
            ("payload(0) 00", "payload(offset,length)"),
            ("payload(-1,4) 00", "payload(offset,length)"),
            ("payload(65535,1) 00", "beyond"),
            ("payload(18446744073709551615,1) 00", "beyond"),
            ("req.payload(0,4) 00", "needs a matching method"),
            ("path /a", "not built it yet"),
            ("hrd(host) a", "did you mean `hdr`"),
            ("TRUE(x)", "no arguments"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
