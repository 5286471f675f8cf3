//! ACLs and the rules that use them (configuration §4.2 "acl", "use_backend", "tcp-request …").

use super::{Keyword, Sections};
use crate::config::acl;
use crate::config::builder::{Builder, Statement};
use crate::config::condition;
use crate::config::diagnostics::Fault;
use crate::config::draft::{NameRef, UseRule};
use crate::config::lexer::Word;
use crate::config::model::{Chosen, Condition, ContentAction, ContentRule};
use crate::config::values::{name, time_ms};
use crate::config::{format, lint};

const CLIENT: Sections = Sections::FRONTEND.or(Sections::LISTEN);
/// Rules of one kind in one proxy.
const RULES_MAX: usize = 65_536;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "acl",
        CLIENT.or(Sections::BACKEND),
        "1.3",
        "<name> <fetch> [<flags>] [<pattern>…]",
        "name a test; lines of the same name are alternatives",
        |b, st| {
            let place = st.place.clone();
            let spot = b.spot(st, Some(st.args().first().map_or(st.name_span(), |word| word.span)));
            let (acls, mut reader) = b.terms(&spot)?;
            let never = acl::declare(acls, &mut reader, &place, st.args(), st.name_span())?;
            if never {
                b.warn(
                    st,
                    None,
                    "there is no pattern to compare with: this never matches (`-m found` asks for presence)",
                );
            } else {
                acls.declared(&spot);
            }
            Ok(())
        },
    ),
    Keyword::new(
        "use_backend",
        CLIENT,
        "1.3",
        "<backend> [if|unless <condition>]",
        "send to this backend when the condition holds; `%[…]` in its name is filled in for each request",
        use_backend,
    ),
    Keyword::new(
        "use-server",
        Sections::LISTEN.or(Sections::BACKEND),
        "1.4",
        "<server> if|unless <condition>",
        "prefer this server, if it is up, when the condition holds",
        use_server,
    ),
    Keyword::new(
        "tcp-request inspect-delay",
        CLIENT,
        "1.4",
        "<time>",
        "how long rules may wait for more bytes",
        |b, st| {
            let time_ms = time_ms(st.one("a time")?)?;
            // 0 is HAProxy's way to say: do not wait.
            b.proxy()?.inspect_delay_ms = Some(time_ms).filter(|&ms| ms > 0);
            Ok(())
        },
    ),
    Keyword::new(
        "tcp-request content",
        CLIENT,
        "1.4",
        "accept|reject [if|unless <condition>]",
        "go on, or close the connection, by its first bytes",
        content,
    ),
];

fn use_backend(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [word, rest @ ..] = st.args() else {
        return Err(Fault::at(st.name_span(), "expected `use_backend NAME [if|unless CONDITION]`"));
    };
    let backend = chosen(b, st, word, "backend")?;
    let condition = condition(b, st, rest)?;
    let proxy = b.proxy()?;
    let rules = &mut proxy.use_backends;
    if rules.len() == RULES_MAX {
        return Err(too_many());
    }
    let mut earlier = rules.iter().map(|rule| (rule.condition.as_ref(), rule.place.line));
    let never = lint::unreachable(&proxy.acls, condition.as_ref(), &mut earlier);
    rules.push(UseRule { backend, condition, place: st.place.clone() });
    if let Some(message) = never {
        b.warn(st, None, message);
    }
    Ok(())
}

fn use_server(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let expected = || Fault::at(st.name_span(), "expected `use-server NAME if|unless CONDITION`");
    let [word, rest @ ..] = st.args() else { return Err(expected()) };
    let server = chosen(b, st, word, "server")?;
    let condition = condition(b, st, rest)?.ok_or_else(expected)?;
    let rules = &mut b.proxy()?.use_servers;
    if rules.len() == RULES_MAX {
        return Err(too_many());
    }
    rules.push((server, condition));
    Ok(())
}

/// What a rule names, or a text that becomes a name.
fn chosen(b: &mut Builder<'_>, st: &Statement<'_>, word: &Word, of: &str) -> Result<Chosen<NameRef>, Fault> {
    let spot = b.spot(st, Some(word.span));
    if !word.bytes.contains(&b'%') {
        return Ok(Chosen::Known(NameRef { name: name(word, of)?.to_owned(), spot }));
    }
    let text = format::parse(&mut b.reader(&spot), word)?;
    Ok(match text.constant() {
        Some(text) => Chosen::Known(NameRef { name: String::from_utf8_lossy(text).into_owned(), spot }),
        None => Chosen::Called(text),
    })
}

fn content(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [word, rest @ ..] = st.args() else {
        return Err(Fault::at(st.name_span(), "expected `tcp-request content accept` or `… reject`"));
    };
    let action = match word.bytes.as_slice() {
        b"accept" => ContentAction::Accept,
        b"reject" => ContentAction::Reject,
        _ => {
            let hint = crate::config::suggest::hint(word.text()?, ["accept", "reject"].into_iter());
            return Err(Fault::at(
                word.span,
                format!("the action {} is not built{hint}; expected accept or reject", word.quoted()),
            ));
        }
    };
    let condition = condition(b, st, rest)?;
    let proxy = b.proxy()?;
    let misplaced = lint::misplaced(proxy, st.keyword.name);
    let rules = &mut proxy.content_rules;
    if rules.len() == RULES_MAX {
        return Err(too_many());
    }
    let mut earlier = rules.iter().map(|rule| (rule.condition.as_ref(), rule.place.line));
    let never = lint::unreachable(&proxy.acls, condition.as_ref(), &mut earlier);
    rules.push(ContentRule { action, condition, place: st.place.clone() });
    if let Some(message) = never.or(misplaced) {
        b.warn(st, None, message);
    }
    Ok(())
}

fn too_many() -> Fault {
    Fault::line(format!("a section has at most {RULES_MAX} rules of one kind"))
}

fn condition(b: &mut Builder<'_>, st: &Statement<'_>, words: &[Word]) -> Result<Option<Condition>, Fault> {
    let spot = b.spot(st, words.first().map(|word| word.span));
    let (acls, mut reader) = b.terms(&spot)?;
    condition::parse(acls, &mut reader, st.place, words)
}
