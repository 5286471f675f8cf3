//! `if …` and `unless …` after a rule (configuration §7.2).

use super::acl;
use super::diagnostics::{Fault, Span};
use super::draft::AclTable;
use super::lexer::{self, Word};
use super::model::{AclId, Condition, Place, Term};
use super::sample::Reader;
use super::suggest;

/// ACLs that exist without being declared, as they would be declared (configuration §7.4).
const PREDEFINED: [(&str, &str); 22] = [
    ("TRUE", "always_true"),
    ("FALSE", "always_false"),
    ("HTTP", "req.proto_http"),
    ("HTTP_1.0", "req.ver 1.0"),
    ("HTTP_1.1", "req.ver 1.1"),
    ("HTTP_2.0", "req.ver 2.0"),
    ("HTTP_CONTENT", "req.hdr_val(content-length) gt 0"),
    ("HTTP_URL_ABS", "url_reg ^[^/:]*://"),
    ("HTTP_URL_SLASH", "url_beg /"),
    ("HTTP_URL_STAR", "url *"),
    ("LOCALHOST", "src 127.0.0.1/8 ::1"),
    ("METH_CONNECT", "method CONNECT"),
    ("METH_DELETE", "method DELETE"),
    ("METH_GET", "method GET HEAD"),
    ("METH_HEAD", "method HEAD"),
    ("METH_OPTIONS", "method OPTIONS"),
    ("METH_POST", "method POST"),
    ("METH_PUT", "method PUT"),
    ("METH_TRACE", "method TRACE"),
    ("RDP_COOKIE", "req.rdp_cookie_cnt gt 0"),
    ("REQ_CONTENT", "req.len gt 0"),
    ("WAIT_END", "wait_end"),
];

/// The predefined ACLs and what they stand for, for the compatibility page.
#[cfg(test)]
pub(crate) fn predefined() -> impl Iterator<Item = (&'static str, &'static str)> {
    PREDEFINED.iter().copied()
}

/// Parses what follows a rule: nothing, or `if`/`unless` and terms. Predefined and anonymous ACLs are added to
/// the table.
///
/// # Errors
/// Another word than `if` and `unless`, an unknown ACL, an open brace, an empty alternative.
pub(crate) fn parse(
    table: &mut AclTable,
    reader: &mut Reader<'_>,
    place: &Place,
    words: &[Word],
) -> Result<Option<Condition>, Fault> {
    let [first, rest @ ..] = words else { return Ok(None) };
    let unless = match first.bytes.as_slice() {
        b"if" => false,
        b"unless" => true,
        _ => {
            return Err(Fault::at(
                first.span,
                format_args!("{}: expected `if` or `unless` and a condition", first.quoted()),
            ));
        }
    };
    let mut condition = Condition { unless, any_of: Vec::new() };
    let mut group: Vec<Term> = Vec::new();
    let mut negated: Option<Span> = None;
    let mut last = first.span;
    let mut rest = rest;
    while let [word, after @ ..] = rest {
        rest = after;
        if word.is("||") || word.bytes.eq_ignore_ascii_case(b"or") {
            check_open(negated)?;
            if group.is_empty() {
                return Err(Fault::at(word.span, format_args!("nothing stands before {}", word.quoted())));
            }
            condition.any_of.push(std::mem::take(&mut group));
            last = word.span;
            continue;
        }
        if word.is("&&") || word.bytes.eq_ignore_ascii_case(b"and") && table.get("and").is_none() {
            return Err(Fault::at(
                word.span,
                format_args!(
                    "{} is not a word of conditions: terms beside each other must all hold",
                    word.quoted()
                ),
            ));
        }
        let marks = word.bytes.iter().take_while(|&&b| b == b'!').count();
        if marks % 2 == 1 {
            negated = if negated.is_some() { None } else { Some(word.span) };
        }
        let name = word.bytes.get(marks..).unwrap_or_default();
        if name.is_empty() && marks > 0 {
            last = word.span;
            continue;
        }
        let acl = if name == b"{" {
            let (acl, after) = anonymous(table, reader, place, word, after)?;
            rest = after;
            acl
        } else {
            named(table, reader, place, word, marks)?
        };
        group.push(Term { negated: negated.take().is_some(), acl });
        last = word.span;
    }
    check_open(negated)?;
    if group.is_empty() {
        return Err(Fault::at(last, "the condition ends here; the name of an ACL was expected"));
    }
    condition.any_of.push(group);
    Ok(Some(condition))
}

fn check_open(negated: Option<Span>) -> Result<(), Fault> {
    match negated {
        Some(span) => Err(Fault::at(span, "nothing follows this `!`")),
        None => Ok(()),
    }
}

/// `{ fetch … }`; `words` follow the opening brace, those after the closing one are given back.
fn anonymous<'w>(
    table: &mut AclTable,
    reader: &mut Reader<'_>,
    place: &Place,
    open: &Word,
    words: &'w [Word],
) -> Result<(AclId, &'w [Word]), Fault> {
    let Some(len) = words.iter().position(|word| word.is("}")) else {
        return Err(Fault::at(open.span, "this brace is never closed (` }` needs a blank before it)"));
    };
    let (inner, after) = words.split_at(len);
    let test = acl::test(reader, inner, open.span)?;
    let mut text = String::from("{");
    for word in inner {
        text.push(' ');
        // Word ends must be unmistakable, since equal texts share one ACL.
        for byte in &word.bytes {
            match byte {
                b' ' => text.push_str("\\x20"),
                byte => text.extend(byte.escape_ascii().map(char::from)),
            }
        }
    }
    text.push_str(" }");
    let id = match table.get(&text) {
        Some(id) => id,
        None => table.add(&text, &text, place, test),
    };
    Ok((id, after.get(1..).unwrap_or_default()))
}

fn named(
    table: &mut AclTable,
    reader: &mut Reader<'_>,
    place: &Place,
    word: &Word,
    marks: usize,
) -> Result<AclId, Fault> {
    let span =
        Span { start: word.span.start + marks.min(word.span.end - word.span.start), end: word.span.end };
    let text = word.text()?.trim_start_matches('!');
    if let Some(id) = table.get(text).filter(|_| !text.starts_with([' ', '{'])) {
        table.note_use(id);
        return Ok(id);
    }
    if let Some((name, declared)) = PREDEFINED.iter().find(|(name, _)| *name == text) {
        let key = format!(" {name}");
        if let Some(id) = table.get(&key) {
            return Ok(id);
        }
        let words = lexer::split(declared.as_bytes(), &|_| None)?;
        let test = acl::test(reader, &words, span)?;
        return Ok(table.add(&key, name, place, test));
    }
    if text.starts_with('{') {
        return Err(Fault::at(span, "a blank is needed after `{`"));
    }
    let hint = suggest::hint(text, table.names().chain(PREDEFINED.iter().map(|(name, _)| *name)));
    Err(Fault::at(
        span,
        format_args!(
            "no ACL called {} is declared above this line{hint}",
            super::diagnostics::quoted(text.as_bytes())
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostics::Spot;
    use crate::config::sample::Shared;

    /// The condition as text: `|` between alternatives, `,` between terms.
    fn parse_text(text: &str) -> Result<String, String> {
        let split = |text: &str| lexer::split(text.as_bytes(), &|_| None).unwrap();
        let mut table = AclTable::default();
        let (mut shared, spot) = (Shared::default(), Spot::default());
        let mut reader = Reader { shared: &mut shared, spot: &spot, env: &|_| None };
        let reader = &mut reader;
        for name in ["a", "bee"] {
            let words = split(&format!("{name} always_true"));
            acl::declare(&mut table, reader, &Place::default(), &words, Span::default()).unwrap();
        }
        let parsed =
            parse(&mut table, reader, &Place::default(), &split(text)).map_err(Fault::into_message)?;
        let Some(condition) = parsed else { return Ok("none".into()) };
        let acls = table.into_list();
        let term = |t: &Term| format!("{}{}", if t.negated { "!" } else { "" }, acls[t.acl.0].name);
        let group = |g: &Vec<Term>| g.iter().map(term).collect::<Vec<_>>().join(",");
        let groups: Vec<String> = condition.any_of.iter().map(group).collect();
        Ok(format!("{}{}", if condition.unless { "unless " } else { "" }, groups.join("|")))
    }

    #[test]
    fn conditions() {
        for (text, want) in [
            ("", "none"),
            ("if a", "a"),
            ("unless a", "unless a"),
            ("if !a bee", "!a,bee"),
            ("if ! a !!bee", "!a,bee"),
            ("if a || !bee or HTTP a", "a|!bee|HTTP,a"),
            ("if TRUE !FALSE", "TRUE,!FALSE"),
            ("if !{ hdr(host) -i x } a", "!{ hdr(host) -i x },a"),
            ("if { always_true } || { always_true }", "{ always_true }|{ always_true }"),
        ] {
            assert_eq!(parse_text(text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("when a", "expected `if`"),
            ("if", "ends here"),
            ("if a ||", "ends here"),
            ("if || a", "nothing stands before"),
            ("if a !", "nothing follows"),
            ("if ! || a", "nothing follows"),
            ("if a && bee", "must all hold"),
            ("if a and bee", "must all hold"),
            ("if be", "did you mean `bee`"),
            ("if http", "did you mean `HTTP`"),
            ("if { always_true", "never closed"),
            ("if {always_true }", "blank is needed"),
            ("if { }", "missing"),
            ("if xyzzy", "no ACL called"),
        ] {
            let message = parse_text(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn anonymous_acls_of_one_text_are_shared_and_others_are_not() {
        let words = lexer::split(br"if { hdr(a) b\ c } { hdr(a) b c } { hdr(a) b\ c }", &|_| None).unwrap();
        let mut table = AclTable::default();
        let (mut shared, spot) = (Shared::default(), Spot::default());
        let mut reader = Reader { shared: &mut shared, spot: &spot, env: &|_| None };
        parse(&mut table, &mut reader, &Place::default(), &words).unwrap();
        assert_eq!(table.into_list().len(), 2);
    }
}
