//! Listeners, streams, pooled buffers, splice and addresses: bytes on the data plane.
//!
//! Everything here is non-blocking and belongs to one [`crate::reactor`].

mod address;
mod buffer;
mod dial;
mod listener;
mod option;
mod pipe;
mod proxy_protocol;
mod rate;
mod stream;

pub use address::{Target, resolve};
pub use buffer::{Buffer, set_buffer_size};
pub use dial::{Dial, Ports, SourceError, Tuning};
pub use listener::{
    Accepted, ListenOptions, Listener, listen_abstract, listen_inherited, listen_tcp, listen_unix,
};
pub use pipe::{PIPE_BYTES, PIPES_MAX, Pipe};
pub use proxy_protocol::{Ends, Header, HeaderError, Written, parse_header, write_binary, write_line};
pub use rate::Rate;
pub use stream::{ConnectOptions, Stream};
