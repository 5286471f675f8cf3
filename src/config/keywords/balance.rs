//! How a backend chooses among its servers (configuration §4.2, "balance", "hash-type").

use super::options::flag;
use super::{Keyword, Sections};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{Affinity, Algorithm, Expr, Fetch, HashFunction, HashType, Key, Side};
use crate::config::values::number;
use crate::config::{sample, suggest};

const SERVER: Sections = Sections::SERVER_SIDE;
const ALGORITHMS: &str = "roundrobin, static-rr, leastconn, first, source, uri, url_param NAME, hdr(NAME), \
     random[(DRAWS)], rdp-cookie[(NAME)] or hash EXPRESSION";
const METHODS: [(&str, Method); 11] = [
    ("roundrobin", Method::RoundRobin),
    ("static-rr", Method::StaticRr),
    ("leastconn", Method::LeastConn),
    ("first", Method::First),
    ("source", Method::Source),
    ("uri", Method::Uri),
    ("url_param", Method::UrlParam),
    ("hdr", Method::Header),
    ("random", Method::Random),
    ("hash", Method::Hash),
    ("rdp-cookie", Method::RdpCookie),
];
const FUNCTIONS: [&str; 5] = ["sdbm", "djb2", "wt6", "crc32", "none"];

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "balance",
        SERVER,
        "1.3",
        "roundrobin|static-rr|leastconn|first|source|uri [whole] [path-only] [len <n>] [depth <n>]|\
         url_param <name> [check_post]|hdr(<name>) [use_domain_only]|random[(<draws>)]|rdp-cookie[(<name>)]|\
         hash <expression>",
        "how a server is chosen; default roundrobin",
        balance,
    )
    .lenient(),
    Keyword::new(
        "hash-type",
        SERVER,
        "1.3",
        "map-based|consistent [sdbm|djb2|wt6|crc32|none] [avalanche]",
        "how what is hashed leads to a server; default map-based sdbm, of consistent sdbm avalanche",
        hash_type,
    )
    .lenient(),
    Keyword::new(
        "hash-balance-factor",
        SERVER,
        "1.6",
        "<percent>",
        "with `hash-type consistent` the most a server carries, percent of the average, above 100; 0 = no bound",
        |b, st| {
            let word = st.one("0, or a percentage above 100")?;
            let percent = number(word, 0, i32::MAX as u32)?;
            if (1..=100).contains(&percent) {
                return Err(Fault::at(word.span, "expected 0, or a percentage above 100"));
            }
            b.settings()?.balance.factor_percent = percent;
            Ok(())
        },
    )
    .lenient(),
    Keyword::new(
        "hash-preserve-affinity",
        SERVER,
        "3.1",
        "always|maxconn|maxqueue",
        "when another server than the hashed one will do: never, while it is full, while its queue is full",
        |b, st| {
            let word = st.one("always, maxconn or maxqueue")?;
            let all = [Affinity::Always, Affinity::MaxConn, Affinity::MaxQueue];
            let at = one_of(word, &["always", "maxconn", "maxqueue"], "always, maxconn or maxqueue")?;
            b.settings()?.balance.affinity = all.get(at).copied().unwrap_or_default();
            Ok(())
        },
    )
    .lenient(),
    Keyword::new(
        "option allbackups",
        SERVER,
        "1.3",
        "",
        "when no other server is up all backup servers serve, not only the first",
        |b, st| { flag(b, st, |s| &mut s.balance.all_backups) },
    )
    .with_no()
    .lenient(),
];

/// Which of these words it is.
fn one_of(word: &Word, names: &[&str], expected: &str) -> Result<usize, Fault> {
    let found = names.iter().position(|name| word.is(name));
    found.ok_or_else(|| {
        let hint = suggest::hint_of(word.text().unwrap_or_default(), names);
        Fault::at(word.span, format_args!("unexpected {}{hint}; expected {expected}", word.quoted()))
    })
}

/// An algorithm by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    RoundRobin,
    StaticRr,
    LeastConn,
    First,
    Source,
    Uri,
    UrlParam,
    Header,
    Random,
    Hash,
    RdpCookie,
}

fn balance(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    use Method::{First, Hash, Header, LeastConn, Random, RdpCookie, RoundRobin, Source, StaticRr};
    let [word, rest @ ..] = st.args() else {
        return Err(st.wrong(format_args!("expected `balance` and {ALGORITHMS}")));
    };
    let text = word.text()?;
    // `hdr(host)`, `random(3)`
    let (name, argument) = match text.split_once('(') {
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(argument) => (name, Some(argument)),
            None => {
                return Err(Fault::at(
                    word.span,
                    format_args!("the parenthesis in {} is never closed", word.quoted()),
                ));
            }
        },
        None => (text, None),
    };
    let Some(&(name, method)) = METHODS.iter().find(|(known, _)| *known == name) else {
        let hint = suggest::hint(name, METHODS.iter().map(|(name, _)| *name));
        let quoted = word.quoted();
        let message = format_args!("{quoted} is no balance algorithm{hint}; expected {ALGORITHMS}");
        return Err(Fault::at(word.span, message));
    };
    if argument.is_some() && !matches!(method, Header | Random | RdpCookie) {
        return Err(Fault::at(word.span, format_args!("`{name}` takes nothing in parentheses")));
    }
    if let [first, ..] = rest
        && matches!(method, RoundRobin | StaticRr | LeastConn | First | Source | Random)
    {
        // HAProxy passes over it in silence.
        let quoted = first.quoted();
        let message = format!("`balance {name}` takes nothing more: {quoted} and what follows is ignored");
        b.warn(st, Some(first.span), message);
    }
    let key = match method {
        RoundRobin | StaticRr | LeastConn | First | Random => {
            b.settings()?.balance.algorithm = match method {
                StaticRr => Algorithm::StaticRr,
                LeastConn => Algorithm::LeastConn,
                First => Algorithm::First,
                Random => Algorithm::Random(draws(word, argument)?),
                _ => Algorithm::RoundRobin,
            };
            return Ok(());
        }
        Source => Key::Source,
        Method::Uri => uri(rest)?,
        Method::UrlParam => url_param(st, word, rest)?,
        Header => {
            let name = header(word, argument)?;
            if let [first, rest @ ..] = rest {
                one_of(first, &["use_domain_only"], "`use_domain_only`")?;
                st.end(rest)?;
            }
            Key::Header { name, domain_only: !rest.is_empty() }
        }
        Hash => {
            let [expression, rest @ ..] = rest else {
                let why = "`hash` needs an expression, as `hash req.hdr(host),lower`";
                return Err(Fault::at(word.span, why));
            };
            st.end(rest)?;
            Key::Sample(self::expression(b, st, expression)?.into())
        }
        RdpCookie => {
            st.end(rest)?;
            let name = argument.filter(|name| !name.is_empty()).unwrap_or("msts");
            Key::Sample(Expr::of(Fetch::RdpCookie(name.into()), text).into())
        }
    };
    b.settings()?.balance.algorithm = Algorithm::Hash(key);
    Ok(())
}

/// What follows `url_param`.
fn url_param(st: &Statement<'_>, word: &Word, words: &[Word]) -> Result<Key, Fault> {
    let [name, rest @ ..] = words else {
        return Err(Fault::at(word.span, "`url_param` needs the name of a parameter"));
    };
    if let [post, rest @ ..] = rest {
        one_of(post, &["check_post"], "`check_post`")?;
        if let [wait] = rest {
            number(wait, 0, u32::MAX)?;
        } else {
            st.end(rest)?;
        }
    }
    Ok(Key::UrlParam(name.text()?.into()))
}

/// `random(N)`; two draws where nothing is said.
fn draws(word: &Word, argument: Option<&str>) -> Result<u32, Fault> {
    const DRAWS_MAX: u32 = 1_000;
    let Some(text) = argument else { return Ok(2) };
    let number = text.parse::<u32>().ok().filter(|number| (1..=DRAWS_MAX).contains(number));
    number.ok_or_else(|| {
        Fault::at(word.span, format_args!("`random(DRAWS)`: expected a number from 1 to {DRAWS_MAX}"))
    })
}

fn header(word: &Word, argument: Option<&str>) -> Result<std::rc::Rc<str>, Fault> {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    match argument {
        Some(name) if !name.is_empty() && name.bytes().all(tchar) => Ok(name.to_ascii_lowercase().into()),
        _ => Err(Fault::at(word.span, "`hdr` needs the name of a header, as `hdr(host)`")),
    }
}

/// What follows `uri`.
fn uri(words: &[Word]) -> Result<Key, Fault> {
    let (mut whole, mut path_only, mut len_max, mut depth_max) = (false, false, 0, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let option = one_of(word, &["whole", "path-only", "len", "depth"], "whole, path-only, len or depth")?;
        let mut value = || {
            let value =
                words.next().ok_or_else(|| Fault::at(word.span, "a number is missing behind this word"))?;
            Ok(number(value, 1, i32::MAX as u32)? as usize)
        };
        match option {
            0 => whole = true,
            1 => path_only = true,
            2 => len_max = value()?,
            _ => depth_max = Some(value()?),
        }
    }
    Ok(Key::Uri { whole, path_only, len_max, depth_max })
}

fn expression(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    word: &Word,
) -> Result<crate::config::model::Expr, Fault> {
    let spot = b.spot(st, Some(word.span));
    let (expr, _) = sample::parse(&mut b.reader(&spot), word)?;
    if expr.fetch.message() == Some(Side::Response) {
        return Err(Fault::at(
            word.span,
            format_args!("`{}` has no value here: the server has not answered yet", expr.text),
        ));
    }
    Ok(expr)
}

fn hash_type(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    const METHODS: &str = "map-based or consistent";
    let [method, rest @ ..] = st.args() else {
        return Err(st.wrong(format_args!("expected `hash-type` and {METHODS}")));
    };
    let consistent = one_of(method, &["map-based", "consistent"], METHODS)? == 1;
    let functions =
        [HashFunction::Sdbm, HashFunction::Djb2, HashFunction::Wt6, HashFunction::Crc32, HashFunction::None];
    let (function, avalanche) = match rest {
        // What HAProxy does where nothing is said.
        [] => (HashFunction::Sdbm, consistent),
        [word, rest @ ..] => {
            let at = one_of(word, &FUNCTIONS, "sdbm, djb2, wt6, crc32 or none")?;
            if let [word, rest @ ..] = rest {
                one_of(word, &["avalanche"], "`avalanche`")?;
                st.end(rest)?;
            }
            (functions.get(at).copied().unwrap_or_default(), !rest.is_empty())
        }
    };
    b.settings()?.balance.hash = HashType { consistent, function, avalanche };
    Ok(())
}
