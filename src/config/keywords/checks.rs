//! `option httpchk`, `http-check …`, `option tcp-check`, `tcp-check …` (configuration §4.2).

use super::expect::expect;
use super::http_actions::{header_name, value_text};
use super::options::flag;
use super::words::Words;
use super::{Keyword, Sections, Status, scripts};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{CheckConnect, CheckNotation};
use crate::config::patterns::hexadecimal;
use crate::config::probes::{Line, Request};
use crate::config::values::number;
use crate::config::{format, suggest};

const SERVER: Sections = Sections::SERVER_SIDE;
const CONNECT: &str = "[default] [port <port>] [addr <ip>] [send-proxy] [linger] [comment <text>]";
const EXPECT: &str = "[min-recv <bytes>] [comment <text>] [ok-status|error-status|tout-status <status>] \
    [on-success|on-error <text>] [!] <match> <pattern>";

pub(super) const TABLE: &[Keyword] = &[
    check("option httpchk", "1.3", "[<method>] [<uri> [<version>]]", "checks are HTTP requests", httpchk),
    check(
        "http-check comment",
        "2.2",
        "<text>",
        "goes with the reasons of the steps that follow",
        |b, st| comment(b, st, true),
    ),
    check(
        "http-check connect",
        "2.2",
        CONNECT,
        "opens a connection, where more than the server's is wanted",
        |b, st| connect(b, st, true),
    ),
    check(
        "http-check disable-on-404",
        "1.4",
        "",
        "a server that is up and answers with 404 takes only those who must go to it",
        |b, st| flag(b, st, |s| &mut s.probes.disable_on_404),
    ),
    check(
        "http-check expect",
        "1.5",
        EXPECT,
        "what the answer must be; without it, a status from 200 to 399",
        |b, st| expect(b, st, true),
    ),
    check(
        "http-check send",
        "2.2",
        "[meth <method>] [uri <uri>] [ver <version>] [hdr <name> <value>]… [body <text>] [comment <text>]",
        "what the request is; without it, `OPTIONS / HTTP/1.0`",
        request,
    ),
    check("http-check send-state", "1.3", "", "requests tell how the server stands with us", |b, st| {
        flag(b, st, |s| &mut s.probes.send_state)
    }),
    check(
        "http-check",
        "1.3",
        "<step> …",
        "other steps: `set-var`, `set-var-fmt` and `unset-var` do nothing yet, with a warning",
        |b, st| unknown(b, st, "http-check"),
    ),
    check("option tcp-check", "1.5", "", "checks are the `tcp-check` lines", |b, st| {
        st.none()?;
        b.settings()?.probes.set_tcp();
        Ok(())
    }),
    check("tcp-check comment", "1.6", "<text>", "goes with the reasons of the steps that follow", |b, st| {
        comment(b, st, false)
    }),
    check(
        "tcp-check connect",
        "1.5",
        CONNECT,
        "opens a connection, where more than the server's is wanted",
        |b, st| connect(b, st, false),
    ),
    check("tcp-check expect", "1.5", EXPECT, "what must come", |b, st| expect(b, st, false)),
    check("tcp-check send", "1.5", SEND, "sends a text", |b, st| send(b, st, CheckNotation::Text)),
    check("tcp-check send-lf", "2.2", SEND, "the same; nothing in it can be filled in", |b, st| {
        send(b, st, CheckNotation::Format)
    }),
    check("tcp-check send-binary", "1.5", SEND_HEX, "sends bytes", |b, st| {
        send(b, st, CheckNotation::Binary)
    }),
    check(
        "tcp-check send-binary-lf",
        "2.2",
        SEND_HEX,
        "the same; nothing in it can be filled in",
        |b, st| send(b, st, CheckNotation::BinaryFormat),
    ),
    check(
        "tcp-check",
        "1.5",
        "<step> …",
        "other steps: `set-var`, `set-var-fmt` and `unset-var` do nothing yet, with a warning",
        |b, st| unknown(b, st, "tcp-check"),
    ),
    scripts::LDAP,
    scripts::MYSQL,
    scripts::PGSQL,
    scripts::REDIS,
    scripts::SMTP,
    scripts::SSL_HELLO,
    check("option spop-check", "1.7", "", "checks of agents for SPOE", |_, _| Ok(())).status(
        Status::Refused("agents for SPOE are not spoken to; `option tcp-check` connects to any server"),
    ),
];

const SEND: &str = "<text> [comment <text>]";
const SEND_HEX: &str = "<hexadecimal> [comment <text>]";

/// An entry of this topic.
pub(super) const fn check(
    name: &'static str,
    since: &'static str,
    args: &'static str,
    help: &'static str,
    parse: super::Parse,
) -> Keyword {
    Keyword::new(name, SERVER, since, args, help, parse).lenient()
}

/// `http-check` or `tcp-check` with a word behind it that is none of its steps.
fn unknown(b: &mut Builder<'_>, st: &Statement<'_>, name: &'static str) -> Result<(), Fault> {
    let Some(word) = st.args().first() else {
        return Err(st.wrong(format_args!("`{name}` needs a step: connect, send, expect, …")));
    };
    let text = word.text()?;
    if ["set-var(", "set-var-fmt(", "unset-var("].iter().any(|start| text.starts_with(start)) {
        let status = Status::NotYet("nothing in checks can be filled in, so nothing would read the variable");
        let told = if name == "tcp-check" { "tcp-check set-var" } else { "http-check set-var" };
        return b.tell(told, status, st.place, st.line, word.span, false);
    }
    let steps = TABLE.iter().filter_map(|entry| entry.name.strip_prefix(name)?.strip_prefix(' '));
    let hint = suggest::hint(text, steps);
    Err(Fault::at(word.span, format_args!("{} is no step of `{name}`{hint}", word.quoted())))
}

/// Takes a line.
pub(super) fn add(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    is_http: bool,
    line: Line,
    comment: Option<Box<str>>,
) -> Result<(), Fault> {
    let spot = b.spot(st, Some(st.name_span()));
    let probes = &mut b.settings()?.probes;
    let added = match is_http {
        true => probes.add_http(line, comment, spot),
        false => probes.add_tcp(line, comment, spot),
    };
    added.map_err(|why| st.wrong(why))
}

/// A text for reasons.
pub(super) fn words_of(word: &Word) -> Result<Box<str>, Fault> {
    word.text().map(Into::into)
}

fn comment(b: &mut Builder<'_>, st: &Statement<'_>, is_http: bool) -> Result<(), Fault> {
    let text = words_of(st.one("a text")?)?;
    add(b, st, is_http, Line::Comment(text), None)
}

/// A text in which variables and samples could stand: for what is known before any session there are none.
pub(super) fn constant(b: &mut Builder<'_>, st: &Statement<'_>, word: &Word) -> Result<Vec<u8>, Fault> {
    let spot = b.spot(st, Some(word.span));
    let text = format::parse(&mut b.reader(&spot), word)?;
    text.constant().map(<[u8]>::to_vec).ok_or_else(|| {
        Fault::at(word.span, "nothing can be filled in here: a check belongs to no session; write it out")
    })
}

fn httpchk(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let mut request = Request::default();
    let (method, rest) = match st.args() {
        [] | [_] => (None, st.args()),
        [method, rest @ ..] => (Some(method), rest),
    };
    if let Some(word) = method {
        request.method = Some(token(word, "method")?);
    }
    if let Some(word) = rest.first() {
        request.uri = Some(token(word, "URI")?);
    }
    if let Some(word) = rest.get(1) {
        old_version(b, st, word, &mut request)?;
    }
    st.end(rest.get(2..).unwrap_or_default())?;
    b.settings()?.probes.set_request(request);
    Ok(())
}

/// A version with header fields, and perhaps a body, hidden behind it: `HTTP/1.1\r\nHost:\ www`.
fn old_version(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    word: &Word,
    request: &mut Request,
) -> Result<(), Fault> {
    let text = word.text()?;
    let (line, hidden) = text.split_once("\r\n").unwrap_or((text, ""));
    request.version = Some(version(word, line)?);
    let (fields, body) = hidden.split_once("\r\n\r\n").unwrap_or((hidden, ""));
    for field in fields.split("\r\n").filter(|field| !field.is_empty()) {
        let bad = || Fault::at(word.span, format_args!("`{}` is no header field", field.escape_debug()));
        let (name, value) = field.split_once(':').ok_or_else(bad)?;
        let part = |text: &str| Word { bytes: text.as_bytes().to_vec(), span: word.span };
        let (name, value) = (part(name), part(value.trim()));
        request.headers.push((lower(&header_name(&name)?), value_text(&value)?.as_bytes().into()));
    }
    if !body.is_empty() {
        request.body = Some(body.as_bytes().into());
    }
    if !hidden.is_empty() {
        b.warn(
            st,
            Some(word.span),
            "fields behind the version are the old spelling of `http-check send hdr NAME VALUE`",
        );
    }
    Ok(())
}

fn lower(name: &str) -> Box<str> {
    name.to_ascii_lowercase().into()
}

/// A part of a request's first line.
fn token(word: &Word, what: &str) -> Result<Box<str>, Fault> {
    let text = word.text()?;
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.into()),
        false => Err(Fault::at(word.span, format_args!("{} is no {what} of a request", word.quoted()))),
    }
}

fn version(word: &Word, text: &str) -> Result<Box<str>, Fault> {
    let version = text.to_ascii_uppercase();
    match version.as_str() {
        "HTTP/1.0" | "HTTP/1.1" => Ok(version.into()),
        _ => Err(Fault::at(
            word.span,
            format_args!("`{}` is not spoken; expected HTTP/1.0 or HTTP/1.1", text.escape_debug()),
        )),
    }
}

fn request(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let mut words = Words::new(b, st, st.args());
    let (mut request, mut comment) = (Request::default(), None);
    while let Some(word) = words.rest.first() {
        if words.option("meth") {
            request.method = Some(token(words.next("a method")?, "method")?);
        } else if words.option("uri") {
            request.uri = Some(token(words.next("a URI")?, "URI")?);
        } else if words.option("uri-lf") {
            let word = words.next("a URI")?;
            let filled = Word { bytes: constant(b, st, word)?, span: word.span };
            request.uri = Some(token(&filled, "URI")?);
        } else if words.option("ver") {
            let word = words.next("a version")?;
            request.version = Some(version(word, word.text()?)?);
        } else if words.option("hdr") {
            let name = lower(&header_name(words.next("a name")?)?);
            let word = words.next("a value")?;
            value_text(word)?;
            request.headers.push((name, constant(b, st, word)?.into()));
        } else if words.option("body") {
            request.body = Some(words.next("a text")?.bytes.as_slice().into());
        } else if words.option("body-lf") {
            request.body = Some(constant(b, st, words.next("a text")?)?.into());
        } else if words.option("comment") {
            comment = Some(words_of(words.next("a text")?)?);
        } else {
            return Err(word.wrong(": expected meth, uri, ver, hdr, body or comment"));
        }
    }
    add(b, st, true, Line::Request(request), comment)
}

fn connect(b: &mut Builder<'_>, st: &Statement<'_>, is_http: bool) -> Result<(), Fault> {
    let mut words = Words::new(b, st, st.args());
    let (mut how, mut comment) = (CheckConnect::default(), None);
    while let Some(word) = words.rest.first() {
        if words.option("default") {
            how.as_server = true;
        } else if words.option("port") {
            how.port = u16::try_from(number(words.next("a port")?, 1, 65_535)?).ok();
        } else if words.option("addr") {
            how.address = Some(address(words.next("an address")?)?);
        } else if words.option("send-proxy") {
            how.send_proxy = true;
        } else if words.option("linger") {
            how.linger = true;
        } else if words.option("comment") {
            comment = Some(words_of(words.next("a text")?)?);
        } else if words.option("proto") {
            mux(words.next("a protocol")?)?;
        } else {
            let why = match word.as_str() {
                "ssl" | "sni" | "alpn" => "TLS is not built: the check would be made in the clear",
                "via-socks4" => "SOCKS4 is not built",
                _ => "expected default, port, addr, send-proxy, linger, proto or comment",
            };
            return Err(Fault::at(word.span, format_args!("{}: {why}", word.quoted())));
        }
    }
    add(b, st, is_http, Line::Connect(how), comment)
}

/// An address for checks.
pub(super) fn address(word: &Word) -> Result<std::net::IpAddr, Fault> {
    let text = word.text()?.trim_start_matches("ipv4@").trim_start_matches("ipv6@");
    text.parse().map_err(|_| word.wrong(" is no IP address"))
}

/// `proto`, `check-proto`: HTTP/1 is what checks speak anyway.
pub(super) fn mux(word: &Word) -> Result<(), Fault> {
    match word.as_str() {
        "h1" | "none" => Ok(()),
        _ => Err(word.wrong(" is not spoken; expected h1")),
    }
}

fn send(b: &mut Builder<'_>, st: &Statement<'_>, notation: CheckNotation) -> Result<(), Fault> {
    let mut words = Words::new(b, st, st.args());
    let bytes = content(b, st, words.next("what to send")?, notation)?;
    let comment = if words.option("comment") { Some(words_of(words.next("a text")?)?) } else { None };
    st.end(words.rest)?;
    add(b, st, false, Line::Send(bytes), comment)
}

/// The bytes that a word stands for.
pub(super) fn content(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    word: &Word,
    notation: CheckNotation,
) -> Result<Box<[u8]>, Fault> {
    let bytes = match notation {
        CheckNotation::Text | CheckNotation::Binary => word.bytes.clone(),
        CheckNotation::Format | CheckNotation::BinaryFormat => constant(b, st, word)?,
    };
    if bytes.is_empty() {
        return Err(Fault::at(word.span, "there is nothing in this"));
    }
    match notation {
        CheckNotation::Text | CheckNotation::Format => Ok(bytes.into()),
        _ => hexadecimal(&bytes).map(Into::into).map_err(|why| Fault::at(word.span, why)),
    }
}

#[cfg(test)]
mod tests;
