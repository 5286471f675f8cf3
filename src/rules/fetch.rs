//! Sample fetches (configuration §7.3): each finds none, one or several samples, or has to wait.

use std::net::SocketAddr;

use super::convert;
use super::rdp::rdp_cookie;
use super::text::{Elements, cookies, parameters, path_and_query, split_at_byte, without_query};
use super::value::Sample;
use super::view::{Head, View};
use super::world::World;
use crate::config::{Credential, End, Expr, Fetch, Part, Side};
use crate::http::{Framing, RequestHead, Version, body_so_far};

/// What came of fetching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetched {
    /// Every sample was shown.
    Done,
    /// More bytes are needed.
    NotYet,
}

/// Takes samples; false = enough.
pub(super) type Visit<'a> = &'a mut dyn FnMut(Sample<'_>) -> bool;

/// Shows the samples of an expression. `all`: of several values every one (as ACLs want it), else the last.
pub(super) fn each(expr: &Expr, view: &View<'_>, all: bool, visit: Visit<'_>) -> Fetched {
    if expr.converters.is_empty() {
        return fetch(&expr.fetch, view, all, visit);
    }
    fetch(&expr.fetch, view, all, &mut |sample| {
        let converted = expr.converters.iter().try_fold(sample.into_owned(), |sample, converter| {
            convert::convert(converter, sample, view.world())
        });
        converted.is_none_or(&mut *visit)
    })
}

fn fetch(fetch: &Fetch, view: &View<'_>, all: bool, visit: Visit<'_>) -> Fetched {
    let world = view.world();
    let sample = match fetch {
        Fetch::Always(value) => Some(Sample::Bool(*value)),
        Fetch::Int(number) => Some(Sample::Int(*number)),
        Fetch::Text(text) => Some(Sample::of(text)),
        Fetch::WaitEnd if view.is_final() => Some(Sample::Bool(true)),
        Fetch::WaitEnd => return Fetched::NotYet,
        Fetch::ProtoHttp => match view.http() {
            Head::Whole(_) => Some(Sample::Bool(true)),
            Head::NotYet => return Fetched::NotYet,
            Head::None => Some(Sample::Bool(false)),
        },
        Fetch::Payload { side, offset, len } => {
            let Some(bytes) = view.message(*side) else { return Fetched::Done };
            return some_bytes(bytes.get(*offset..).unwrap_or_default(), *len, view, visit);
        }
        Fetch::PayloadLv { side, offset, size, at, relative } => {
            let Some(bytes) = view.message(*side) else { return Fetched::Done };
            return payload_lv(bytes, view, (*offset, *size, *at, *relative), visit);
        }
        Fetch::RdpCookie(name) | Fetch::RdpCookieCount(name) => {
            let Some(bytes) = view.message(Side::Request) else { return Fetched::Done };
            let found = match rdp_cookie(bytes, name.as_bytes()) {
                None if !view.is_final() => return Fetched::NotYet,
                found => found.flatten(),
            };
            match fetch {
                Fetch::RdpCookie(_) => found.map(Sample::of),
                _ => Some(Sample::Int(found.is_some().into())),
            }
        }
        Fetch::Len(side) => view.message(*side).map(|bytes| Sample::Int(count(bytes.len()))),
        Fetch::Address(end) => of_end(world, *end).map(|address| Sample::Ip(address.ip().to_canonical())),
        Fetch::Port(end) => of_end(world, *end).map(|address| Sample::Int(address.port().into())),
        Fetch::Name(whose) => world.name(*whose).map(|name| Sample::of(name.as_bytes())),
        Fetch::Figure(figure, of) => world.figure(*figure, *of).map(Sample::Int),
        Fetch::Date(offset) => Some(Sample::Int((world.wall_ms() / 1_000).saturating_add(*offset))),
        Fetch::Random(0) => Some(Sample::Int(world.random().into())),
        Fetch::Random(range) => Some(Sample::Int((world.random() % range).into())),
        Fetch::Variable(id) => world.variable(*id),
        Fetch::Capture(side, index) => world.capture(*side, *index).map(|text| Sample::Bytes(text.into())),
        Fetch::CapturedLine(part) => world.captured_line(*part).map(|text| Sample::Bytes(text.into())),
        Fetch::UniqueId => world.unique_id().map(|text| Sample::Bytes(text.into())),
        Fetch::Status => view.response().map(|(head, _)| Sample::Int(head.status.into())),
        Fetch::Version(Side::Response) => view.response().map(|(head, _)| Sample::of(version(head.version))),
        Fetch::Header { side: Side::Response, .. }
        | Fetch::HeaderCount { side: Side::Response, .. }
        | Fetch::HeaderNames(Side::Response, _)
        | Fetch::Cookie(Side::Response, _)
        | Fetch::CookieCount(Side::Response, _) => {
            let Some((head, bytes)) = view.response() else { return Fetched::Done };
            of_fields(fetch, &Fields { fields: &head.fields, bytes }, all, visit);
            return Fetched::Done;
        }
        _ => {
            match view.http() {
                Head::Whole(head) => of_request(fetch, head, view, all, visit),
                Head::NotYet => return Fetched::NotYet,
                Head::None => {}
            }
            return Fetched::Done;
        }
    };
    if let Some(sample) = sample {
        visit(sample);
    }
    Fetched::Done
}

fn of_end(world: &dyn World, end: End) -> Option<SocketAddr> {
    match end {
        End::Source => world.source(),
        End::Destination => world.destination(),
    }
}

fn count(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn version(version: Version) -> &'static [u8] {
    match version {
        Version::Http10 => b"1.0",
        Version::Http11 => b"1.1",
    }
}

/// `len` bytes at the start of what has come, 0 = all of them.
fn some_bytes(start: &[u8], len: usize, view: &View<'_>, visit: Visit<'_>) -> Fetched {
    if len == 0 && !view.is_final() || start.len() < len && !view.is_final() {
        return Fetched::NotYet;
    }
    let sample = if len == 0 { Some(start) } else { start.get(..len) };
    if let Some(sample) = sample.filter(|sample| !sample.is_empty()) {
        visit(Sample::of(sample));
    }
    Fetched::Done
}

type LengthValue = (usize, usize, Option<usize>, i32);

fn payload_lv(
    bytes: &[u8],
    view: &View<'_>,
    (offset, size, at, relative): LengthValue,
    visit: Visit<'_>,
) -> Fetched {
    let Some(digits) = bytes.get(offset..).and_then(|rest| rest.get(..size)) else {
        return if view.is_final() { Fetched::Done } else { Fetched::NotYet };
    };
    let len = digits.iter().fold(0u64, |len, byte| len << 8 | u64::from(*byte));
    let behind = i64::try_from(offset + size).unwrap_or(i64::MAX);
    let start = at.or_else(|| usize::try_from(behind.saturating_add(relative.into())).ok());
    let (Some(start), Ok(len)) = (start, usize::try_from(len)) else { return Fetched::Done };
    // Longer than any buffer: it will never be there.
    if len == 0 || start.checked_add(len).is_none_or(|end| end > 65_535) {
        return Fetched::Done;
    }
    some_bytes(bytes.get(start..).unwrap_or_default(), len, view, visit)
}

fn of_request(fetch: &Fetch, head: &RequestHead, view: &View<'_>, all: bool, visit: Visit<'_>) {
    let bytes = view.bytes();
    let target = head.target.of(bytes);
    let body = || body_so_far(head.framing, view.body(head)).0;
    match fetch {
        Fetch::Method => drop(visit(Sample::of(head.method_span.of(bytes)))),
        Fetch::Version(_) => drop(visit(Sample::of(version(head.version)))),
        Fetch::Target(part) => of_target(*part, head, bytes, visit),
        Fetch::UrlParam { name, delimiter } => {
            let Some((_, query)) = split_at_byte(target, *delimiter) else { return };
            pick(&|show| parameters(query, name, *delimiter).all(show), all, 0, visit);
        }
        Fetch::Body => drop(visit(Sample::of(&body()))),
        Fetch::BodyLen { announced: false } => drop(visit(Sample::Int(count(body().len())))),
        Fetch::BodyLen { announced: true } => {
            let len = match head.framing {
                Framing::Length(len) => i64::try_from(len).unwrap_or(i64::MAX),
                _ => count(body().len()),
            };
            visit(Sample::Int(len));
        }
        Fetch::HttpAuth(list) => {
            let right = credentials(view, head, bytes)
                .is_some_and(|(user, password)| view.world().user(*list, &user, &password).is_some());
            visit(Sample::Bool(right));
        }
        Fetch::HttpAuthGroup(list) => {
            let Some((user, password)) = credentials(view, head, bytes) else { return };
            let Some(known) = view.world().user(*list, &user, &password) else { return };
            if all {
                let _ = known.groups.iter().all(|group| visit(Sample::of(group.as_bytes())));
            } else {
                visit(Sample::of(&user));
            }
        }
        Fetch::Credentials(Credential::Scheme) => {
            if let Some((scheme, _)) = authorization(view, head, bytes) {
                visit(Sample::of(scheme));
            }
        }
        Fetch::Credentials(which) => {
            if let Some((user, password)) = credentials(view, head, bytes) {
                visit(Sample::of(if *which == Credential::User { &user } else { &password }));
            }
        }
        fetch => of_fields(fetch, &Fields { fields: &head.fields, bytes }, all, visit),
    }
}

fn of_target(part: Part, head: &RequestHead, bytes: &[u8], visit: Visit<'_>) {
    let target = head.target.of(bytes);
    let path = path_and_query(target);
    let sample = match part {
        Part::Url => Some(target),
        Part::Path => path.map(without_query),
        Part::PathAndQuery => path,
        Part::Query => split_at_byte(target, b'?').map(|(_, query)| query),
        Part::Base | Part::BaseAndQuery => {
            let path = path.map(|path| if part == Part::Base { without_query(path) } else { path });
            let Some(host) = head.values(bytes, "host").next() else {
                if let Some(path) = path {
                    visit(Sample::of(path));
                }
                return;
            };
            visit(Sample::Bytes([host, path.unwrap_or_default()].concat().into()));
            return;
        }
    };
    if let Some(sample) = sample {
        visit(Sample::of(sample));
    }
}

/// The scheme of `Authorization`, or of what stands for it in a request to a proxy, and what follows it.
fn authorization<'b>(view: &View<'_>, head: &RequestHead, bytes: &'b [u8]) -> Option<(&'b [u8], &'b [u8])> {
    let to_proxy = view.world().uses_proxy_header() && is_to_proxy(head.target.of(bytes));
    let wanted: &[u8] = if to_proxy { b"proxy-authorization" } else { b"authorization" };
    let field = head.fields.iter().find(|field| field.name.of(bytes).eq_ignore_ascii_case(wanted))?;
    split_at_byte(field.value.of(bytes), b' ')
}

/// Whether a request with this target is one to a proxy.
pub fn is_to_proxy(target: &[u8]) -> bool {
    !matches!(target.first(), Some(b'/' | b'*'))
}

/// User and password of `Authorization: Basic …` (RFC 7617).
fn credentials(view: &View<'_>, head: &RequestHead, bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = authorization(view, head, bytes)?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let text = convert::from_base64(super::text::trim(encoded))?;
    let (user, password) = split_at_byte(&text, b':')?;
    Some((user.to_vec(), password.to_vec()))
}

/// The fields of a head with the bytes they lie in.
struct Fields<'a> {
    fields: &'a crate::http::head::Fields,
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Shows the values of every field of this name, which is in lower case; of all fields for an empty one. True when
    /// all were wanted.
    fn each(&self, name: &str, show: Show<'_, 'a>) -> bool {
        let same = |name_found: &[u8]| {
            name.is_empty()
                || name_found.len() == name.len() && name_found.eq_ignore_ascii_case(name.as_bytes())
        };
        let mut fields = self.fields.iter();
        fields.all(|field| !same(field.name.of(self.bytes)) || show(field.value.of(self.bytes)))
    }

    /// The same of the values, or (`whole` false) of the elements of their lists.
    fn each_part(&self, name: &str, whole: bool, show: Show<'_, 'a>) -> bool {
        match whole {
            true => self.each(name, show),
            false => self.each(name, &mut |value| Elements::of(value).all(&mut *show)),
        }
    }

    /// The same of cookies.
    fn each_cookie(&self, side: Side, name: &str, show: Show<'_, 'a>) -> bool {
        let answer = side == Side::Response;
        let header = if answer { "set-cookie" } else { "cookie" };
        self.each(header, &mut |value| cookies(value, name, answer).all(&mut *show))
    }
}

fn of_fields(fetch: &Fetch, fields: &Fields<'_>, all: bool, visit: Visit<'_>) {
    match fetch {
        Fetch::Header { name, occurrence, whole, .. } => {
            pick(&|show| fields.each_part(name, *whole, show), all, *occurrence, visit);
        }
        Fetch::HeaderCount { name, whole, .. } => {
            visit(Sample::Int(count(number_of(&|show| fields.each_part(name, *whole, show)))));
        }
        Fetch::HeaderNames(_, delimiter) => {
            let mut names = Vec::new();
            for field in fields.fields {
                if !names.is_empty() {
                    names.push(*delimiter);
                }
                // As HAProxy keeps them.
                names.extend(field.name.of(fields.bytes).iter().map(u8::to_ascii_lowercase));
            }
            visit(Sample::Bytes(names.into()));
        }
        Fetch::Cookie(side, name) => {
            // Without a name it is the first, with one the last.
            let occurrence = i32::from(name.is_empty() && !all);
            pick(&|show| fields.each_cookie(*side, name, show), all, occurrence, visit);
        }
        Fetch::CookieCount(side, name) => {
            visit(Sample::Int(count(number_of(&|show| fields.each_cookie(*side, name, show)))));
        }
        // Every other fetch was answered before.
        _ => {}
    }
}

/// Takes values; false = enough.
type Show<'s, 'a> = &'s mut dyn FnMut(&'a [u8]) -> bool;

/// Shows several values, from the first on, while they are wanted.
type Values<'v, 'a> = &'v dyn Fn(Show<'_, 'a>) -> bool;

fn number_of(values: Values<'_, '_>) -> usize {
    let mut number = 0;
    values(&mut |_| {
        number += 1;
        true
    });
    number
}

/// Shows all of several values, the last (`all` false), or the one that `occurrence` says: 1 = the first,
/// -1 = the last.
fn pick(values: Values<'_, '_>, all: bool, occurrence: i32, visit: Visit<'_>) {
    let occurrence = if occurrence == 0 && !all { -1 } else { occurrence };
    let distance = usize::try_from(occurrence.unsigned_abs()).unwrap_or(usize::MAX);
    let wanted = match occurrence {
        0 => {
            values(&mut |value| visit(Sample::of(value)));
            return;
        }
        1.. => distance,
        -1 => usize::MAX,
        // Counted first: walking twice is cheaper than an allocation.
        _ => match number_of(values).checked_sub(distance) {
            Some(before) => before + 1,
            None => return,
        },
    };
    let mut found = None;
    let mut nth = 0;
    values(&mut |value| {
        nth += 1;
        found = (nth == wanted || occurrence == -1).then_some(value);
        nth < wanted
    });
    if let Some(value) = found {
        visit(Sample::of(value));
    }
}
