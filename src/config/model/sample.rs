//! Sample expressions: a fetch, and the converters its sample passes through (configuration §7.3).

use std::rc::Rc;

use super::{Matcher, Regex};

/// A sample expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    /// Where the sample comes from.
    pub fetch: Fetch,
    /// What is done to it, in order.
    pub converters: Vec<Converter>,
    /// As written, for messages.
    pub text: Rc<str>,
}

impl Expr {
    /// A fetch alone.
    #[must_use]
    pub fn of(fetch: Fetch, text: &str) -> Self {
        Self { fetch, converters: Vec::new(), text: text.into() }
    }
}

/// Index of a proxy, server or user list that an expression names ([`super::Config::references`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefId(pub usize);

/// Index of a variable's name in [`super::Config::variables`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VarId(pub usize);

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// From the client.
    Request,
    /// From the server.
    Response,
}

/// A sample fetch: what an expression looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetch {
    /// `always_true`, `always_false`, `bool(B)`.
    Always(bool),
    /// `int(N)`.
    Int(i64),
    /// `str(S)`; `env(NAME)`, which is looked up while loading; `hostname`, `ipv4(…)` as text.
    Text(Rc<[u8]>),
    /// `WAIT_END`, `wait_end`: true once nothing more is waited for.
    WaitEnd,
    /// `HTTP`, `req.proto_http`: the bytes are an HTTP/1 request with a whole head.
    ProtoHttp,
    /// `payload(offset,len)`, `req.payload`, `res.payload`: bytes of a message; `len` 0 = all there are.
    Payload {
        /// Which message.
        side: Side,
        /// First byte, from 0.
        offset: usize,
        /// How many; 0 = to the end of what has come.
        len: usize,
    },
    /// `payload_lv(offset1,length[,offset2])`: bytes whose length stands before them.
    PayloadLv {
        /// Which message.
        side: Side,
        /// Where the length stands.
        offset: usize,
        /// Bytes of the length, big-endian, 1 to 8.
        size: usize,
        /// Where the bytes begin, from 0; `None` = behind the length.
        at: Option<usize>,
        /// `at` counts from behind the length (written with a sign).
        relative: i32,
    },
    /// `req.rdp_cookie([name])`: the cookie that a Remote Desktop connection begins with; of any name for an empty one.
    RdpCookie(Rc<str>),
    /// `req.rdp_cookie_cnt([name])`: 1 where there is one, else 0.
    RdpCookieCount(Rc<str>),
    /// `req.len`, `res.len`: bytes that have come.
    Len(Side),
    /// `src`, `dst`: an address.
    Address(End),
    /// `src_port`, `dst_port`.
    Port(End),
    /// `fe_name`, `be_name`, `srv_name`.
    Name(Named),
    /// A number that the gateway knows: `nbsrv(b)`, `fe_conn`, …; without a reference the proxy at hand.
    Figure(Figure, Option<RefId>),
    /// `method`.
    Method,
    /// `path`, `url`, …: a part of the request target.
    Target(Part),
    /// `url_param(name[,delimiter])`, `urlp`: a parameter of the query.
    UrlParam {
        /// Its name; empty = any.
        name: Rc<str>,
        /// What begins the query, `?` or what is given.
        delimiter: u8,
    },
    /// `hdr(name[,occurrence])` and its kin.
    Header {
        /// Which message.
        side: Side,
        /// The header's name, in lower case; empty = every header.
        name: Rc<str>,
        /// 0 = any (in an expression the last), 1 = first, -1 = last.
        occurrence: i32,
        /// Whole fields (`fhdr`) rather than the parts between commas.
        whole: bool,
    },
    /// `hdr_cnt(name)`: how many of them there are.
    HeaderCount {
        /// Which message.
        side: Side,
        /// The header's name, in lower case; empty = every header.
        name: Rc<str>,
        /// Whole fields rather than the parts between commas.
        whole: bool,
    },
    /// `req.hdr_names([delimiter])`.
    HeaderNames(Side, u8),
    /// `cook(name)`, `scook`: the value of a cookie.
    Cookie(Side, Rc<str>),
    /// `cook_cnt(name)`.
    CookieCount(Side, Rc<str>),
    /// `status` of the answer.
    Status,
    /// `req.ver`, `res.ver`: `1.0` or `1.1`.
    Version(Side),
    /// `req.body`: the part of the body that has come.
    Body,
    /// `req.body_len`, the part that has come; `req.body_size`, all of it where the head tells.
    BodyLen {
        /// The announced size.
        announced: bool,
    },
    /// `http_auth(list)`: the request has the name and password of a user of this list.
    HttpAuth(RefId),
    /// `http_auth_group(list)`: the groups of that user; in an expression its name.
    HttpAuthGroup(RefId),
    /// `http_auth_user`, `http_auth_pass`, `http_auth_type`.
    Credentials(Credential),
    /// `date([offset])`: seconds since 1970.
    Date(i64),
    /// `rand([range])`: 0 to `range` - 1; 0 = all 32 bits.
    Random(u32),
    /// `var(name)`.
    Variable(VarId),
    /// `capture.req.hdr(n)`, `capture.res.hdr(n)`.
    Capture(Side, usize),
    /// `capture.req.method`, `capture.req.uri`, `capture.req.ver`.
    CapturedLine(LinePart),
    /// `unique-id`'s text: `unique_id`.
    UniqueId,
}

impl Fetch {
    /// The message whose bytes it looks at, if any.
    #[must_use]
    pub fn message(&self) -> Option<Side> {
        match self {
            Self::Payload { side, .. }
            | Self::PayloadLv { side, .. }
            | Self::Len(side)
            | Self::Header { side, .. }
            | Self::HeaderCount { side, .. }
            | Self::HeaderNames(side, _)
            | Self::Cookie(side, _)
            | Self::CookieCount(side, _)
            | Self::Version(side) => Some(*side),
            Self::Status => Some(Side::Response),
            Self::ProtoHttp
            | Self::RdpCookie(_)
            | Self::RdpCookieCount(_)
            | Self::Method
            | Self::Target(_)
            | Self::UrlParam { .. }
            | Self::Body
            | Self::BodyLen { .. }
            | Self::HttpAuth(_)
            | Self::HttpAuthGroup(_)
            | Self::Credentials(_) => Some(Side::Request),
            _ => None,
        }
    }
}

/// One end of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client.
    Source,
    /// The address it came to.
    Destination,
}

/// Whose name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The frontend's.
    Frontend,
    /// The backend's.
    Backend,
    /// The server's.
    Server,
    /// The default backend's of the frontend.
    DefaultBackend,
    /// The listening address's (`name` of the bind line).
    Listener,
}

/// A number that the gateway knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// `fe_id`.
    FrontendId,
    /// `be_id`.
    BackendId,
    /// `srv_id`.
    ServerId,
    /// `so_id`.
    ListenerId,
    /// `fe_conn`.
    FrontendConnections,
    /// `be_conn`.
    BackendConnections,
    /// `srv_conn(b/s)`.
    ServerConnections,
    /// `connslots(b)`: free places of all servers and their queues.
    FreeSlots,
    /// `queue(b)`: requests that wait.
    Queue,
    /// `srv_queue(b/s)`: requests that wait for this server.
    ServerQueue,
    /// `prio_class`.
    PriorityClass,
    /// `prio_offset`, milliseconds.
    PriorityOffset,
    /// `avg_queue(b)`: the same by server.
    AverageQueue,
    /// `nbsrv(b)`: usable servers.
    UsableServers,
    /// `srv_is_up(b/s)`: 1 or 0.
    ServerIsUp,
}

/// A part of a request target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `url`: all of it.
    Url,
    /// `path`: from the first slash to the `?`.
    Path,
    /// `pathq`: path and query.
    PathAndQuery,
    /// `query`: behind the `?`.
    Query,
    /// `base`: the first Host header, then the path.
    Base,
    /// `baseq`: the same with the query.
    BaseAndQuery,
}

/// A part of `Authorization: Basic …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The user.
    User,
    /// The password.
    Password,
    /// The scheme.
    Scheme,
}

/// A part of the request line that was kept for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinePart {
    /// The method.
    Method,
    /// The target.
    Uri,
    /// The version.
    Version,
}

/// A converter (configuration §7.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Converter {
    /// `lower`, `upper`.
    Case {
        /// To upper case.
        upper: bool,
    },
    /// `length`: the bytes of a text.
    Length,
    /// `bytes(offset[,length])`.
    Bytes(usize, Option<usize>),
    /// `base64`.
    Base64,
    /// `b64dec`.
    FromBase64,
    /// `hex`.
    Hex,
    /// `url_dec`, with 1 as an argument `+` becomes a blank everywhere.
    UrlDecode {
        /// The text is known to be a query.
        in_query: bool,
    },
    /// `field(index,delimiters[,count])`.
    Field(i32, Rc<[u8]>, i32),
    /// `word(index,delimiters[,count])`.
    Word(i32, Rc<[u8]>, i32),
    /// `ipmask(bits4[,bits6])`; without `bits6` an IPv6 address becomes nothing.
    IpMask(u8, Option<u8>),
    /// `concat([start],[variable],[end])`.
    Concat(Rc<[u8]>, Option<VarId>, Rc<[u8]>),
    /// `strcmp(variable)`.
    StrCmp(VarId),
    /// `map(file[,default])`, `map_beg`, …
    Map(Rc<Map>),
    /// `regsub(regex,text[,flags])`.
    RegSub {
        /// What is looked for.
        regex: Regex,
        /// What stands there instead, with `\1` to `\9`.
        text: Rc<[u8]>,
        /// Every one, not only the first.
        all: bool,
    },
    /// `add(n)`, `sub(n)`, …
    Arithmetic(Operation, Operand),
    /// `bool`, `not`.
    Bool {
        /// The opposite.
        negated: bool,
    },
    /// `iif(true,false)`.
    Either(Rc<[u8]>, Rc<[u8]>),
}

/// What `add(n)` and its kin do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each is the converter of its name
pub enum Operation {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
}

/// A number, or a variable that holds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// A number.
    Int(i64),
    /// A variable.
    Variable(VarId),
}

/// The table of a `map` converter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Key and value of each line; a matcher holds one pattern.
    pub entries: Vec<(Matcher, Rc<[u8]>)>,
    /// The value where no key matches.
    pub default: Option<Rc<[u8]>>,
    /// What the values are: `Int` for `map_…_int`, `Ip` for `map_…_ip`.
    pub output: MapOutput,
}

/// What the values of a map are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapOutput {
    /// Text.
    Text,
    /// Text in which the groups of the regular expression are filled in (`map_regm`).
    Groups,
    /// Numbers.
    Int,
    /// Addresses.
    Ip,
}
