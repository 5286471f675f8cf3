//! Server connections that belong to one client: `http-reuse never`, servers that are told of clients, and those that
//! have tied who the client is to the connection.

use std::rc::Rc;

use super::Session;
use crate::backend::{Backend, Reserved, Slot};
use crate::net::Stream;

/// Idle ones that a client may have: HAProxy's default for `max-session-srv-conns`.
const RESERVED_MAX: usize = 5;

/// The connections of one client.
#[derive(Default)]
pub(super) struct Reserve {
    /// With backend and server, the one used last at the end.
    idle: Vec<(Rc<Backend>, usize, Reserved)>,
    /// A server goes by the connection to know who the client is: requests go where one stands.
    tied: bool,
}

impl Session {
    /// Lays a connection that has carried so many requests aside for this client's next one to the same server.
    pub(super) fn reserve(&self, slot: &Slot, (stream, requests): (Stream, u32), tied: bool) {
        let Some(reserved) = Reserved::new(stream, requests) else { return };
        let reserve = &mut self.extra().reserve;
        reserve.tied |= tied;
        if reserve.idle.len() >= RESERVED_MAX {
            reserve.idle.remove(0);
        }
        reserve.idle.push((slot.backend().clone(), slot.index(), reserved));
    }

    /// One to this server that still stands, and how many requests it has carried.
    pub(super) fn take_reserved(&self, slot: &Slot) -> Option<(Stream, u32)> {
        let mut extra = self.extra.borrow_mut();
        let idle = &mut extra.as_mut()?.reserve.idle;
        loop {
            let is_there = |(backend, index, _): &(Rc<Backend>, usize, Reserved)| {
                Rc::ptr_eq(backend, slot.backend()) && *index == slot.index()
            };
            let at = idle.iter().rposition(is_there)?;
            let (_, _, reserved) = idle.remove(at);
            if let Some(taken) = reserved.take() {
                return Some(taken);
            }
        }
    }

    /// The server that a request must go to because it knows this client by its connection; with `any` the one to
    /// which a connection stands, whether it does or not.
    pub(super) fn own_server(&self, backend: &Backend, any: bool) -> Option<usize> {
        let extra = self.extra.borrow();
        let reserve = &extra.as_ref().filter(|extra| any || extra.reserve.tied)?.reserve;
        let of_backend = |(known, ..): &&(Rc<Backend>, usize, Reserved)| std::ptr::eq(&**known, backend);
        let (_, index, _) = reserve.idle.iter().rfind(of_backend)?;
        Some(*index).filter(|&index| backend.takes_back(index, reserve.tied))
    }
}
