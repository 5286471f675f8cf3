//! Changes of heads by rules. A change appends its text behind a copy of the head, so that every offset stays, and
//! moves spans there; the writers then write field by field.

use super::fields::{Known, find, is_target_byte, is_token_byte};
use super::head::{Field, Fields, Framing, Mend, Method, RequestHead, ResponseHead, Span, Special, Version};
use super::parse::is_method;
use super::rewrite::TooLong;

/// A copy of a head's bytes, with the text of changes behind them.
pub struct Text {
    bytes: Vec<u8>,
    bytes_max: usize,
    /// What the changed head may take when it is written.
    head_bytes_max: usize,
}

impl Text {
    /// A copy of a head, which its spans point into as they did before. `bytes_max` is for both together.
    #[must_use]
    pub fn of(head: &[u8], bytes_max: usize) -> Self {
        let mut bytes = Vec::with_capacity(head.len() + 256);
        bytes.extend_from_slice(head);
        Self { bytes, bytes_max: bytes_max.min(usize::from(u16::MAX)), head_bytes_max: usize::MAX }
    }

    /// The same for a changed head that is to fit into so many bytes.
    #[must_use]
    pub fn within(self, head_bytes_max: usize) -> Self {
        Self { head_bytes_max, ..self }
    }

    /// What spans of a changed head point into.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn push(&mut self, text: &[u8]) -> Result<Span, TooLong> {
        let end = self.bytes.len() + text.len();
        let span = match (u16::try_from(self.bytes.len()), u16::try_from(end)) {
            (Ok(start), Ok(end)) if usize::from(end) <= self.bytes_max => Span { start, end },
            _ => return Err(TooLong),
        };
        self.bytes.extend_from_slice(text);
        Ok(span)
    }
}

/// The fields of a head, to be changed.
pub struct FieldEdits<'h> {
    fields: &'h mut Fields,
    special: &'h mut Special,
    mend: &'h mut Mend,
    /// Bytes of the first line.
    line_len: usize,
}

impl FieldEdits<'_> {
    /// Adds a field behind the others; not one that the gateway writes itself.
    ///
    /// # Errors
    /// There is no room, or the value cannot stand in a head.
    pub fn add(&mut self, text: &mut Text, name: &[u8], value: &[u8]) -> Result<(), TooLong> {
        if !is_name(name) {
            return Err(TooLong);
        }
        if is_own(name) {
            return Ok(());
        }
        let value = field_value(value)?;
        let len = |span: Span| usize::from(span.end.saturating_sub(span.start));
        let written = |field: &Field| len(field.name) + len(field.value) + ": \r\n".len();
        let others: usize = self.fields.iter().map(written).sum();
        if self.line_len + others + name.len() + value.len() + ": \r\n\r\n".len() > text.head_bytes_max {
            return Err(TooLong);
        }
        let field = Field { name: text.push(name)?, value: text.push(value)? };
        self.fields.push(field).map_err(|_| TooLong)?;
        self.changed(text);
        Ok(())
    }

    /// Removes the fields whose names are chosen; those the gateway writes itself stay.
    pub fn remove(&mut self, text: &Text, chosen: &dyn Fn(&[u8]) -> bool) {
        for field in self.fields.iter_mut() {
            let name = field.name.of(&text.bytes);
            if !is_own(name) && chosen(name) {
                field.name = Span::default();
            }
        }
        self.changed(text);
    }

    /// Gives every field of this name the value that `make` makes of its own; `None` leaves it, and so do those
    /// that the gateway writes itself.
    ///
    /// # Errors
    /// There is no room, or the value cannot stand in a head.
    pub fn replace(
        &mut self,
        text: &mut Text,
        name: &[u8],
        make: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<(), TooLong> {
        self.each(text, name, &mut |value| make(value).map_or(Change::Keep, Change::To))
    }

    /// Does with the value of each field of this name what `work` says; those that the gateway writes itself stay.
    ///
    /// # Errors
    /// There is no room, or a new value cannot stand in a head.
    pub fn each(
        &mut self,
        text: &mut Text,
        name: &[u8],
        work: &mut dyn FnMut(&[u8]) -> Change,
    ) -> Result<(), TooLong> {
        if is_own(name) {
            return Ok(());
        }
        let done = self.fields.iter_mut().try_for_each(|field| {
            if field.name.of(&text.bytes).eq_ignore_ascii_case(name) {
                match work(field.value.of(&text.bytes)) {
                    Change::Keep => {}
                    Change::Remove => field.name = Span::default(),
                    Change::To(value) => field.value = text.push(field_value(&value)?)?,
                }
            }
            Ok(())
        });
        // Without strict mode the request goes on with those that could be changed.
        self.changed(text);
        done
    }

    /// Lets `work` see every line `Name: value`, and do what it says.
    ///
    /// # Errors
    /// There is no room, or a new line cannot stand in a head.
    pub fn lines(&mut self, text: &mut Text, work: &dyn Fn(&[u8]) -> Change) -> Result<(), TooLong> {
        let done = self.fields.iter_mut().try_for_each(|field| {
            let name = field.name.of(&text.bytes);
            let own = is_own(name);
            match work(&[name, b": ", field.value.of(&text.bytes)].concat()) {
                Change::To(line) if !own => {
                    let colon = memchr::memchr(b':', &line).ok_or(TooLong)?;
                    let (name, value) =
                        (line.get(..colon).ok_or(TooLong)?, line.get(colon + 1..).ok_or(TooLong)?);
                    if !is_name(name) || is_own(name) {
                        return Err(TooLong);
                    }
                    *field = Field { name: text.push(name)?, value: text.push(field_value(value)?)? };
                }
                Change::Remove if !own => field.name = Span::default(),
                _ => {}
            }
            Ok(())
        });
        self.changed(text);
        done
    }

    /// Takes note that something has changed; fields without a name are gone.
    fn changed(&mut self, text: &Text) {
        self.fields.retain(|field| field.name != Span::default());
        self.mend.edited = true;
        *self.special = Special::default();
        for (index, field) in self.fields.iter().enumerate() {
            if Known::of(field.name.of(&text.bytes)) != Known::Other {
                self.special.insert(index);
            }
        }
    }
}

/// What becomes of a line, or of a value.
pub enum Change {
    /// Nothing.
    Keep,
    /// It goes.
    Remove,
    /// It becomes this one.
    To(Vec<u8>),
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&b| is_token_byte(b))
}

/// A value without the blanks around it, if it can stand in a head.
fn field_value(value: &[u8]) -> Result<&[u8], TooLong> {
    let fine = value.iter().all(|&b| b == b'\t' || b >= b' ' && b != 0x7f);
    if fine { Ok(super::fields::trim(value)) } else { Err(TooLong) }
}

/// Whether the gateway itself decides about this field: rules have no effect on it.
#[must_use]
pub fn is_own(name: &[u8]) -> bool {
    !matches!(Known::of(name), Known::Other | Known::Host | Known::Expect)
}

impl RequestHead {
    /// Its fields, to be changed.
    pub fn edit(&mut self) -> FieldEdits<'_> {
        let line: usize = [self.method_span, self.target]
            .iter()
            .map(|span| usize::from(span.end.saturating_sub(span.start)))
            .sum();
        FieldEdits {
            fields: &mut self.fields,
            special: &mut self.special,
            mend: &mut self.mend,
            line_len: line + "  HTTP/1.1\r\n".len(),
        }
    }

    /// Gives it another method. How long its body is stays as it was.
    ///
    /// # Errors
    /// It is no method, or there is no room.
    pub fn set_method(&mut self, text: &mut Text, name: &[u8]) -> Result<(), TooLong> {
        let connect = Method::from_name(name) == Method::Connect || self.method == Method::Connect;
        if connect || !is_method(name) {
            return Err(TooLong);
        }
        self.method_span = text.push(name)?;
        self.method = Method::from_name(name);
        self.edit().changed(text);
        Ok(())
    }

    /// The same as [`FieldEdits::lines`], for the request line too; its version stays.
    ///
    /// # Errors
    /// There is no room, or a new line cannot stand in a head.
    pub fn lines(&mut self, text: &mut Text, work: &dyn Fn(&[u8]) -> Change) -> Result<(), TooLong> {
        let version: &[u8] = if self.version == Version::Http10 { b"HTTP/1.0" } else { b"HTTP/1.1" };
        let (method, target) = (self.method_span.of(&text.bytes), self.target.of(&text.bytes));
        if let Change::To(line) = work(&[method, b" ", target, b" ", version].concat()) {
            let mut parts = line.split(|&b| b == b' ').filter(|part| !part.is_empty());
            let (method, target) = (parts.next().ok_or(TooLong)?, parts.next().ok_or(TooLong)?);
            if method != self.method_span.of(&text.bytes) {
                self.set_method(text, method)?;
            }
            self.set_target(text, target)?;
        }
        self.edit().lines(text, work)
    }

    /// Gives it another target. One that names an authority says what `Host` is, or a server could take either.
    ///
    /// # Errors
    /// It cannot be one, or there is no room.
    pub fn set_target(&mut self, text: &mut Text, target: &[u8]) -> Result<(), TooLong> {
        if target.is_empty() || !target.iter().all(|&b| is_target_byte(b)) {
            return Err(TooLong);
        }
        self.target = text.push(target)?;
        self.edit().changed(text);
        let authority = authority_of(target).and_then(|(start, end)| target.get(start..end));
        match authority.filter(|authority| !authority.is_empty()) {
            Some(authority) => self.edit().replace(text, b"host", &|_| Some(authority.to_vec())),
            None => Ok(()),
        }
    }

    /// Lets a target that names an authority name the one in `Host`, which rules may have changed.
    ///
    /// # Errors
    /// That cannot stand in a target, or there is no room.
    pub fn follow_host(&mut self, text: &mut Text) -> Result<(), TooLong> {
        let target = self.target.of(&text.bytes);
        let Some((start, end)) = authority_of(target) else { return Ok(()) };
        let Some(host) = self.values(&text.bytes, "host").next() else { return Ok(()) };
        if target.get(start..end) == Some(host) {
            return Ok(());
        }
        let part = |range: std::ops::Range<usize>| target.get(range).unwrap_or_default();
        let target = [part(0..start), host, part(end..target.len())].concat();
        self.set_target(text, &target)
    }
}

impl ResponseHead {
    /// Makes an answer to one of GET and HEAD one to the other, where a rule has changed the method: an answer to HEAD
    /// has no body, and one to something else says so where the server's had none. True where it is to be told to
    /// have no byte of a body.
    pub fn answer_instead(&mut self, to_head: bool) -> bool {
        let bodyless = is_bodyless(self.status);
        if !to_head && !bodyless {
            (self.mend.drop_length, self.mend.drop_transfer_encoding) = (true, true);
        }
        self.framing = Framing::None;
        !to_head && !bodyless
    }

    /// Makes head and body fit each other again, where rules have changed the status from `before`: 204 and 304 have no
    /// body, and what a server sent as one of these has none under another status either. True where it is to be told
    /// to have no byte of a body.
    pub fn mend_status(&mut self, before: u16, to_head: bool) -> bool {
        let (was, is) = (is_bodyless(before), is_bodyless(self.status));
        self.mend.drop_length |= self.status == 204;
        self.mend.drop_transfer_encoding |= is;
        if was == is {
            return false;
        }
        if was {
            return self.answer_instead(to_head);
        }
        self.framing = Framing::None;
        false
    }

    /// Whether it has no body, whatever its fields say.
    #[must_use]
    pub fn is_bodyless(&self) -> bool {
        is_bodyless(self.status)
    }

    /// Its fields, to be changed.
    pub fn edit(&mut self) -> FieldEdits<'_> {
        let reason = usize::from(self.reason.end.saturating_sub(self.reason.start));
        FieldEdits {
            fields: &mut self.fields,
            special: &mut self.special,
            mend: &mut self.mend,
            line_len: reason + "HTTP/1.1 200 \r\n".len(),
        }
    }

    /// Gives it another status, 200 or more. [`Self::mend_status`] is to follow.
    ///
    /// # Errors
    /// There is no room.
    pub fn set_status(&mut self, text: &mut Text, status: u16, reason: &[u8]) -> Result<(), TooLong> {
        self.reason = text.push(field_value(reason)?)?;
        self.status = status;
        self.edit().changed(text);
        Ok(())
    }
}

/// Where the authority of a target in absolute form stands, without the name of a user.
fn authority_of(target: &[u8]) -> Option<(usize, usize)> {
    let end = path_of(target).0;
    let start = find(target.get(..end)?, b"://")? + 3;
    let user = target.get(start..end)?.iter().rposition(|&b| b == b'@');
    Some((user.map_or(start, |at| start + at + 1), end))
}

/// Whether answers of this status have no body (RFC 9112 §6.3).
fn is_bodyless(status: u16) -> bool {
    matches!(status, 100..200 | 204 | 304)
}

/// The parts of a target: where its path begins, and where the path ends (at the `?`, or at the end).
#[must_use]
pub fn path_of(target: &[u8]) -> (usize, usize) {
    let start = match target.first() {
        Some(b'/') => 0,
        _ => match find(target, b"://") {
            Some(at) => {
                let rest = target.get(at + 3..).unwrap_or_default();
                at + 3 + rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len())
            }
            None => 0,
        },
    };
    let path = target.get(start..).unwrap_or_default();
    (start, start + memchr::memchr(b'?', path).unwrap_or(path.len()))
}

#[cfg(test)]
mod tests {
    use super::super::{
        After, RequestEdits, RequestFacts, ResponseEdits, Version, parse_request, parse_response,
        write_request, write_response,
    };
    use super::*;

    const REQUEST: &[u8] =
        b"GET /a?b HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nConnection: X-Sent, X-A\r\nx-a: 2\r\n\r\n";

    fn written(head: &RequestHead, text: &Text) -> String {
        let edits =
            RequestEdits { after: After::KeepAlive, add_fields: &[], forward_for: None, proxy_header: false };
        let mut out = [0; 1024];
        let len = write_request(head, text.bytes(), &edits, &mut out).unwrap();
        String::from_utf8(out[..len].to_vec()).unwrap()
    }

    #[test]
    fn requests_are_changed() {
        let mut head = parse_request(REQUEST).unwrap().unwrap();
        let mut text = Text::of(REQUEST, 4_096);
        head.set_target(&mut text, b"/new").unwrap();
        head.set_method(&mut text, b"PUT").unwrap();
        // What a client lists in Connection is what it sent, never what a rule set.
        head.edit().add(&mut text, b"X-Sent", b" by a rule ").unwrap();
        head.edit().replace(&mut text, b"host", &|old| Some([old, b".y"].concat())).unwrap();
        assert_eq!(written(&head, &text), "PUT /new HTTP/1.1\r\nHost: x.y\r\nX-Sent: by a rule\r\n\r\n");
        head.edit().remove(&text, &|name| name.eq_ignore_ascii_case(b"x-sent") || name == b"Connection");
        assert_eq!(written(&head, &text), "PUT /new HTTP/1.1\r\nHost: x.y\r\n\r\n");
    }

    #[test]
    fn answers_are_changed() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: a\r\n\r\n";
        let to = RequestFacts { method: Method::Get, version: Version::Http11 };
        let mut head = parse_response(bytes, to).unwrap().unwrap();
        let mut text = Text::of(bytes, 4_096);
        head.edit().remove(&text, &|name| name.eq_ignore_ascii_case(b"server"));
        head.edit().add(&mut text, b"X-B", b"").unwrap();
        head.set_status(&mut text, 503, b"No").unwrap();
        let edits = ResponseEdits { client: Version::Http11, after: After::Close, add_fields: &[] };
        let mut out = [0; 1024];
        let len = write_response(&head, text.bytes(), &edits, &mut out).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&out[..len]),
            "HTTP/1.1 503 No\r\nContent-Length: 2\r\nX-B: \r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn what_cannot_stand_in_a_head_is_refused() {
        let mut head = parse_request(REQUEST).unwrap().unwrap();
        let mut text = Text::of(REQUEST, REQUEST.len() + 20);
        for value in [&b"a\r\nb"[..], b"a\nb", b"\0", b"far too long for the room there is"] {
            assert!(head.edit().add(&mut text, b"a", value).is_err());
        }
        assert!(head.edit().add(&mut text, b"a b", b"").is_err());
        for target in [&b""[..], b"/a b", b"/\r\n", b"/\xc3"] {
            assert!(head.set_target(&mut text, target).is_err());
        }
        for method in [&b""[..], b"A B", b"CONNECT", &[b'A'; 33], b"SSH-2"] {
            assert!(head.set_method(&mut text, method).is_err());
        }
    }

    /// With `strict-mode off` a request goes on after a change that could not be made to the end.
    #[test]
    fn what_was_changed_before_a_failure_is_sent() {
        let bytes = b"GET / HTTP/1.1\r\nA: 1\r\nA: 2\r\nB: 3\r\n\r\n";
        let mut head = parse_request(bytes).unwrap().unwrap();
        let mut text = Text::of(bytes, 4_096);
        let make = |old: &[u8]| Some(if old == b"2" { b"\0".to_vec() } else { b"new".to_vec() });
        assert!(head.edit().replace(&mut text, b"a", &make).is_err());
        assert_eq!(written(&head, &text), "GET / HTTP/1.1\r\nA: new\r\nA: 2\r\nB: 3\r\n\r\n");
        let work = |line: &[u8]| match line {
            b"A: new" => Change::Remove,
            b"A: 2" => Change::To(b"no line".to_vec()),
            _ => Change::Keep,
        };
        assert!(head.edit().lines(&mut text, &work).is_err());
        assert_eq!(written(&head, &text), "GET / HTTP/1.1\r\nA: 2\r\nB: 3\r\n\r\n");
    }

    #[test]
    fn rules_have_no_effect_on_what_the_gateway_writes() {
        let bytes = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
        let mut head = parse_request(bytes).unwrap().unwrap();
        let mut text = Text::of(bytes, 4_096);
        for name in [&b"content-length"[..], b"Transfer-Encoding", b"Connection", b"Upgrade", b"TE"] {
            head.edit().add(&mut text, name, b"chunked").unwrap();
            head.edit().replace(&mut text, name, &|_| Some(b"9".to_vec())).unwrap();
        }
        assert_eq!(written(&head, &text), "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n");
    }

    #[test]
    fn paths_are_found() {
        for (target, path) in [
            ("/a/b?c=/d", "/a/b"),
            ("/", "/"),
            ("http://h/p?q", "/p"),
            ("http://h", ""),
            ("http://h?q", ""),
            ("*", "*"),
        ] {
            let (start, end) = path_of(target.as_bytes());
            assert_eq!(&target[start..end], path, "{target}");
        }
    }
}
