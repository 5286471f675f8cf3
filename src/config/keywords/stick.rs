//! Stick tables and the rules that use them (configuration §4.2, "stick-table", "stick on").

use super::{Keyword, Sections, listed};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::{Fault, Severity, quoted};
use crate::config::lexer::Word;
use crate::config::model::{Fetch, KeyKind, MatchKind, RefId, Side, StickRule, StickTable, Target};
use crate::config::sample::{self, KeyTypes, Reader, ReferenceKind};
use crate::config::values::{number, time_ms};
use crate::config::{condition, suggest};

/// Stick rules of one proxy.
const RULES_MAX: usize = 65_536;
/// Bytes of a key, where the table does not say.
const KEY_BYTES: u32 = 32;
/// No text is longer than the largest buffer.
const KEY_BYTES_MAX: u32 = 65_535;
/// Entries of a table: their numbers have 32 bits.
const SIZE_MAX: u64 = i32::MAX as u64;

const TYPES: [(&str, KeyKind); 5] = [
    ("ip", KeyKind::Ipv4),
    ("ipv6", KeyKind::Ipv6),
    ("integer", KeyKind::Integer),
    ("string", KeyKind::Text),
    ("binary", KeyKind::Bytes),
];
/// What an entry can hold beside its server: alone, with a time, with a number, with both.
const COUNTERS: [&str; 4] = [
    "bytes_in_cnt|bytes_out_cnt|conn_cnt|conn_cur|glitches_cnt|gpc0|gpc1|gpt0|http_err_cnt|http_fail_cnt|\
     http_req_cnt|sess_cnt",
    "bytes_in_rate|bytes_out_rate|conn_rate|glitches_rate|gpc0_rate|gpc1_rate|http_err_rate|http_fail_rate|\
     http_req_rate|sess_rate",
    "gpc|gpt",
    "gpc_rate",
];
/// What it holds anyway.
const SERVERS: &str = "server_id|server_key|server_name";
/// Elements of `gpc(n)` and its like.
const ELEMENTS_MAX: u32 = 100;

const SERVER_SIDE: Sections = Sections::LISTEN.or(Sections::BACKEND);
const ARGS: &str = "<expression> [table <name>] [if|unless <condition>]";

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "stick-table",
        Sections::FRONTEND.or(SERVER_SIDE),
        "1.4",
        "type ip|ipv6|integer|string [len <bytes>]|binary [len <bytes>] size <entries> [expire <time>] [nopurge] \
         [srvkey name|addr] [peers <section>] [store <data>[,…]]",
        "a table of clients and their servers, with the proxy's name; counters of `store` are not kept yet",
        stick_table,
    ),
    Keyword::new(
        "stick match",
        SERVER_SIDE,
        "1.4",
        ARGS,
        "go to the server that the table knows",
        |b, st| rule(b, st, Side::Request, true, false),
    )
    .lenient(),
    Keyword::new(
        "stick on",
        SERVER_SIDE,
        "1.4",
        ARGS,
        "`stick match` and `stick store-request` in one",
        |b, st| rule(b, st, Side::Request, true, true),
    )
    .lenient(),
    Keyword::new(
        "stick store-request",
        SERVER_SIDE,
        "1.4",
        ARGS,
        "store the server that answers under what the request has",
        |b, st| rule(b, st, Side::Request, false, true),
    )
    .lenient(),
    Keyword::new(
        "stick store-response",
        SERVER_SIDE,
        "1.4",
        ARGS,
        "the same under what the answer has",
        |b, st| rule(b, st, Side::Response, false, true),
    )
    .lenient(),
];

fn stick_table(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let name: std::rc::Rc<str> = b.proxy()?.name.as_str().into();
    if let Some((_, place)) = b.shared.tables.iter().find(|(table, _)| table.name == name) {
        return Err(st.wrong(format_args!(
            "there is a stick-table `{name}` already, at {}:{}",
            place.file, place.line
        )));
    }
    let mut kind = None;
    let mut table = StickTable {
        name,
        kind: KeyKind::Ipv4,
        key_bytes_max: KEY_BYTES,
        size: 0,
        expire_ms: 0,
        nopurge: false,
        by_address: false,
    };
    let mut counters = String::new();
    let mut words = st.args().iter().peekable();
    while let Some(word) = words.next() {
        let name = word.text()?;
        if name == "nopurge" {
            table.nopurge = true;
            continue;
        }
        const NAMES: &str = "type|size|expire|nopurge|srvkey|peers|store";
        if !listed(NAMES, name) {
            return Err(Fault::at(
                word.span,
                format_args!(
                    "unknown {} of a stick-table{}; it takes {}",
                    word.quoted(),
                    suggest::hint_of(name, &[NAMES]),
                    st.keyword.args
                ),
            ));
        }
        let missing = || Fault::at(word.span, format_args!("`{name}` needs a value"));
        let value = words.next().ok_or_else(missing)?;
        match name {
            "type" => {
                let found = key_kind(value)?;
                kind = Some(found);
                let has_len = matches!(found, KeyKind::Text | KeyKind::Bytes);
                table.key_bytes_max = match found {
                    KeyKind::Ipv4 | KeyKind::Integer => 4,
                    KeyKind::Ipv6 => 16,
                    KeyKind::Text | KeyKind::Bytes => KEY_BYTES,
                };
                if has_len && words.next_if(|word| word.is("len")).is_some() {
                    let len = words.next().ok_or_else(|| Fault::at(value.span, "`len` needs a value"))?;
                    table.key_bytes_max = number(len, 1, u32::MAX)?.min(KEY_BYTES_MAX);
                }
            }
            "size" => table.size = size(value)?,
            "expire" => table.expire_ms = time_ms(value)?,
            "srvkey" => {
                table.by_address = match value.text()? {
                    "addr" => true,
                    "name" => false,
                    _ => {
                        return Err(Fault::at(
                            value.span,
                            format_args!("{}: expected `name` or `addr`", value.quoted()),
                        ));
                    }
                }
            }
            "peers" => b.warn(st, Some(value.span), "`peers` is not active yet: entries are not shared"),
            _ => store(value, &mut counters)?,
        }
    }
    let needs = |what: &str| st.wrong(format_args!("the stick-table needs a {what}"));
    table.kind = kind.ok_or_else(|| needs("`type`: ip, ipv6, integer, string or binary"))?;
    if table.size == 0 {
        return Err(needs("`size`: how many entries it has at most, for example 100k"));
    }
    if table.nopurge && table.expire_ms == 0 {
        b.warn(st, None, "`nopurge` without `expire`: once the table is full it never takes a new client");
    }
    if !counters.is_empty() {
        let message = format!("`store` is not active yet: nothing counts {counters}");
        b.warn(st, None, message);
    }
    b.proxy()?.has_table = true;
    b.shared.tables.push((table, st.place.clone()));
    Ok(())
}

fn key_kind(word: &Word) -> Result<KeyKind, Fault> {
    let text = word.text()?;
    let found = TYPES.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
    found.ok_or_else(|| {
        let hint = suggest::hint_of(text, &["ip|ipv6|integer|string|binary"]);
        Fault::at(
            word.span,
            format_args!(
                "{} is no type of a stick-table{hint}; expected ip, ipv6, integer, string or binary",
                word.quoted()
            ),
        )
    })
}

/// A number of entries, with `k`, `m` or `g` for 2^10, 2^20 or 2^30.
fn size(word: &Word) -> Result<u32, Fault> {
    let text = word.text()?;
    let (digits, shift) = match text.as_bytes().split_last() {
        Some((b'k' | b'K', _)) => (text.get(..text.len() - 1), 10),
        Some((b'm' | b'M', _)) => (text.get(..text.len() - 1), 20),
        Some((b'g' | b'G', _)) => (text.get(..text.len() - 1), 30),
        _ => (Some(text), 0),
    };
    let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse::<u64>().ok()).and_then(|n| n.checked_mul(1 << shift));
    number.filter(|n| (1..=SIZE_MAX).contains(n)).and_then(|n| u32::try_from(n).ok()).ok_or_else(|| {
        Fault::at(
            word.span,
            format_args!("{}: expected a number of entries from 1 to 2147483647, as 100k", word.quoted()),
        )
    })
}

/// Checks a list of data types and adds those that nothing counts to `counters`.
fn store(word: &Word, counters: &mut String) -> Result<(), Fault> {
    let mut rest = word.text()?;
    while !rest.is_empty() {
        // Arguments may hold commas of their own.
        let end = match rest.find(['(', ',']) {
            Some(at) if rest.get(at..).is_some_and(|rest| rest.starts_with('(')) => {
                rest.find(')').map(|at| at + 1)
            }
            other => other,
        };
        let (item, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.strip_prefix(',').unwrap_or(after);
        let (name, arguments) = match item.split_once('(') {
            Some((name, arguments)) => (name, arguments.strip_suffix(')').unwrap_or(arguments)),
            None => (item, ""),
        };
        if listed(SERVERS, name) {
            continue;
        }
        let Some(shape) = COUNTERS.iter().position(|names| listed(names, name)) else {
            let hint = suggest::hint_of(name, &COUNTERS);
            return Err(Fault::at(
                word.span,
                format_args!("{} is nothing that a stick-table stores{hint}", quoted(name.as_bytes())),
            ));
        };
        let part = |text: &str| Word { bytes: text.trim().as_bytes().to_vec(), span: word.span };
        let (elements, period) = match shape {
            1 => (None, Some(arguments)),
            2 => (Some(arguments), None),
            3 => arguments.split_once(',').map_or((Some(""), None), |(n, time)| (Some(n), Some(time))),
            _ if arguments.is_empty() => (None, None),
            _ => {
                return Err(Fault::at(word.span, format_args!("`{name}` takes no argument")));
            }
        };
        if let Some(elements) = elements {
            number(&part(elements), 1, ELEMENTS_MAX)?;
        }
        if let Some(period) = period {
            time_ms(&part(period))?;
        }
        if !counters.is_empty() {
            counters.push_str(", ");
        }
        counters.push_str(name);
    }
    Ok(())
}

fn rule(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    side: Side,
    matches: bool,
    stores: bool,
) -> Result<(), Fault> {
    let [word, rest @ ..] = st.args() else {
        return Err(st.wrong(format_args!("expected `{} {ARGS}`", st.keyword.name)));
    };
    let own = b.proxy()?.name.clone();
    let (table, at, rest) = match rest {
        [first, name, rest @ ..] if first.is("table") => (name.text()?.to_owned(), name.span, rest),
        [first] if first.is("table") => {
            return Err(Fault::at(first.span, "`table` needs the name of a proxy with a stick-table"));
        }
        rest => (own, st.name_span(), rest),
    };
    if let Some(other) = rest.first().filter(|word| !word.is("if") && !word.is("unless")) {
        return Err(Fault::at(
            other.span,
            format_args!("unexpected {}; `{}` takes {ARGS}", other.quoted(), st.keyword.name),
        ));
    }
    let spot = b.spot(st, Some(at));
    let (acls, mut reader) = b.terms(&spot)?;
    let (mut expr, kind) = sample::parse(&mut reader, word)?;
    sided(&mut expr.fetch, side, &expr.text);
    if expr.fetch.message().is_some_and(|needed| needed != side) {
        let why = match side {
            Side::Request => "the server has not answered yet",
            Side::Response => "the request is over by then",
        };
        return Err(Fault::at(
            word.span,
            format_args!("`{}` has no value in `{}` rules: {why}", expr.text, st.keyword.name),
        ));
    }
    let condition = condition::parse(acls, &mut reader, st.place, rest)?;
    if table.contains('/') {
        let message = "this rule is not active yet: tables of `peers` sections are not kept";
        b.warn(st, Some(at), message);
        return Ok(());
    }
    let id = wanted(&mut reader, &table, kind, &expr.fetch, &expr.text).map_err(|why| Fault::at(at, why))?;
    let rules = &mut b.proxy()?.sticks;
    let list = if side == Side::Request { &mut rules.request } else { &mut rules.response };
    if list.len() == RULES_MAX {
        return Err(Fault::line(format_args!("a section has at most {RULES_MAX} rules of one kind")));
    }
    list.push(StickRule { expr, table: id, matches, stores, condition });
    Ok(())
}

/// `hdr` and `payload` are those of the answer where a rule is about answers.
fn sided(fetch: &mut Fetch, wanted: Side, text: &str) {
    if !text.starts_with("hdr") && !text.starts_with("payload") {
        return;
    }
    if let Fetch::Header { side, .. }
    | Fetch::HeaderCount { side, .. }
    | Fetch::Payload { side, .. }
    | Fetch::PayloadLv { side, .. } = fetch
    {
        *side = wanted;
    }
}

/// The table, which is to take keys of this expression.
fn wanted(
    reader: &mut Reader<'_>,
    table: &str,
    kind: Option<MatchKind>,
    fetch: &Fetch,
    text: &std::rc::Rc<str>,
) -> Result<RefId, String> {
    let id = reader.reference(ReferenceKind::Table, table)?;
    let is_bytes = matches!(kind, None | Some(MatchKind::Bin)) || matches!(fetch, Fetch::Method);
    let types = KeyTypes { address: !is_bytes && kind != Some(MatchKind::Bool), integer: !is_bytes };
    reader.shared.wanted_keys.push((id, types, text.clone(), reader.spot.clone()));
    Ok(id)
}

/// Says where an expression makes no keys for its table.
pub(crate) fn check_keys(b: &mut Builder<'_>, references: &[Target], tables: &[StickTable]) {
    for (id, types, text, spot) in std::mem::take(&mut b.shared.wanted_keys) {
        let Some(Target::Table(at)) = references.get(id.0).filter(|_| !b.sink.has_errors()) else { continue };
        let Some(table) = tables.get(*at) else { continue };
        let fits = match table.kind {
            KeyKind::Ipv4 | KeyKind::Ipv6 => types.address,
            KeyKind::Integer => types.integer,
            KeyKind::Text | KeyKind::Bytes => true,
        };
        if !fits {
            let kind = TYPES.iter().find(|(_, kind)| *kind == table.kind).map_or("", |(name, _)| *name);
            let message =
                format!("`{text}` makes no keys for the stick-table `{}` of type {kind}", table.name);
            b.sink.push(Severity::Error, spot, message);
        }
    }
}
