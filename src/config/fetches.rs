//! The fetches: what an expression can look at, the arguments of each, and what comes of them.

mod arguments;

use super::arguments::Args;
use super::diagnostics::quoted;
use super::keywords::{known, listed};
use super::model::{Credential, End, Fetch, Figure, LinePart, MatchKind, Named, Part, Side};
use super::sample::{Reader, ReferenceKind};
use super::suggest;
use arguments::{
    capture, constant_bool, cookie, cookies, count, environment, header, names, payload, payload_lv, random,
    url_param,
};

/// How the arguments of a fetch are read, and what comes of them.
#[derive(Clone, Copy)]
enum Make {
    /// No arguments.
    Plain(fn() -> Fetch),
    /// A number that the gateway knows: of what, and whether that may be left out.
    Figure(Figure, Option<ReferenceKind>, bool),
    /// Anything else.
    With(fn(&mut Reader<'_>, &Args) -> Result<Fetch, String>),
}

struct Entry {
    /// Its names, separated by `|`.
    names: &'static str,
    /// The matching method that an ACL uses where none is given; `None` = one must be given.
    kind: Option<MatchKind>,
    /// Whether `name_beg`, `name_reg` … are ACL spellings of it with that method.
    derived: bool,
    help: &'static str,
    make: Make,
}

const fn entry(names: &'static str, kind: MatchKind, help: &'static str, make: Make) -> Entry {
    Entry { names, kind: Some(kind), derived: false, help, make }
}

const fn text(names: &'static str, help: &'static str, make: Make) -> Entry {
    Entry { names, kind: Some(MatchKind::Str), derived: true, help, make }
}

/// One that needs `-m` in an ACL.
const fn bare(
    names: &'static str,
    help: &'static str,
    make: fn(&mut Reader<'_>, &Args) -> Result<Fetch, String>,
) -> Entry {
    Entry { names, kind: None, derived: false, help, make: Make::With(make) }
}

use MatchKind::{Bin, Bool, Int, Ip, Str};

/// Every fetch that is built.
static FETCHES: &[Entry] = &[
    entry("always_true|TRUE", Bool, "always true", Make::Plain(|| Fetch::Always(true))),
    entry("always_false|FALSE", Bool, "never true", Make::Plain(|| Fetch::Always(false))),
    entry("ssl_fc", Bool, "never true: clients come in the clear", Make::Plain(|| Fetch::Always(false))),
    entry("bool", Bool, "`bool(true)`: a constant", Make::With(constant_bool)),
    entry("int", Int, "`int(n)`: a constant", Make::With(|_, args| Ok(Fetch::Int(args.int(0)?)))),
    entry("str", Str, "`str(text)`: a constant", Make::With(|_, args| Ok(Fetch::Text(args.bytes(0)?)))),
    entry("env", Str, "`env(NAME)`: an environment variable, read at start", Make::With(environment)),
    entry("wait_end|WAIT_END", Bool, "true once nothing more is waited for", Make::Plain(|| Fetch::WaitEnd)),
    entry(
        "req.proto_http|req_proto_http|HTTP",
        Bool,
        "the bytes are an HTTP/1 request with a whole head",
        Make::Plain(|| Fetch::ProtoHttp),
    ),
    entry(
        "payload",
        Bin,
        "`payload(offset,length)`: bytes of the request, length 0 = all",
        Make::With(|_, args| payload(args, Side::Request)),
    ),
    bare("req.payload", "the same; needs `-m` in an ACL", |_, args| payload(args, Side::Request)),
    bare("res.payload", "the same of an answer in `tcp-response`", |_, args| payload(args, Side::Response)),
    bare(
        "req.payload_lv|payload_lv",
        "`req.payload_lv(offset,length[,offset2])`: bytes whose length stands before them",
        |_, args| payload_lv(args, Side::Request),
    ),
    bare("res.payload_lv", "the same of an answer", |_, args| payload_lv(args, Side::Response)),
    entry("req.len|req_len", Int, "bytes that have come", Make::Plain(|| Fetch::Len(Side::Request))),
    entry("res.len", Int, "the same of an answer", Make::Plain(|| Fetch::Len(Side::Response))),
    entry(
        "req.rdp_cookie|rdp_cookie|req_rdp_cookie",
        Str,
        "`req.rdp_cookie([name])`: the cookie that a Remote Desktop connection begins with",
        Make::With(|_, args| Ok(Fetch::RdpCookie(args.get(0).unwrap_or_default().into()))),
    ),
    entry(
        "req.rdp_cookie_cnt|rdp_cookie_cnt|req_rdp_cookie_cnt",
        Int,
        "1 where there is one",
        Make::With(|_, args| Ok(Fetch::RdpCookieCount(args.get(0).unwrap_or_default().into()))),
    ),
    entry("src|fc_src", Ip, "the client's address", Make::Plain(|| Fetch::Address(End::Source))),
    entry("src_port|fc_src_port", Int, "the client's port", Make::Plain(|| Fetch::Port(End::Source))),
    entry(
        "dst|fc_dst",
        Ip,
        "the address the client came to",
        Make::Plain(|| Fetch::Address(End::Destination)),
    ),
    entry(
        "dst_port|fc_dst_port",
        Int,
        "the port the client came to",
        Make::Plain(|| Fetch::Port(End::Destination)),
    ),
    entry("fe_name", Str, "the frontend's name", Make::Plain(|| Fetch::Name(Named::Frontend))),
    entry("be_name", Str, "the backend's name", Make::Plain(|| Fetch::Name(Named::Backend))),
    entry("srv_name", Str, "the server's name", Make::Plain(|| Fetch::Name(Named::Server))),
    entry("so_name", Str, "`name` of the bind line", Make::Plain(|| Fetch::Name(Named::Listener))),
    entry("fe_defbe", Str, "the default backend's name", Make::Plain(|| Fetch::Name(Named::DefaultBackend))),
    entry("fe_id", Int, "the frontend's number", Make::Figure(Figure::FrontendId, None, true)),
    entry("be_id", Int, "the backend's number", Make::Figure(Figure::BackendId, None, true)),
    entry("srv_id", Int, "the server's number", Make::Figure(Figure::ServerId, None, true)),
    entry("so_id", Int, "the listening address's number", Make::Figure(Figure::ListenerId, None, true)),
    entry(
        "fe_conn",
        Int,
        "`fe_conn([frontend])`: its connections",
        Make::Figure(Figure::FrontendConnections, Some(ReferenceKind::Frontend), true),
    ),
    entry(
        "be_conn",
        Int,
        "`be_conn([backend])`: its sessions",
        Make::Figure(Figure::BackendConnections, Some(ReferenceKind::Backend), true),
    ),
    entry(
        "srv_conn",
        Int,
        "`srv_conn([backend/]server)`: its sessions",
        Make::Figure(Figure::ServerConnections, Some(ReferenceKind::Server), false),
    ),
    entry(
        "connslots",
        Int,
        "`connslots([backend])`: free places of its servers",
        Make::Figure(Figure::FreeSlots, Some(ReferenceKind::Backend), true),
    ),
    entry(
        "queue",
        Int,
        "`queue([backend])`: requests that wait",
        Make::Figure(Figure::Queue, Some(ReferenceKind::Backend), true),
    ),
    entry(
        "srv_queue",
        Int,
        "`srv_queue([backend/]server)`: requests that wait for it",
        Make::Figure(Figure::ServerQueue, Some(ReferenceKind::Server), false),
    ),
    entry(
        "prio_class",
        Int,
        "the request's class in queues",
        Make::Figure(Figure::PriorityClass, None, true),
    ),
    entry(
        "prio_offset",
        Int,
        "its offset there, milliseconds",
        Make::Figure(Figure::PriorityOffset, None, true),
    ),
    entry(
        "avg_queue",
        Int,
        "`avg_queue([backend])`: requests that wait, by server",
        Make::Figure(Figure::AverageQueue, Some(ReferenceKind::Backend), true),
    ),
    entry(
        "nbsrv",
        Int,
        "`nbsrv([backend])`: its usable servers",
        Make::Figure(Figure::UsableServers, Some(ReferenceKind::Backend), true),
    ),
    entry(
        "srv_is_up",
        Bool,
        "`srv_is_up([backend/]server)`",
        Make::Figure(Figure::ServerIsUp, Some(ReferenceKind::Server), false),
    ),
    entry("method|meth", Str, "the request's method", Make::Plain(|| Fetch::Method)),
    text("path", "the target's path", Make::Plain(|| Fetch::Target(Part::Path))),
    text("pathq", "path and query", Make::Plain(|| Fetch::Target(Part::PathAndQuery))),
    text("query", "what follows the `?`", Make::Plain(|| Fetch::Target(Part::Query))),
    text("url", "the whole target", Make::Plain(|| Fetch::Target(Part::Url))),
    text("base", "the first Host header and the path", Make::Plain(|| Fetch::Target(Part::Base))),
    text("baseq", "the same with the query", Make::Plain(|| Fetch::Target(Part::BaseAndQuery))),
    text("url_param|urlp", "`url_param(name[,delimiter])`: a parameter of the query", Make::With(url_param)),
    text(
        "hdr|req.hdr",
        "`hdr(name[,occurrence])`: comma-separated values of a request header",
        Make::With(|_, args| header(args, Side::Request, false)),
    ),
    text("fhdr|req.fhdr", "the same, whole fields", Make::With(|_, args| header(args, Side::Request, true))),
    text(
        "shdr|res.hdr",
        "`res.hdr(name[,occurrence])`: of an answer's header",
        Make::With(|_, args| header(args, Side::Response, false)),
    ),
    text(
        "sfhdr|res.fhdr",
        "the same, whole fields",
        Make::With(|_, args| header(args, Side::Response, true)),
    ),
    entry(
        "hdr_val|req.hdr_val",
        Int,
        "`hdr` as a number",
        Make::With(|_, args| header(args, Side::Request, false)),
    ),
    entry(
        "shdr_val|res.hdr_val",
        Int,
        "the same of an answer",
        Make::With(|_, args| header(args, Side::Response, false)),
    ),
    entry(
        "hdr_ip|req.hdr_ip",
        Ip,
        "`hdr` as an address",
        Make::With(|_, args| header(args, Side::Request, false)),
    ),
    entry(
        "shdr_ip|res.hdr_ip",
        Ip,
        "the same of an answer",
        Make::With(|_, args| header(args, Side::Response, false)),
    ),
    entry(
        "hdr_cnt|req.hdr_cnt",
        Int,
        "`hdr_cnt(name)`: how many values there are",
        Make::With(|_, args| count(args, Side::Request, false)),
    ),
    entry(
        "req.fhdr_cnt",
        Int,
        "the same of whole fields",
        Make::With(|_, args| count(args, Side::Request, true)),
    ),
    entry(
        "shdr_cnt|res.hdr_cnt",
        Int,
        "of an answer",
        Make::With(|_, args| count(args, Side::Response, false)),
    ),
    entry(
        "res.fhdr_cnt",
        Int,
        "of an answer's whole fields",
        Make::With(|_, args| count(args, Side::Response, true)),
    ),
    entry("req.hdr_names", Str, "the names of all fields", Make::With(|_, args| names(args, Side::Request))),
    entry("res.hdr_names", Str, "the same of an answer", Make::With(|_, args| names(args, Side::Response))),
    text(
        "cook|req.cook|cookie",
        "`cook(name)`: a cookie's value",
        Make::With(|_, args| cookie(args, Side::Request)),
    ),
    text(
        "scook|res.cook",
        "`scook(name)`: of Set-Cookie",
        Make::With(|_, args| cookie(args, Side::Response)),
    ),
    entry(
        "cook_val|req.cook_val",
        Int,
        "`cook` as a number",
        Make::With(|_, args| cookie(args, Side::Request)),
    ),
    entry(
        "scook_val|res.cook_val",
        Int,
        "`scook` as a number",
        Make::With(|_, args| cookie(args, Side::Response)),
    ),
    entry(
        "cook_cnt|req.cook_cnt",
        Int,
        "how many of them",
        Make::With(|_, args| cookies(args, Side::Request)),
    ),
    entry(
        "scook_cnt|res.cook_cnt",
        Int,
        "how many of them",
        Make::With(|_, args| cookies(args, Side::Response)),
    ),
    entry("status", Int, "the answer's status", Make::Plain(|| Fetch::Status)),
    entry("req.ver|req_ver", Str, "`1.0` or `1.1`", Make::Plain(|| Fetch::Version(Side::Request))),
    entry("res.ver|resp_ver", Str, "the same of an answer", Make::Plain(|| Fetch::Version(Side::Response))),
    entry("req.body", Bin, "the part of the body that has come", Make::Plain(|| Fetch::Body)),
    entry("req.body_len", Int, "its length", Make::Plain(|| Fetch::BodyLen { announced: false })),
    entry("req.body_size", Int, "the announced length", Make::Plain(|| Fetch::BodyLen { announced: true })),
    entry(
        "http_auth",
        Bool,
        "`http_auth(userlist)`: name and password are right",
        Make::With(|reader, args| Ok(Fetch::HttpAuth(reader.reference(ReferenceKind::Users, args.get(0)?)?))),
    ),
    entry(
        "http_auth_group",
        Str,
        "`http_auth_group(userlist)`: the groups of the user, whose name and password are right",
        Make::With(|reader, args| {
            Ok(Fetch::HttpAuthGroup(reader.reference(ReferenceKind::Users, args.get(0)?)?))
        }),
    ),
    entry("http_auth_user", Str, "the user", Make::Plain(|| Fetch::Credentials(Credential::User))),
    entry("http_auth_pass", Str, "the password", Make::Plain(|| Fetch::Credentials(Credential::Password))),
    entry("http_auth_type", Str, "the scheme", Make::Plain(|| Fetch::Credentials(Credential::Scheme))),
    entry(
        "date",
        Int,
        "`date([offset])`: seconds since 1970",
        Make::With(|_, args| Ok(Fetch::Date(args.int_or(0, 0)?))),
    ),
    entry("rand", Int, "`rand([range])`: a number below `range`", Make::With(random)),
    entry(
        "var",
        Str,
        "`var(name)`: a variable",
        Make::With(|reader, args| Ok(Fetch::Variable(reader.variable(args.get(0)?)?))),
    ),
    entry(
        "capture.req.hdr",
        Str,
        "`capture.req.hdr(n)`: a captured header, from 0",
        Make::With(|_, args| capture(args, Side::Request)),
    ),
    entry(
        "capture.res.hdr",
        Str,
        "the same of an answer",
        Make::With(|_, args| capture(args, Side::Response)),
    ),
    entry(
        "capture.req.method",
        Str,
        "the method as it came",
        Make::Plain(|| Fetch::CapturedLine(LinePart::Method)),
    ),
    text("capture.req.uri", "the target as it came", Make::Plain(|| Fetch::CapturedLine(LinePart::Uri))),
    entry(
        "capture.req.ver",
        Str,
        "the version as it came",
        Make::Plain(|| Fetch::CapturedLine(LinePart::Version)),
    ),
    entry("unique-id|unique_id", Str, "the request's unique id", Make::Plain(|| Fetch::UniqueId)),
];

/// Suffixes of a fetch's ACL spellings.
const SUFFIXES: [(&str, MatchKind); 7] = [
    ("_beg", MatchKind::Beg),
    ("_dir", MatchKind::Dir),
    ("_dom", MatchKind::Dom),
    ("_end", MatchKind::End),
    ("_len", MatchKind::Len),
    ("_reg", MatchKind::Reg),
    ("_sub", MatchKind::Sub),
];

/// The fetches for the compatibility page: names separated by `|`, help, whether the ACL spellings exist.
#[cfg(test)]
pub(crate) fn fetches() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    FETCHES.iter().map(|entry| (entry.names, entry.help, entry.derived))
}

/// The fetch of a name, with its arguments; and the matching method of an ACL without `-m`.
///
/// # Errors
/// There is no such fetch, or its arguments are wrong.
pub(super) fn fetch(
    reader: &mut Reader<'_>,
    name: &str,
    args: &Args,
) -> Result<(Fetch, Option<MatchKind>), String> {
    let find = |name: &str| FETCHES.iter().find(|entry| listed(entry.names, name));
    let derived = || {
        let (stem, kind) =
            SUFFIXES.iter().find_map(|(suffix, kind)| Some((name.strip_suffix(suffix)?, *kind)))?;
        find(stem).filter(|entry| entry.derived).map(|entry| (entry, Some(kind)))
    };
    let Some((entry, kind)) = find(name).map(|entry| (entry, entry.kind)).or_else(derived) else {
        if listed(known::FETCHES, name) {
            return Err(format!("HAProxy has the fetch `{name}`, oneport has not built it yet"));
        }
        let ours = FETCHES.iter().flat_map(|entry| entry.names.split('|'));
        let hint = suggest::hint(name, ours.chain(known::FETCHES.split('|')));
        return Err(format!("{} is no sample fetch{hint}", quoted(name.as_bytes())));
    };
    let fetch = match entry.make {
        Make::Plain(make) => {
            args.none(name)?;
            let fetch = make();
            if matches!(fetch, Fetch::CapturedLine(_)) {
                reader.keep_line();
            }
            fetch
        }
        Make::Figure(figure, of, optional) => {
            let of = match (of, args.is_empty()) {
                (None, _) => {
                    args.none(name)?;
                    None
                }
                (Some(_), true) if optional => None,
                (Some(kind), _) => Some(reader.reference(kind, args.get(0)?)?),
            };
            Fetch::Figure(figure, of)
        }
        Make::With(make) => make(reader, args).map_err(|why| format!("`{name}`: {why} ({})", entry.help))?,
    };
    Ok((fetch, kind))
}
