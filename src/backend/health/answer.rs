//! Whether what has come is the answer that a check expects. Pure: bytes in, a judgement out.

use std::borrow::Cow;

use crate::config::{
    CheckExpect, CheckKind, CheckMatch, CheckNotation, CheckPattern, CheckStatus, CheckStep, CheckText,
    MatchKind, Regex,
};
use crate::http::{
    Chunked, Framing, Method, RequestFacts, ResponseHead, Version, body_so_far, find, parse_response,
};

/// What has come of an answer.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// No more will be looked at: the connection has ended, or as much as may be held is there.
    pub is_last: bool,
    /// It answers a request whose answer has no body.
    pub to_head: bool,
    /// A 404 fits, whatever is expected (`http-check disable-on-404`).
    pub takes_404: bool,
}

/// What is to be said of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is as expected.
    Fits,
    /// More has to come.
    NotYet,
    /// It is not: how the check ends, and why.
    Not(CheckStatus, Vec<u8>),
}

/// Compares an answer with what a step expects; `code` becomes the code that it has.
pub fn judge(
    expect: &CheckExpect,
    step: &CheckStep,
    kind: CheckKind,
    answer: &Answer<'_>,
    code: &mut u16,
) -> Judgement {
    let judgement = match (kind, &expect.pattern) {
        (CheckKind::Http, _) => of_http(expect, answer, code),
        _ if answer.bytes.is_empty() && answer.is_last => {
            let info = format!("TCPCHK got an empty response at step {}", step.number);
            Judgement::Not(expect.error.unwrap_or(CheckStatus::L7Rsp), info.into_bytes())
        }
        _ if is_short(expect, answer) => Judgement::NotYet,
        (_, CheckPattern::MySql(nth)) => of_mysql(*nth, answer, code),
        (_, CheckPattern::Ldap) => of_ldap(answer, code),
        _ => of_bytes(expect, step, kind, answer),
    };
    if expect.has_code && judgement != Judgement::NotYet {
        *code = number(answer.bytes.get(..3).unwrap_or_default());
    }
    match (judgement, &step.comment) {
        (Judgement::Not(status, mut info), Some(comment)) => {
            // As HAProxy writes it.
            let quote = if kind != CheckKind::Http && answer.bytes.is_empty() { "'" } else { "" };
            for part in [" comment: ", quote, comment, quote] {
                info.extend_from_slice(part.as_bytes());
            }
            Judgement::Not(status, info)
        }
        (judgement, _) => judgement,
    }
}

/// `on-success`, `on-error`.
pub(super) fn text(text: &CheckText, answer: &[u8]) -> Vec<u8> {
    let from = |at: &u8| answer.get(usize::from(*at)..).unwrap_or_default();
    let until = |bytes: &[u8], ends: &[u8]| {
        bytes.split(|byte| ends.contains(byte)).next().unwrap_or_default().to_vec()
    };
    match text {
        CheckText::Text(text) => text.as_bytes().to_vec(),
        CheckText::Line(at) => until(from(at).trim_ascii_start(), b"\r\n"),
        CheckText::Answer(at) => until(from(at), b"\0"),
    }
}

/// What a step looked for, as reasons for time-outs tell it.
pub(super) fn looked_for(expect: &CheckExpect) -> Vec<u8> {
    let fixed: &[u8] = match &expect.pattern {
        CheckPattern::Bytes(bytes, CheckNotation::Text) => return quoted(b"string", bytes),
        CheckPattern::Bytes(bytes, CheckNotation::Binary) => return quoted(b"binary", bytes),
        CheckPattern::Bytes(_, CheckNotation::Format) => b"log-format string",
        CheckPattern::Bytes(_, CheckNotation::BinaryFormat) => b"log-format binary",
        CheckPattern::Regex(_) => b"regex",
        CheckPattern::HexRegex(_) => b"binary regex",
        _ => b"custom function",
    };
    fixed.to_vec()
}

fn quoted(what: &[u8], bytes: &[u8]) -> Vec<u8> {
    [what, b" '", bytes, b"'"].concat()
}

/// Three digits, or what there is before something else comes.
fn number(digits: &[u8]) -> u16 {
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
}

/// Whether too little is there for a look.
fn is_short(expect: &CheckExpect, answer: &Answer<'_>) -> bool {
    let len = answer.bytes.len();
    let wanted = match &expect.pattern {
        CheckPattern::Bytes(bytes, _) => bytes.len(),
        _ => 0,
    };
    !answer.is_last && (len < wanted || len < expect.min_recv.unwrap_or(0) as usize)
}

/// Whether bytes have a pattern; `None` for those of other things than bytes.
fn found(pattern: &CheckPattern, bytes: &[u8]) -> bool {
    match pattern {
        CheckPattern::Bytes(wanted, _) => find(bytes, wanted).is_some(),
        CheckPattern::Regex(regex) => matches(regex, bytes),
        CheckPattern::HexRegex(regex) => {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
            let text: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
            regex.engine.is_match(&text)
        }
        _ => false,
    }
}

fn matches(regex: &Regex, bytes: &[u8]) -> bool {
    regex.engine.is_match(&String::from_utf8_lossy(bytes))
}

fn of_bytes(expect: &CheckExpect, step: &CheckStep, kind: CheckKind, answer: &Answer<'_>) -> Judgement {
    let found = found(&expect.pattern, answer.bytes);
    if !found && !answer.is_last && expect.min_recv.is_none() {
        return Judgement::NotYet;
    }
    if found != expect.negated {
        return Judgement::Fits;
    }
    let info = match &expect.on_error {
        Some(on_error) => text(on_error, answer.bytes),
        None if kind == CheckKind::Tcp => unwanted(expect, step),
        None => Vec::new(),
    };
    Judgement::Not(expect.error.unwrap_or(CheckStatus::L7Rsp), info)
}

/// The reason where none was written.
fn unwanted(expect: &CheckExpect, step: &CheckStep) -> Vec<u8> {
    let start: &[u8] = match expect.negated {
        true => b"TCPCHK matched unwanted content ",
        false => b"TCPCHK did not match content ",
    };
    let content = match &expect.pattern {
        CheckPattern::Bytes(bytes, CheckNotation::Text) => {
            quoted(b"", bytes).get(1..).unwrap_or_default().to_vec()
        }
        CheckPattern::Bytes(_, CheckNotation::Binary) => b"(binary)".to_vec(),
        _ => [b"(", looked_for(expect).as_slice(), b")"].concat(),
    };
    [start, &content, format!(" at step {}", step.number).as_bytes()].concat()
}

fn of_http(expect: &CheckExpect, answer: &Answer<'_>, code: &mut u16) -> Judgement {
    let method = if answer.to_head { Method::Head } else { Method::Get };
    let head = match parse_response(answer.bytes, RequestFacts { method, version: Version::Http11 }) {
        Ok(Some(head)) => head,
        Ok(None) if !answer.is_last => return Judgement::NotYet,
        _ => return Judgement::Not(CheckStatus::L7Rsp, Vec::new()),
    };
    *code = head.status;
    if head.status == 404 && answer.takes_404 {
        return Judgement::Fits;
    }
    let body = match &expect.pattern {
        CheckPattern::Bytes(..) | CheckPattern::Regex(_) => true,
        CheckPattern::Status(codes) => {
            let listed = codes.iter().any(|(low, high)| (*low..=*high).contains(&head.status));
            return of_head(expect, &head, answer, listed);
        }
        CheckPattern::StatusRegex(regex) => {
            let fits = regex.engine.is_match(&head.status.to_string());
            return of_head(expect, &head, answer, fits);
        }
        CheckPattern::Header { name, value, whole } => {
            let fits = has_header(&head, answer.bytes, name, value.as_ref(), *whole);
            return of_head(expect, &head, answer, fits);
        }
        _ => false,
    };
    debug_assert!(body, "the others are not for HTTP");
    of_body(expect, &head, answer)
}

/// A judgement by the head alone.
fn of_head(expect: &CheckExpect, head: &ResponseHead, answer: &Answer<'_>, fits: bool) -> Judgement {
    if fits != expect.negated {
        return Judgement::Fits;
    }
    let info = match &expect.on_error {
        Some(on_error) => text(on_error, answer.bytes),
        None => head.reason.of(answer.bytes).to_vec(),
    };
    Judgement::Not(expect.error.unwrap_or(CheckStatus::L7Sts), info)
}

fn of_body(expect: &CheckExpect, head: &ResponseHead, answer: &Answer<'_>) -> Judgement {
    let raw = answer.bytes.get(head.len..).unwrap_or_default();
    let (body, is_whole) = match head.framing {
        Framing::Chunked => {
            let mut data = raw.to_vec();
            let Ok(step) = Chunked::new().dechunk(&mut data) else {
                return Judgement::Not(CheckStatus::L7Rsp, Vec::new());
            };
            data.truncate(step.data);
            (Cow::Owned(data), step.done)
        }
        framing => body_so_far(framing, raw),
    };
    let is_last = is_whole || answer.is_last;
    let found = !body.is_empty() && found(&expect.pattern, &body);
    let why: &[u8] = if body.is_empty() {
        b"HTTP content check could not find a response body"
    } else if expect.negated {
        b"HTTP check matched unwanted content"
    } else {
        b"HTTP content check did not match"
    };
    let part = Answer { bytes: &body, is_last, ..*answer };
    if !is_last && (body.is_empty() || is_short(expect, &part) || !found && expect.min_recv.is_none()) {
        return Judgement::NotYet;
    }
    if !body.is_empty() && found != expect.negated {
        return Judgement::Fits;
    }
    let info = expect.on_error.as_ref().map_or_else(|| why.to_vec(), |on_error| text(on_error, answer.bytes));
    Judgement::Not(expect.error.unwrap_or(CheckStatus::L7Rsp), info)
}

/// Whether a field's name and value fit.
fn has_header(
    head: &ResponseHead,
    bytes: &[u8],
    name: &CheckMatch,
    value: Option<&CheckMatch>,
    whole: bool,
) -> bool {
    head.fields.iter().filter(|field| compares(name, field.name.of(bytes), true)).any(|field| {
        let found = field.value.of(bytes);
        let Some(value) = value else { return true };
        match whole {
            true => compares(value, found, false),
            false => found.split(|&byte| byte == b',').any(|part| compares(value, part.trim_ascii(), false)),
        }
    })
}

fn compares(how: &CheckMatch, text: &[u8], ignore_case: bool) -> bool {
    let (kind, wanted) = match how {
        CheckMatch::Regex(regex) => return matches(regex, text),
        CheckMatch::Text(kind, wanted) => (kind, wanted.as_ref()),
    };
    let same = |part: &[u8]| if ignore_case { part.eq_ignore_ascii_case(wanted) } else { part == wanted };
    match kind {
        MatchKind::Beg => text.get(..wanted.len()).is_some_and(same),
        MatchKind::End => {
            text.len().checked_sub(wanted.len()).and_then(|at| text.get(at..)).is_some_and(same)
        }
        MatchKind::Sub => wanted.is_empty() || text.windows(wanted.len()).any(same),
        _ => same(text),
    }
}

/// Whether the packet of this number is there and is no error: three bytes of length, one of sequence, and what follows.
fn of_mysql(nth: u8, answer: &Answer<'_>, code: &mut u16) -> Judgement {
    let mut rest = answer.bytes;
    let mut packet: &[u8] = &[];
    for _ in 0..=nth {
        let cut = rest.split_first_chunk::<4>().and_then(|([a, b, c, _], after)| {
            after.split_at_checked(u32::from_le_bytes([*a, *b, *c, 0]) as usize)
        });
        match cut {
            Some(cut) => (packet, rest) = cut,
            None if answer.is_last => return Judgement::Not(CheckStatus::L7Rsp, Vec::new()),
            None => return Judgement::NotYet,
        }
    }
    let Some(error) = packet.strip_prefix(b"\xff") else { return Judgement::Fits };
    let byte = |at: usize| error.get(at).copied().unwrap_or(0);
    *code = u16::from_le_bytes([byte(0), byte(1)]);
    Judgement::Not(CheckStatus::L7Sts, error.get(2..).unwrap_or_default().to_vec())
}

/// Whether an LDAP server has taken a bind without name and password (RFC 4511 §4.2).
fn of_ldap(answer: &Answer<'_>, code: &mut u16) -> Judgement {
    let result = answer
        .bytes
        .strip_prefix(b"\x30")
        .and_then(behind_length)
        .and_then(|message| message.strip_prefix(b"\x02\x01\x01\x61"))
        .and_then(behind_length)
        .and_then(|response| response.strip_prefix(b"\x0a\x01"));
    match result {
        Some([0, ..]) => Judgement::Fits,
        Some([refusal, ..]) => {
            *code = u16::from(*refusal);
            let info = b"See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9";
            Judgement::Not(CheckStatus::L7Sts, info.to_vec())
        }
        _ => Judgement::Not(CheckStatus::L7Rsp, b"Not LDAPv3 protocol".to_vec()),
    }
}

/// What follows a length of BER: a byte, or with its upper bit as many bytes as the others say.
fn behind_length(bytes: &[u8]) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    if first & 0x80 == 0 { Some(rest) } else { rest.get(usize::from(first & 0x7f)..) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CheckAct, Source, load};

    /// The first step of a plan that expects something, and the kind of the plan.
    fn step(lines: &str) -> (CheckStep, CheckKind) {
        let text = format!(
            "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nbackend b\n {}\n \
             server s 127.0.0.1:1 check\nfrontend f\n bind :1\n default_backend b\n",
            lines.replace("; ", "\n ")
        );
        let loaded = load(&[Source::new("t", text)], &|_| None);
        let config = loaded.config.unwrap_or_else(|| panic!("{lines}: {:?}", loaded.diagnostics));
        let plan = config.backends[0].check_plan.clone().unwrap();
        let expects = |step: &&CheckStep| matches!(step.act, CheckAct::Expect(_));
        (plan.steps.iter().find(expects).unwrap().clone(), plan.kind)
    }

    /// What is said of an answer while more may come, and at its end.
    fn judged(lines: &str, bytes: &[u8]) -> (Judgement, Judgement, u16) {
        let (step, kind) = step(lines);
        let CheckAct::Expect(expect) = &step.act else { panic!() };
        let mut code = 0;
        let mut of = |is_last| {
            let answer = Answer { bytes, is_last, to_head: false, takes_404: false };
            judge(expect, &step, kind, &answer, &mut code)
        };
        (of(false), of(true), code)
    }

    fn not(status: CheckStatus, info: &str) -> Judgement {
        Judgement::Not(status, info.as_bytes().to_vec())
    }

    #[test]
    fn bytes_are_waited_for_unless_enough_have_come() {
        use CheckStatus::{L7Rsp, L7Sts};
        use Judgement::{Fits, NotYet};
        const TCP: &str = "option tcp-check; tcp-check expect";
        for (rule, bytes, early, late) in [
            ("string abc", "ab", NotYet, not(L7Rsp, "TCPCHK did not match content 'abc' at step 1")),
            ("string abc", "xabcx", Fits, Fits),
            ("string abc", "", NotYet, not(L7Rsp, "TCPCHK got an empty response at step 1")),
            ("! string abc", "xyz", NotYet, Fits),
            ("min-recv 2 ! string abc", "xyz", Fits, Fits),
            ("min-recv 4 string abc", "abc", NotYet, Fits),
            (
                "min-recv 0 rstring ^b",
                "a",
                not(L7Rsp, "TCPCHK did not match content (regex) at step 1"),
                not(L7Rsp, "TCPCHK did not match content (regex) at step 1"),
            ),
            (
                "rbinary ^6A0a$",
                "j\n",
                NotYet,
                not(L7Rsp, "TCPCHK did not match content (binary regex) at step 1"),
            ),
            ("rbinary ^6A0A$", "j\n", Fits, Fits),
            (
                "error-status L7STS on-error no comment why binary 0001",
                "ab",
                NotYet,
                not(L7Sts, "no comment: why"),
            ),
        ] {
            let (now, end, _) = judged(&format!("{TCP} {rule}"), bytes.as_bytes());
            assert_eq!((now, end), (early, late), "{rule} {bytes:?}");
        }
    }

    #[test]
    fn heads_are_judged_as_soon_as_they_are_whole() {
        use CheckStatus::{L7Rsp, L7Sts};
        use Judgement::{Fits, NotYet};
        const HEAD: &str = "HTTP/1.1 503 Not now\r\nVia: a, b\r\nContent-Length: 3\r\n\r\n";
        for (rule, bytes, early, late, code) in [
            ("status 200-299,503", HEAD, Fits, Fits, 503),
            ("status 200", HEAD, not(L7Sts, "Not now"), not(L7Sts, "Not now"), 503),
            ("rstatus ^5.3$", HEAD, Fits, Fits, 503),
            ("status 200", "HTTP/1.1 20", NotYet, not(L7Rsp, ""), 0),
            ("status 200", "SSH-2.0", not(L7Rsp, ""), not(L7Rsp, ""), 0),
            ("hdr name via value b", HEAD, Fits, Fits, 503),
            ("fhdr name via value b", HEAD, not(L7Sts, "Not now"), not(L7Sts, "Not now"), 503),
            ("hdr name -m sub ngt value -m reg ^[0-9]$", HEAD, Fits, Fits, 503),
            (
                "string abc",
                HEAD,
                NotYet,
                not(L7Rsp, "HTTP content check could not find a response body"),
                503,
            ),
        ] {
            let (now, end, found) =
                judged(&format!("option httpchk; http-check expect {rule}"), bytes.as_bytes());
            assert_eq!((now, end, found), (early, late, code), "{rule} {bytes:?}");
        }
    }

    #[test]
    fn packets_of_mysql_are_whole_or_waited_for() {
        use Judgement::{Fits, NotYet};
        let first = |bytes: &[u8]| judged("option mysql-check", bytes).0;
        assert_eq!(first(b"\x02\0\0\0\x0a"), NotYet);
        assert_eq!(first(b"\x02\0\0\0\x0a5"), Fits);
        assert_eq!(first(b"\x05\0\0\0\xff\x10\x04no"), not(CheckStatus::L7Sts, "no"));
        let greeting = CheckExpect::new(CheckPattern::MySql(1));
        let step = step("option mysql-check").0;
        for (bytes, says) in [
            (&b"\x01\0\0\0\x0a"[..], NotYet),
            (b"\x01\0\0\0\x0a\x01\0\0\x01\0", Fits),
            (b"\x01\0\0\0\x0a\x03\0\0\x01\xff\x01\x02", not(CheckStatus::L7Sts, "")),
        ] {
            let answer = Answer { bytes, is_last: false, to_head: false, takes_404: false };
            assert_eq!(judge(&greeting, &step, CheckKind::Protocol, &answer, &mut 0), says, "{bytes:?}");
        }
    }

    #[test]
    fn texts_are_cut_out_of_answers() {
        let cut = |how: CheckText, bytes: &str| String::from_utf8(text(&how, bytes.as_bytes())).unwrap();
        assert_eq!(cut(CheckText::Line(4), "550  no way\r\nmore"), "no way");
        assert_eq!(cut(CheckText::Line(4), "55"), "");
        assert_eq!(cut(CheckText::Answer(1), "aFATAL\0more"), "FATAL");
        assert_eq!(cut(CheckText::Text("fine".into()), "x"), "fine");
    }
}
