//! The answers of `deny`, `tarpit`, `return` and `http-error` (configuration §4.2, "http-request return").

use super::errors;
use super::http_actions::{header_name, status, value_text};
use super::words::Words;
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::format;
use crate::config::lexer::Word;
use crate::config::model::{Reply, ReplyBody};
use crate::config::sample::{Reader, ReferenceKind};

/// The largest file of an answer's body.
const FILE_BYTES_MAX: u64 = 65_535;

/// The answer of `http-error`.
pub(super) fn error_reply(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<Reply, Fault> {
    let spot = b.spot(st, Some(st.name_span()));
    let mut words = Words::new(b, st, st.args());
    let empty = Reply { body: ReplyBody::Empty, ..plain_reply(500) };
    let reply = reply(&mut words, &mut b.reader(&spot), empty)?;
    st.end(words.rest)?;
    if let Some((span, message)) = words.warning {
        b.warn(st, Some(span), message);
    }
    Ok(reply)
}

/// `[status N] [content-type T] [string S|lf-string F|file F|lf-file F|errorfile F|errorfiles NAME|default-errorfiles]
/// [hdr NAME FORMAT]…`; what is not written stays as it is.
pub(super) fn reply(
    words: &mut Words<'_>,
    reader: &mut Reader<'_>,
    mut reply: Reply,
) -> Result<Reply, Fault> {
    // An answer that comes with its own header.
    let mut whole = false;
    let mut section = None;
    loop {
        reply.body = if words.option("status") || words.option("deny_status") {
            reply.status = status(words.next("a status")?, 200, 599)?;
            continue;
        } else if words.option("content-type") {
            let word = words.next("a type")?;
            if word.bytes.is_empty() {
                return Err(Fault::at(word.span, "a type is expected here"));
            }
            reply.content_type = Some(value_text(word)?.into());
            continue;
        } else if words.option("hdr") {
            let name = header_name(words.next("a name")?)?;
            reply.headers.push((name, format::parse_for_rule(reader, words.next("a value")?)?));
            continue;
        } else if words.option("string") {
            ReplyBody::Bytes(words.next("a text")?.bytes.as_slice().into())
        } else if words.option("lf-string") {
            ReplyBody::Format(format::parse_for_rule(reader, words.next("a text")?)?)
        } else if words.option("file") {
            ReplyBody::Bytes(file(reader, words.next("a file")?)?.into())
        } else if words.option("lf-file") {
            let word = words.next("a file")?;
            let text = Word { bytes: file(reader, word)?, span: word.span };
            ReplyBody::Format(format::parse_for_rule(reader, &text)?)
        } else if words.option("default-errorfiles") {
            ReplyBody::Page
        } else if words.option("errorfile") {
            let word = words.next("a file")?;
            ReplyBody::Whole(errors::whole_answer(&reader.shared.files, word, words.answer_bytes_max)?)
        } else if words.option("errorfiles") {
            let word = words.next("the name of an `http-errors` section")?;
            let id = reader.reference(ReferenceKind::Pages, word.text()?);
            let id = id.map_err(|why| Fault::at(word.span, why))?;
            section = Some(id);
            ReplyBody::Pages(id)
        } else {
            break;
        };
        whole |= matches!(reply.body, ReplyBody::Page | ReplyBody::Whole(_) | ReplyBody::Pages(_));
    }
    if let Some(id) = section {
        reader.shared.wanted_pages.push((id, reply.status, reader.spot.clone()));
    }
    if whole && !(reply.headers.is_empty() && reply.content_type.is_none()) {
        reply.headers.clear();
        words.warning = Some((words.at, "no effect of `hdr` and `content-type`: the answer comes whole"));
    }
    Ok(reply)
}

fn file(reader: &Reader<'_>, word: &Word) -> Result<Vec<u8>, Fault> {
    reader.shared.files.read(word.text()?, FILE_BYTES_MAX).map_err(|why| Fault::at(word.span, why))
}

/// The page for a status.
pub(super) fn plain_reply(status: u16) -> Reply {
    Reply { status, content_type: None, body: ReplyBody::Page, headers: Vec::new() }
}
