//! ACLs and the rules that use them (configuration §4.2 "acl", "use_backend", "tcp-request …").

use super::{Keyword, Sections, http_actions, http_rules};
use crate::config::acl;
use crate::config::builder::{Builder, Statement};
use crate::config::condition;
use crate::config::diagnostics::Fault;
use crate::config::draft::{NameRef, UseRule};
use crate::config::lexer::Word;
use crate::config::model::{Chosen, Condition};
use crate::config::values::{name, time_ms};
use crate::config::{format, lint};

const CLIENT: Sections = Sections::FRONTEND.or(Sections::LISTEN);
const RULES: Sections = CLIENT.or(Sections::BACKEND).or(Sections::DEFAULTS);
const ANSWERS: Sections = Sections::LISTEN.or(Sections::BACKEND).or(Sections::DEFAULTS);
const ACTION: &str = "<action> [<arguments>…] [if|unless <condition>]";
/// Rules of one kind in one proxy.
const RULES_MAX: usize = 65_536;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "acl",
        RULES,
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
        RULES,
        "1.4",
        "<time>",
        "how long rules may wait for more bytes",
        |b, st| {
            b.proxy()?.tcp_rules.request_delay_ms = delay(st)?;
            Ok(())
        },
    ),
    Keyword::new(
        "tcp-response inspect-delay",
        ANSWERS,
        "1.5",
        "<time>",
        "the same for what servers send",
        |b, st| {
            b.proxy()?.tcp_rules.response_delay_ms = delay(st)?;
            Ok(())
        },
    ),
    Keyword::new(
        "tcp-request connection",
        CLIENT.or(Sections::DEFAULTS),
        "1.3.14",
        ACTION,
        "a rule for connections at their accept, before any byte",
        |b, st| http_rules::rule(b, st, http_actions::CONNECTION),
    ),
    Keyword::new(
        "tcp-request session",
        CLIENT.or(Sections::DEFAULTS),
        "1.6",
        ACTION,
        "the same behind the PROXY protocol header",
        |b, st| http_rules::rule(b, st, http_actions::SESSION),
    ),
    Keyword::new(
        "tcp-request content",
        RULES,
        "1.4",
        ACTION,
        "a rule for connections by their first bytes; in `mode http` for each request",
        |b, st| http_rules::rule(b, st, http_actions::CONTENT),
    ),
    Keyword::new(
        "tcp-response content",
        ANSWERS,
        "1.5",
        ACTION,
        "a rule for the first bytes of servers; in `mode http` for each answer",
        |b, st| http_rules::rule(b, st, http_actions::ANSWER),
    ),
];

fn use_backend(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [word, rest @ ..] = st.args() else {
        return Err(st.wrong("expected `use_backend NAME [if|unless CONDITION]`"));
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
    let expected = || st.wrong("expected `use-server NAME if|unless CONDITION`");
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
    let text = format::parse_for_rule(&mut b.reader(&spot), word)?;
    Ok(match text.constant() {
        Some(text) => Chosen::Known(NameRef { name: String::from_utf8_lossy(text).into_owned(), spot }),
        None => Chosen::Called(text),
    })
}

/// 0 is HAProxy's way to say: do not wait.
fn delay(st: &Statement<'_>) -> Result<Option<u64>, Fault> {
    Ok(Some(time_ms(st.one("a time")?)?).filter(|&ms| ms > 0))
}

fn too_many() -> Fault {
    Fault::line(format_args!("a section has at most {RULES_MAX} rules of one kind"))
}

fn condition(b: &mut Builder<'_>, st: &Statement<'_>, words: &[Word]) -> Result<Option<Condition>, Fault> {
    let spot = b.spot(st, words.first().map(|word| word.span));
    let (acls, mut reader) = b.terms(&spot)?;
    condition::parse(acls, &mut reader, st.place, words)
}
