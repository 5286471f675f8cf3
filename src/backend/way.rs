//! How connections to a server are made, from what its `server` line and its backend say.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use super::ClientEnds;
use crate::config::{self, Foreign, ServerAddress, SourceAddress, TcpTuning};
use crate::net::{Dial, Ports, Tuning};

/// What is not plain about the connections to a server.
pub(super) struct Way {
    pub dial: Dial,
    /// `usesrc`, where each client has an address of its own.
    pub foreign: Option<Foreign>,
}

impl Way {
    /// `None` where all is plain.
    pub(super) fn of(backend: &config::Backend, server: &config::Server) -> Option<Rc<Self>> {
        let source = server.source.as_ref().or(backend.source.as_ref());
        let TcpTuning { probes, idle_s, interval_s, no_linger, .. } = backend.tuning;
        let (user_timeout_ms, fast_open) = (server.user_timeout_ms, server.fast_open);
        let tuning = Tuning { user_timeout_ms, probes, idle_s, interval_s, fast_open, no_linger, mss: 0 };
        if source.is_none() && tuning == Tuning::default() {
            return None;
        }
        let mut way = Self { dial: Dial { tuning, ..Dial::default() }, foreign: None };
        if let Some(source) = source {
            way.comes_from(
                source,
                matches!(&server.address, ServerAddress::Inet(host, _) if host.contains(':')),
            );
        }
        Some(Rc::new(way))
    }

    fn comes_from(&mut self, source: &SourceAddress, to_ipv6: bool) {
        let any = if to_ipv6 { IpAddr::from([0_u16; 8]) } else { IpAddr::from([0; 4]) };
        let dial = &mut self.dial;
        dial.interface = source.interface.clone();
        dial.foreign = source.foreign.is_some();
        dial.source = source.address.map(|address| SocketAddr::new(address, 0));
        match source.ports {
            Some((first, last)) if first < last => dial.ports = Some(Ports::new(first, last)),
            Some((port, _)) => dial.source = Some(SocketAddr::new(source.address.unwrap_or(any), port)),
            None => {}
        }
        match &source.foreign {
            Some(Foreign::Address(address)) => dial.source = Some(*address),
            // Where nothing is known of a client the source remains.
            Some(of_client) => self.foreign = Some(of_client.clone()),
            None => {}
        }
    }

    /// The address that this client's connection comes from.
    pub(super) fn client(&self, client: &ClientEnds, to_ipv6: bool) -> Option<SocketAddr> {
        match self.foreign.as_ref()? {
            Foreign::Client => client.source,
            Foreign::ClientIp => client.source.map(|source| SocketAddr::new(source.ip(), 0)),
            Foreign::Header(..) => {
                let told = client.told.filter(|told| told.is_ipv6() == to_ipv6)?;
                Some(SocketAddr::new(told, 0))
            }
            Foreign::Address(_) => None,
        }
    }

    /// The field of requests that the address stands in: its name, and which of its values.
    pub(super) fn header(&self) -> Option<(&Rc<str>, i32)> {
        match self.foreign.as_ref()? {
            Foreign::Header(name, occurrence) => Some((name, *occurrence)),
            _ => None,
        }
    }
}
