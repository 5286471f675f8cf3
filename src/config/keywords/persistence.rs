//! What keeps a client with the server that it was given before (configuration §4.2, "cookie", "…persist").

use super::options::flag;
use super::{Keyword, Sections};
use crate::config::builder::{Builder, Statement};
use crate::config::condition;
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{PersistCookie, PersistRule, PersistWord};
use crate::config::suggest;
use crate::config::values::time_s;

const SERVER: Sections = Sections::SERVER_SIDE;
const RULES: Sections = Sections::LISTEN.or(Sections::BACKEND);
/// Rules of one proxy.
const RULES_MAX: usize = 65_536;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "cookie",
        SERVER,
        "1.3",
        "<name> [rewrite|insert|prefix] [indirect] [nocache] [postonly] [preserve] [httponly] [secure] [dynamic] \
         [domain <name>]… [maxidle <time>] [maxlife <time>] [attr <text>]…",
        "clients go to the server whose value is in this cookie",
        cookie,
    )
    .lenient(),
    Keyword::new(
        "dynamic-cookie-key",
        SERVER,
        "1.8",
        "<text>",
        "the key from which, with a server's address, `cookie … dynamic` works out its value",
        |b, st| {
            let key = st.one("the key")?.bytes.as_slice().into();
            b.settings()?.dynamic_cookie_key = Some(key);
            Ok(())
        },
    )
    .lenient(),
    Keyword::new(
        "force-persist",
        RULES,
        "1.4",
        "if|unless <condition>",
        "requests go to the server they ask for even while it is down",
        |b, st| rule(b, st, PersistWord::Force),
    )
    .lenient(),
    Keyword::new(
        "ignore-persist",
        RULES,
        "1.4",
        "if|unless <condition>",
        "the server that requests ask for does not count",
        |b, st| rule(b, st, PersistWord::Ignore),
    )
    .lenient(),
    Keyword::new(
        "option persist",
        SERVER,
        "1.3",
        "",
        "the server that a request asks for is tried even while it is down",
        |b, st| { flag(b, st, |s| &mut s.persistence.even_down) },
    )
    .with_no()
    .lenient(),
    Keyword::new(
        "option checkcache",
        SERVER,
        "1.3",
        "",
        "an answer that sets a cookie and that anybody may keep is blocked: 502",
        |b, st| { flag(b, st, |s| &mut s.persistence.check_cache) },
    )
    .with_no()
    .lenient(),
    Keyword::new(
        "option prefer-last-server",
        SERVER,
        "1.4",
        "",
        "a client goes on with the server to which a connection of its own stands",
        |b, st| { flag(b, st, |s| &mut s.persistence.prefer_last) },
    )
    .with_no()
    .lenient(),
    Keyword::new(
        "persist",
        SERVER,
        "1.4",
        "rdp-cookie[(<name>)]",
        "in `mode tcp`, go to the server whose address is in the cookie of a Remote Desktop connection; default `msts`",
        |b, st| {
            let word = st.one("`rdp-cookie`")?;
            let name = match word.text()?.strip_prefix("rdp-cookie") {
                Some("") => Some("msts"),
                Some(rest) => rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')),
                None => None,
            };
            let Some(name) = name.filter(|name| !name.is_empty()) else {
                return Err(Fault::at(word.span, format_args!("{}: expected `rdp-cookie` or `rdp-cookie(NAME)`", word.quoted())));
            };
            b.settings()?.persistence.rdp_cookie = Some(name.into());
            Ok(())
        },
    )
    .lenient(),
];

/// Sets what a word says.
type Set = fn(&mut PersistCookie);

/// The words that take no value.
const FLAGS: &[(&str, Set)] = &[
    ("rewrite", |cookie| cookie.rewrite = true),
    ("insert", |cookie| cookie.insert = true),
    ("prefix", |cookie| cookie.prefix = true),
    ("indirect", |cookie| cookie.indirect = true),
    ("nocache", |cookie| cookie.no_cache = true),
    ("postonly", |cookie| cookie.post_only = true),
    ("preserve", |cookie| cookie.preserve = true),
    ("dynamic", |cookie| cookie.dynamic = true),
];
/// All words, in the order in which they are shown.
const WORDS: &str = "rewrite|insert|prefix|indirect|nocache|postonly|preserve|dynamic|httponly|secure|domain|attr|\
                     maxidle|maxlife";

fn cookie(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [name, rest @ ..] = st.args() else {
        return Err(st.wrong("`cookie` needs an argument: its name"));
    };
    let mut cookie = PersistCookie { name: plain(name)?.into(), ..PersistCookie::default() };
    // In `Set-Cookie` they have an order of their own.
    let mut attributes = [const { String::new() }; 4];
    let [domains, http_only, secure, others] = &mut attributes;
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let text = word.text()?;
        if let Some((_, set)) = FLAGS.iter().find(|(name, _)| *name == text) {
            set(&mut cookie);
            continue;
        }
        let mut value =
            || words.next().ok_or_else(|| Fault::at(word.span, format_args!("`{text}` needs a value")));
        match text {
            "httponly" => "; HttpOnly".clone_into(http_only),
            "secure" => "; Secure".clone_into(secure),
            "domain" => {
                let word = value()?;
                let domain = plain(word)?;
                if !domain.get(1..).unwrap_or_default().contains('.') {
                    b.warn(st, Some(word.span), "browsers refuse cookies for a domain without a dot within");
                }
                domains.push_str("; domain=");
                domains.push_str(domain);
            }
            "attr" => {
                others.push_str("; ");
                others.push_str(plain(value()?)?);
            }
            "maxidle" => cookie.max_idle_s = time_s(value()?)?,
            "maxlife" => cookie.max_life_s = time_s(value()?)?,
            _ => {
                let hint = suggest::hint_of(text, &[WORDS]);
                return Err(Fault::at(
                    word.span,
                    format_args!(
                        "unknown option {}{hint}; expected {}",
                        word.quoted(),
                        WORDS.replace('|', ", ")
                    ),
                ));
            }
        }
    }
    cookie.attributes = attributes.concat();
    let modes = [cookie.rewrite, cookie.insert, cookie.prefix].into_iter().filter(|on| *on).count();
    let wrong = if modes > 1 {
        "`rewrite`, `insert` and `prefix` exclude each other"
    } else if cookie.rewrite && cookie.indirect {
        "`rewrite` and `indirect` exclude each other"
    } else if cookie.preserve && !cookie.insert && !cookie.indirect {
        "`preserve` needs `insert` or `indirect`"
    } else {
        b.settings()?.persistence.cookie = Some(cookie.into());
        return Ok(());
    };
    Err(st.wrong(wrong))
}

/// A text that can be a part of a cookie.
fn plain(word: &Word) -> Result<&str, Fault> {
    let text = word.text()?;
    match text.chars().find(|c| c.is_control() || *c == ';') {
        None if !text.is_empty() => Ok(text),
        _ => Err(word.wrong(" cannot be a part of a cookie")),
    }
}

fn rule(b: &mut Builder<'_>, st: &Statement<'_>, word: PersistWord) -> Result<(), Fault> {
    let spot = b.spot(st, st.args().first().map(|word| word.span));
    let (acls, mut reader) = b.terms(&spot)?;
    let Some(condition) = condition::parse(acls, &mut reader, st.place, st.args())? else {
        return Err(st.wrong(format_args!("`{}` needs a condition: if …", st.keyword.name)));
    };
    let rules = &mut b.proxy()?.persist_rules;
    if rules.len() == RULES_MAX {
        return Err(Fault::line(format_args!("a section has at most {RULES_MAX} rules of one kind")));
    }
    rules.push(PersistRule { word, condition });
    Ok(())
}
