//! What a message head is once it has been read: spans over the caller's bytes and the facts that framing,
//! persistence and routing need.

pub use super::parse::{parse_request, parse_response, read_request, read_response};

/// Most header fields of one message. HAProxy 2.6 takes 100 (`tune.http.maxhdr` 101) and answers 400 beyond;
/// here the 102nd is a 431.
pub const MAX_FIELDS: usize = 101;

/// The fields of one head, in the order they came.
pub type Fields = heapless::Vec<Field, MAX_FIELDS>;

/// A part of the bytes a head was read from: offsets in bytes, `start` included, `end` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u16,
    /// One past the last byte.
    pub end: u16,
}

impl Span {
    /// The bytes of this span in `bytes`, which must be those the head was read from (or a longer read of the
    /// same message). Empty where the span does not fit.
    #[inline]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or(&[])
    }

    /// Where `part`, a slice of `base`, lies in it.
    #[inline]
    pub(super) fn locate(base: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(base.as_ptr() as usize);
        let end = start.wrapping_add(part.len());
        match (u16::try_from(start), u16::try_from(end)) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::default(),
        }
    }
}

/// The protocol version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// `HTTP/1.0`
    Http10,
    /// `HTTP/1.1`
    #[default]
    Http11,
}

/// A request's method (RFC 9110 §9, RFC 5789). The name as sent is [`RequestHead::method_span`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // each is the method of its name
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    /// Any other token, lower-case spellings of the above included.
    #[default]
    Other,
}

impl Method {
    /// The method a name stands for; names are case-sensitive (RFC 9110 §9.1).
    pub fn from_name(name: &[u8]) -> Self {
        // The common ones first.
        const METHODS: [(&[u8], Method); 9] = [
            (b"GET", Method::Get),
            (b"HEAD", Method::Head),
            (b"POST", Method::Post),
            (b"PUT", Method::Put),
            (b"DELETE", Method::Delete),
            (b"CONNECT", Method::Connect),
            (b"OPTIONS", Method::Options),
            (b"TRACE", Method::Trace),
            (b"PATCH", Method::Patch),
        ];
        METHODS.iter().find(|(known, _)| *known == name).map_or(Self::Other, |(_, method)| *method)
    }
}

/// One header field: its name and its value without the white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name as sent.
    pub name: Span,
    /// The value.
    pub value: Span,
}

/// How long a message's body is (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// No body; the next byte belongs to the next message.
    #[default]
    None,
    /// So many bytes, perhaps 0.
    Length(u64),
    /// Chunked transfer coding: [`super::Chunked`] finds the end.
    Chunked,
    /// Everything until the connection closes (answers only).
    UntilClose,
}

/// A whole request head.
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The method's name as sent.
    pub method_span: Span,
    /// The request target as sent: origin, absolute, authority (CONNECT) or asterisk form (RFC 9112 §3.2).
    pub target: Span,
    /// The version the client speaks.
    pub version: Version,
    /// Its fields.
    pub fields: Fields,
    /// Bytes of the head, empty lines before it and the blank line after it included.
    pub len: usize,
    /// How its body ends. Never [`Framing::UntilClose`].
    pub framing: Framing,
    /// The client may go on using the connection: its version, `Connection` and `Proxy-Connection` say so, and
    /// the framing was beyond doubt.
    pub keep_alive: bool,
    /// It asks for another protocol: HTTP/1.1, `Connection: upgrade`, and an `Upgrade` field. `h2c` does not
    /// count: a tunnel to a server's HTTP/2 would carry requests past every rule.
    pub upgrade: bool,
    /// `Expect: 100-continue` in HTTP/1.1: the body comes after a 100, or after a while.
    pub expect_continue: bool,
    /// Some line ended in LF alone. What is sent on ends in CRLF.
    pub bare_lf: bool,
    /// Which of the fields this room treats in its own way.
    pub(super) special: Special,
    /// What [`super::write_request`] must mend.
    pub(super) mend: Mend,
}

/// A whole answer head.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The version the server speaks.
    pub version: Version,
    /// The reason phrase, often empty.
    pub reason: Span,
    /// Its fields.
    pub fields: Fields,
    /// Bytes of the head, the blank line included.
    pub len: usize,
    /// How its body ends.
    pub framing: Framing,
    /// The server's connection may be used again after this answer's body.
    pub keep_alive: bool,
    /// What follows is no longer HTTP: 101, or a 2xx to CONNECT.
    pub tunnel: bool,
    /// Some line ended in LF alone.
    pub bare_lf: bool,
    /// Which of the fields this room treats in its own way.
    pub(super) special: Special,
    /// What [`super::write_response`] must mend.
    pub(super) mend: Mend,
}

/// The fields of a head that are not simply copied, by their index, so that nobody compares names twice.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Special([u32; 4]);

// One bit for each.
const _: () = assert!(MAX_FIELDS <= 4 * u32::BITS as usize);

impl Special {
    #[allow(clippy::indexing_slicing, reason = "0 to 3, in an array of 4")]
    pub fn insert(&mut self, index: usize) {
        self.0[index / 32 % 4] |= 1 << (index % 32);
    }

    #[allow(clippy::indexing_slicing, reason = "0 to 3, in an array of 4")]
    pub fn contains(self, index: usize) -> bool {
        self.0[index / 32 % 4] & 1 << (index % 32) != 0
    }
}

/// What about a head's fields must not be copied as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mend {
    /// `Content-Length` stands beside `Transfer-Encoding`, or where none may be: leave it out.
    pub drop_length: bool,
    /// `Transfer-Encoding` stands where none may be: leave it out.
    pub drop_transfer_encoding: bool,
    /// `Content-Length` is a list, repeated, or has leading zeros: write it once, plainly.
    pub fold_length: bool,
    /// `Connection` lists fields beyond the usual options, to be left out with it.
    pub connection_lists: bool,
    /// Rules have changed it: its spans are what counts, not its lines.
    pub edited: bool,
}

/// What the reader of an answer must know of the request (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFacts {
    /// Its method.
    pub method: Method,
    /// The version it was sent to the server with.
    pub version: Version,
}

impl RequestHead {
    /// The values of every field of this name (any letter case), in order. `bytes` as for [`Span::of`].
    pub fn values<'a>(&'a self, bytes: &'a [u8], name: &'a str) -> Values<'a> {
        values(&self.fields, bytes, name)
    }

    /// Whether a field of this name is there.
    pub fn has(&self, bytes: &[u8], name: &str) -> bool {
        self.values(bytes, name).next().is_some()
    }

    /// What the reader of the answer must know.
    pub fn facts(&self) -> RequestFacts {
        RequestFacts { method: self.method, version: self.version }
    }
}

impl ResponseHead {
    /// The values of every field of this name (any letter case), in order. `bytes` as for [`Span::of`].
    pub fn values<'a>(&'a self, bytes: &'a [u8], name: &'a str) -> Values<'a> {
        values(&self.fields, bytes, name)
    }

    /// Whether a field of this name is there.
    pub fn has(&self, bytes: &[u8], name: &str) -> bool {
        self.values(bytes, name).next().is_some()
    }

    /// A 1xx other than 101: the real answer is still to come.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// The values of every field of this name (any letter case), in order. `bytes` as for [`Span::of`].
pub fn values<'a>(fields: &'a Fields, bytes: &'a [u8], name: &'a str) -> Values<'a> {
    Values { fields: fields.iter(), bytes, name }
}

/// The values of the fields of one name.
pub struct Values<'a> {
    fields: core::slice::Iter<'a, Field>,
    bytes: &'a [u8],
    name: &'a str,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'a [u8]> {
        // The length is compared before a byte is looked at: most fields differ there.
        let field = self.fields.find(|field| {
            let found = field.name.of(self.bytes);
            found.len() == self.name.len() && found.eq_ignore_ascii_case(self.name.as_bytes())
        })?;
        Some(field.value.of(self.bytes))
    }
}

/// Why a head was refused. In an answer every one of them is a 502; [`HeadError::status`] is for requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadError {
    /// More than a few empty lines before a request, or a bare CR there.
    EmptyLines,
    /// The method is no token, longer than any method, or the start of an SSH banner.
    Method,
    /// The request target is none of the four forms, or has a byte no target may have.
    Target,
    /// The request line does not end in a version, or has a space too many.
    RequestLine,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    Version,
    /// An answer that does not begin with a status line.
    StatusLine,
    /// A field name is empty, has a byte that no token has, a space before its colon, or is a folded line.
    FieldName,
    /// A field value holds a control character, or a CR without its LF.
    FieldValue,
    /// A CR without its LF at the end of a line.
    LineEnd,
    /// More than [`MAX_FIELDS`] fields.
    TooManyFields,
    /// No end of the head within the first 65,535 bytes.
    TooLong,
    /// `Content-Length` is no number, too large, or several that differ (RFC 9112 §6.3).
    ContentLength,
    /// `Transfer-Encoding` in HTTP/1.0, without chunked at its end, or with something unknown (RFC 9112 §6.1).
    TransferEncoding,
    /// `Transfer-Encoding` with a compression before chunked: well-formed, but nobody uses it and readers differ.
    TransferCoding,
    /// More options in `Connection` than anyone needs.
    ConnectionOptions,
    /// `Host` is malformed, repeated with another value, or differs from the target's (RFC 9112 §3.2).
    Host,
}

impl HeadError {
    /// The status to answer a request with.
    pub fn status(self) -> u16 {
        match self {
            Self::TooManyFields | Self::TooLong => 431,
            Self::TransferCoding => 501,
            _ => 400,
        }
    }

    /// A few words for logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::EmptyLines => "too many empty lines before the request",
            Self::Method => "bad method",
            Self::Target => "bad request target",
            Self::RequestLine => "bad request line",
            Self::Version => "unsupported HTTP version",
            Self::StatusLine => "bad status line",
            Self::FieldName => "bad header field name",
            Self::FieldValue => "bad character in a header field's value",
            Self::LineEnd => "CR without LF",
            Self::TooManyFields => "too many header fields",
            Self::TooLong => "head too long",
            Self::ContentLength => "bad or differing Content-Length",
            Self::TransferEncoding => "bad Transfer-Encoding",
            Self::TransferCoding => "unsupported transfer coding",
            Self::ConnectionOptions => "too many Connection options",
            Self::Host => "bad or differing Host",
        }
    }
}

impl core::fmt::Display for HeadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for HeadError {}
