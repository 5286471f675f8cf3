//! HTTP/1.0 and 1.1 messages: bytes in, bytes out. No socket, no clock, no heap.
//!
//! [`parse_request`] and [`parse_response`] turn the first bytes of a message into a head of spans over
//! those bytes, refuse every framing that two readers could understand differently, and decide how long the
//! body is. [`Chunked`] follows a chunked body. [`write_request`] and [`write_response`] write the head that
//! goes on to the other side. [`answer()`] holds the answers the gateway gives itself.

pub mod answer;
mod body;
pub mod chunked;
pub mod cookies;
pub mod edit;
mod fields;
pub mod head;
mod parse;
pub mod rewrite;
#[cfg(test)]
mod tests;

pub use answer::answer;
pub use body::body_so_far;
pub use chunked::{ChunkError, Chunked, Step};
pub use fields::find;
pub use head::{
    Field, Framing, HeadError, MAX_FIELDS, Method, RequestFacts, RequestHead, ResponseHead, Span, Version,
};
pub use parse::{parse_request, parse_response, read_request, read_response};
pub use rewrite::{After, RequestEdits, ResponseEdits, TooLong, write_request, write_response};
