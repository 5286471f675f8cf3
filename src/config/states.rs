//! What is known of servers' states once all of the text was read: which server `track` names, and where checks go.

use super::builder::Builder;
use super::diagnostics::{Severity, Spot};
use super::draft::Proxy;
use super::model::{
    BackendId, CheckAct, CheckConnect, CheckStep, Mode, Server, ServerAddress, ServerPort::FromClient,
};
use super::suggest;

/// `track` of a server: its index in its proxy, what was written, and where.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    pub server: usize,
    pub name: String,
    pub spot: Spot,
}

/// A server by the indexes of its proxy and within it.
type At = (usize, usize);

/// Finds the servers that `track` names, and refuses what cannot be: nothing to be followed, or a ring.
pub(crate) fn resolve_tracks(b: &mut Builder<'_>, backends: &[Option<BackendId>]) {
    let mut found: Vec<(At, At, Spot)> = Vec::new();
    let mut faults: Vec<(Spot, String)> = Vec::new();
    for (at, proxy) in b.proxies.iter().enumerate() {
        for Track { server, name, spot } in &proxy.tracks {
            match find(b, at, name) {
                Ok(tracked) => found.push(((at, *server), tracked, spot.clone())),
                Err(message) => faults.push((spot.clone(), message)),
            }
        }
        check_ports(proxy, &mut faults);
        let observes = |server: &&Server| server.state.observe.is_some_and(|observe| observe.answers);
        for server in proxy.servers.iter().filter(observes) {
            if proxy.settings.mode.unwrap_or_default() != Mode::Http {
                let spot = Spot { place: server.place.clone(), ..Spot::default() };
                let message =
                    format!("server `{}`: `observe layer7` can only be used in `mode http`", server.name);
                faults.push((spot, message));
            }
        }
    }
    let follows =
        |from: At| found.iter().find(|(tracker, ..)| *tracker == from).map(|(_, tracked, _)| *tracked);
    for (tracker, tracked, spot) in &found {
        let Some(server) = b.proxies.get(tracked.0).and_then(|proxy| proxy.servers.get(tracked.1)) else {
            continue;
        };
        let mut last = *tracked;
        // No chain is longer than there are links.
        for _ in 0..found.len() {
            match follows(last).filter(|_| last != *tracker) {
                Some(next) => last = next,
                None => break,
            }
        }
        let message = if last == *tracker {
            format!("tracking `{}` leads back to this server: it would follow itself", server.name)
        } else if server.check.is_none() && server.state.agent.is_none() && follows(*tracked).is_none() {
            format!(
                "`{}` has neither `check` nor `agent-check` nor `track`: there is nothing to follow",
                server.name
            )
        } else {
            continue;
        };
        faults.push((spot.clone(), message));
    }
    for (spot, message) in faults {
        b.sink.push(Severity::Error, spot, message);
    }
    for ((proxy, server), tracked, _) in found {
        let id = backends.get(tracked.0).copied().flatten();
        if let Some(server) = b.proxies.get_mut(proxy).and_then(|proxy| proxy.servers.get_mut(server)) {
            server.state.track = id.map(|id| (id, tracked.1));
        }
    }
}

/// A check needs a port: the server's, one of its own, or one in each connection that it makes.
fn check_ports(proxy: &Proxy, faults: &mut Vec<(Spot, String)>) {
    for server in proxy.servers.iter().filter(|server| server.check.is_some_and(|check| check.port.is_none()))
    {
        let (ServerAddress::Inet(_, FromClient(_)) | ServerAddress::FromClient(FromClient(_))) =
            server.address
        else {
            continue;
        };
        let has_port =
            |step: &CheckStep| !matches!(step.act, CheckAct::Connect(CheckConnect { port: None, .. }));
        if !proxy.settings.probes.plan().is_some_and(|plan| plan.steps.iter().all(has_port)) {
            let spot = Spot { place: server.place.clone(), ..Spot::default() };
            faults.push((
                spot,
                format!("server `{}` has no port to be checked at: add `port NUMBER`", server.name),
            ));
        }
    }
}

/// The server that `[backend/]server` names, seen from a proxy.
fn find(b: &Builder<'_>, from: usize, name: &str) -> Result<At, String> {
    let (proxy, server) = match name.split_once('/') {
        None => (from, name),
        Some((backend, server)) => {
            let at = b.proxy_named(true, backend);
            let hint = || b.hint_of_proxies(true, backend);
            (at.ok_or_else(|| format!("there is no backend `{backend}`{}", hint()))?, server)
        }
    };
    let names = || b.proxies.get(proxy).into_iter().flat_map(|proxy| &proxy.servers).map(|s| s.name.as_str());
    let index = names().position(|known| known == server);
    let index =
        index.ok_or_else(|| format!("there is no server `{server}`{}", suggest::hint(server, names())))?;
    Ok((proxy, index))
}
