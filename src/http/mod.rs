//! HTTP/1.1 messages: bytes in, bytes out.
