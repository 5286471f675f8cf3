//! The rules.
use crate::config::*;
pub enum Choice {
    Backend(BackendId),
    None,
    NotYet,
}
pub enum ContentVerdict {
    Accept,
    Reject,
    NotYet,
}
pub struct View<'a>(&'a [u8], bool);
impl<'a> View<'a> {
    pub fn new(b: &'a [u8], f: bool) -> Self {
        Self(b, f)
    }
    pub fn with_head(b: &'a [u8], _h: &crate::http::RequestHead) -> Self {
        Self(b, true)
    }
}
pub fn choose_backend(f: &Frontend, _v: &View) -> Choice {
    f.default_backend.map_or(Choice::None, Choice::Backend)
}
pub fn content_verdict(_f: &Frontend, _v: &View) -> ContentVerdict {
    ContentVerdict::Accept
}
