//! Choosing a server. Pure: looks at the servers' state, changes only their turn.

use super::{Pick, Server, Wish};
use crate::config::Balance;

/// Chooses among the servers that are up and have room. Backup servers are looked at only when no other
/// server is up, and then only the first of them that is up (configuration §5.2, "backup").
#[allow(clippy::indexing_slicing, reason = "a position found in the list")]
pub(super) fn pick(balance: Balance, servers: &[Server], wish: &Wish) -> Pick {
    let any_active = servers.iter().any(|server| server.is_usable() && !server.config.backup);
    if !any_active {
        return match servers.iter().position(|server| server.is_usable()) {
            None => Pick::Down,
            Some(index) if servers[index].is_full() => Pick::Full,
            Some(index) => Pick::Server(index),
        };
    }
    let eligible = |server: &Server| server.is_usable() && !server.config.backup && !server.is_full();
    let others = |server: &Server| {
        let avoided = wish.avoid.and_then(|index| servers.get(index));
        eligible(server) && !avoided.is_some_and(|avoided| std::ptr::eq(avoided, server))
    };
    match balance {
        Balance::RoundRobin if wish.avoid.is_some() => {
            let index = round_robin(servers, others).or_else(|| round_robin(servers, eligible));
            index.map_or(Pick::Full, Pick::Server)
        }
        Balance::RoundRobin => round_robin(servers, eligible).map_or(Pick::Full, Pick::Server),
    }
}

/// Whether the choice can fall on this server now: for a backup only while no other server is up.
pub(super) fn serves(servers: &[Server], index: usize) -> bool {
    let Some(server) = servers.get(index) else { return false };
    server.is_usable()
        && (!server.config.backup
            || !servers.iter().any(|other| other.is_usable() && !other.config.backup)
                && servers.iter().position(Server::is_usable) == Some(index))
}

/// Smooth weighted round robin: every server gains its weight, the one that has gained most is taken and
/// pays the sum. Over a round each gets exactly its share, spread as evenly as can be.
fn round_robin(servers: &[Server], eligible: impl Fn(&Server) -> bool) -> Option<usize> {
    let mut sum = 0;
    let mut best: Option<(usize, i64)> = None;
    for (index, server) in servers.iter().enumerate().filter(|(_, server)| eligible(server)) {
        let weight = i64::from(server.effective_weight());
        sum += weight;
        let turn = server.turn.get().saturating_add(weight);
        server.turn.set(turn);
        if best.is_none_or(|(_, most)| turn > most) {
            best = Some((index, turn));
        }
    }
    let (index, turn) = best?;
    servers.get(index)?.turn.set(turn - sum);
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::net::Target;

    fn server(name: &str, weight: u32) -> Server {
        let config = config::Server { name: name.into(), weight, ..config::Server::default() };
        Server::new(config, vec![Target::Inet("127.0.0.1:1".parse().unwrap())])
    }

    fn sequence(servers: &[Server], len: usize) -> String {
        (0..len)
            .map(|_| match pick(Balance::RoundRobin, servers, &Wish::default()) {
                Pick::Server(index) => servers[index].config.name.clone(),
                Pick::Full => "full".into(),
                Pick::Down => "down".into(),
            })
            .collect()
    }

    #[test]
    fn equal_weights_take_turns() {
        assert_eq!(sequence(&[server("a", 1), server("b", 1), server("c", 1)], 6), "abcabc");
    }

    #[test]
    fn weights_are_kept_exactly_and_spread() {
        let servers = [server("a", 1), server("b", 2)];
        let order = sequence(&servers, 300);
        assert_eq!(order.matches('a').count(), 100);
        assert_eq!(order.matches('b').count(), 200);
        assert!(!order.contains("aa") && !order.contains("bbb"));
    }

    #[test]
    fn weight_zero_gets_nothing() {
        assert_eq!(sequence(&[server("a", 0), server("b", 1)], 3), "bbb");
        assert_eq!(sequence(&[server("a", 0)], 1), "down");
    }

    #[test]
    fn a_server_that_is_down_or_full_is_passed_over() {
        let servers = [server("a", 1), server("b", 1)];
        servers[0].set_up(false);
        assert_eq!(sequence(&servers, 3), "bbb");
        servers[1].set_maxconn(1);
        servers[1].connections.set(1);
        assert_eq!(sequence(&servers, 1), "full");
        servers[1].set_up(false);
        assert_eq!(sequence(&servers, 1), "down");
    }

    #[test]
    fn backups_serve_only_when_nobody_else_can() {
        let mut servers = [server("a", 1), server("b", 1), server("c", 1)];
        servers[1].config.backup = true;
        servers[2].config.backup = true;
        assert_eq!(sequence(&servers, 2), "aa");
        servers[0].set_up(false);
        assert_eq!(sequence(&servers, 2), "bb");
    }
}
