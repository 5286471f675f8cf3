//! Whatever rules do to a head, what is sent on ends where the message that came ends, and is one message.
//!
//! The input: edits, one a line, up to an empty line (`add NAME VALUE`, `set NAME VALUE`, `replace NAME VALUE`,
//! `remove PART`, `target TARGET`, `method NAME`, `line FROM TO`: each line of the head that
//! holds FROM becomes TO, or goes where TO is empty); the head behind it.

use oneport::http::edit::{Change, FieldEdits, Text};
use oneport::http::{
    After, HeadError, Method, RequestEdits, RequestFacts, ResponseEdits, Version, parse_request,
    parse_response, write_request, write_response,
};

/// As much as a gateway's head and its changes take.
const TEXT_BYTES_MAX: usize = 30_000;
const OUT_BYTES: usize = 70_000;

/// Checks one input: edits of a configuration, and a head from outside.
pub fn check(data: &[u8]) {
    let end = data.windows(2).position(|two| two == b"\n\n").unwrap_or(data.len());
    let (edits, head) = (&data[..end], data.get(end + 2..).unwrap_or_default());
    let edits: Vec<Vec<&[u8]>> =
        edits.split(|&b| b == b'\n').map(|line| line.splitn(3, |&b| b == b' ').collect()).collect();
    request(&edits, head);
    response(&edits, head);
}

/// One edit of fields; what is no such edit, or cannot be made, changes nothing.
fn edit_fields(mut fields: FieldEdits<'_>, text: &mut Text, words: &[&[u8]]) {
    let _ = match words {
        [b"add", name, value] => fields.add(text, name, value),
        [b"set", name, value] => {
            fields.remove(text, &|known| known.eq_ignore_ascii_case(name));
            fields.add(text, name, value)
        }
        [b"replace", name, value] => fields.replace(text, name, &|old| Some([old, *value].concat())),
        [b"line", from, to] => fields.lines(text, &|line| changed(line, from, to)),
        [b"remove", part] => {
            fields.remove(text, &|name| name.starts_with(part));
            Ok(())
        }
        _ => Ok(()),
    };
}

fn changed(line: &[u8], from: &[u8], to: &[u8]) -> Change {
    let found = !from.is_empty() && line.windows(from.len()).any(|part| part == from);
    match to {
        _ if !found => Change::Keep,
        [] => Change::Remove,
        to => Change::To(to.to_vec()),
    }
}

fn request(edits: &[Vec<&[u8]>], bytes: &[u8]) {
    let Ok(Some(mut head)) = parse_request(bytes) else { return };
    let (framing, version, upgrade) = (head.framing, head.version, head.upgrade);
    let mut text = Text::of(&bytes[..head.len], TEXT_BYTES_MAX);
    for words in edits {
        // Methods and targets that cannot stand there are refused, and leave the head as it was.
        let _ = match words.as_slice() {
            [b"target", target] => head.set_target(&mut text, target),
            [b"method", name] => head.set_method(&mut text, name),
            [b"line", from, to] => head.lines(&mut text, &|line| changed(line, from, to)),
            words => {
                edit_fields(head.edit(), &mut text, words);
                Ok(())
            }
        };
    }
    assert_eq!((head.framing, head.upgrade), (framing, upgrade));
    let written_edits =
        RequestEdits { after: After::KeepAlive, add_fields: &[], forward_for: None, proxy_header: false };
    let mut out = vec![0; OUT_BYTES];
    let Ok(len) = write_request(&head, text.bytes(), &written_edits, &mut out) else { return };
    let written = &out[..len];
    match parse_request(written) {
        Ok(Some(again)) => {
            assert_eq!(again.len, len);
            assert_eq!((again.framing, again.version, again.upgrade), (framing, version, upgrade));
        }
        // A text of one head fits; TE and Connection may come on top.
        Err(HeadError::TooLong | HeadError::TooManyFields) => {}
        // A target or a Host that a server may refuse is the configuration's choice; it ends nothing early.
        Err(HeadError::Target | HeadError::Host) => {
            assert_eq!(written.windows(4).position(|four| four == b"\r\n\r\n"), Some(len - 4));
        }
        other => panic!("{:?} of {:?}", other.map(|_| ()), String::from_utf8_lossy(written)),
    }
}

fn response(edits: &[Vec<&[u8]>], bytes: &[u8]) {
    let to = RequestFacts { method: Method::Get, version: Version::Http11 };
    let Ok(Some(mut head)) = parse_response(bytes, to) else { return };
    // A tunnel is agreed on, and what comes before the answer is not shown to rules.
    if head.tunnel || head.status < 200 {
        return;
    }
    let (framing, status) = (head.framing, head.status);
    let mut text = Text::of(&bytes[..head.len], TEXT_BYTES_MAX);
    for words in edits {
        edit_fields(head.edit(), &mut text, words);
    }
    let written_edits = ResponseEdits { client: Version::Http11, after: After::KeepAlive, add_fields: &[] };
    let mut out = vec![0; OUT_BYTES];
    let Ok(len) = write_response(&head, text.bytes(), &written_edits, &mut out) else { return };
    match parse_response(&out[..len], to) {
        Ok(Some(again)) => assert_eq!((again.len, again.framing, again.status), (len, framing, status)),
        Err(HeadError::TooLong | HeadError::TooManyFields) => {}
        other => panic!("{:?} of {:?}", other.map(|_| ()), String::from_utf8_lossy(&out[..len])),
    }
}
