//! What fetches ask of the gateway beside the bytes.

use std::net::SocketAddr;

use super::value::Sample;
use super::view::View;
use crate::config::{Alias, BackendId, Figure, Flags, Format, LinePart, Named, RefId, Side, User, VarId};

/// The gateway as a rule sees it. Every method may say that it does not know.
pub trait World {
    /// The client's address.
    fn source(&self) -> Option<SocketAddr> {
        None
    }
    /// The address the client came to.
    fn destination(&self) -> Option<SocketAddr> {
        None
    }
    /// A number.
    fn figure(&self, _figure: Figure, _of: Option<RefId>) -> Option<i64> {
        None
    }
    /// A name.
    fn name(&self, _whose: Named) -> Option<&str> {
        None
    }
    /// Unix time, milliseconds.
    fn wall_ms(&self) -> i64 {
        0
    }
    /// Any 32 bits.
    fn random(&self) -> u32 {
        0
    }
    /// A variable's value.
    fn variable(&self, _id: VarId) -> Option<Sample<'static>> {
        None
    }
    /// A captured header.
    fn capture(&self, _side: Side, _index: usize) -> Option<Vec<u8>> {
        None
    }
    /// A part of the request line that was kept.
    fn captured_line(&self, _part: LinePart) -> Option<Vec<u8>> {
        None
    }
    /// The request's unique id.
    fn unique_id(&self) -> Option<Vec<u8>> {
        None
    }
    /// Writes `%name` of a text.
    fn alias(&self, _alias: Alias, _flags: Flags, _out: &mut Vec<u8>) {}
    /// The backend whose name this text becomes.
    fn backend_called(&self, _name: &Format, _view: &View<'_>) -> Option<BackendId> {
        None
    }
    /// Whether requests to a proxy bring `Proxy-Authorization` (`option http-use-proxy-header`).
    fn uses_proxy_header(&self) -> bool {
        false
    }
    /// The user of this list with this name and this password.
    fn user(&self, _list: RefId, _name: &[u8], _password: &[u8]) -> Option<&User> {
        None
    }
}

/// Where nothing but the bytes is known.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl World for Nowhere {}

pub(super) static NOWHERE: Nowhere = Nowhere;
