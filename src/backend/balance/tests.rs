//! The algorithms, without connections: servers are picked, taken and released by hand.

use super::*;
use crate::config::{self, HashType, Key};
use crate::net::Target;

struct Rig {
    balance: Balance,
    servers: Vec<Server>,
    balancer: Balancer,
}

impl Rig {
    /// Servers `a`, `b`, … of these weights.
    fn new(algorithm: Algorithm, weights: &[u32]) -> Self {
        Self::with(Balance { algorithm, ..Balance::default() }, weights, |_, _| {})
    }

    fn with(balance: Balance, weights: &[u32], change: impl Fn(usize, &mut config::Server)) -> Self {
        let servers: Vec<Server> = (0..)
            .zip(weights)
            .map(|(at, &weight)| {
                let name = char::from(b'a' + at as u8).to_string();
                let mut config =
                    config::Server { name, weight, id: at as u32 + 1, ..config::Server::default() };
                change(at, &mut config);
                Server::new(config, vec![Target::Inet("127.0.0.1:1".parse().unwrap())])
            })
            .collect();
        let balancer = Balancer::new(&balance, &servers, 1);
        Self { balance, servers, balancer }
    }

    fn pick_for(&self, wish: &Wish) -> Pick {
        self.balancer.pick(&self.balance, &self.servers, wish)
    }

    /// The names of so many picks; what is picked is given back at once.
    fn picks(&self, len: usize) -> String {
        (0..len)
            .map(|_| match self.pick_for(&Wish::default()) {
                Pick::Server(index) => {
                    self.take(index);
                    self.release(index);
                    self.servers[index].config.name.as_str()
                }
                Pick::Full => "full",
                Pick::Down => "down",
            })
            .collect()
    }

    fn take(&self, index: usize) {
        self.servers[index].connections.set(self.servers[index].connections.get() + 1);
        self.balancer.taken(&self.servers, index);
    }

    fn release(&self, index: usize) {
        self.servers[index].connections.set(self.servers[index].connections.get() - 1);
        self.balancer.released(&self.servers, index);
    }

    fn up(&self, index: usize, up: bool) {
        self.servers[index].set_up(up);
        self.balancer.changed();
    }

    fn weigh(&self, index: usize, weight: u32) {
        self.servers[index].set_weight(weight);
        self.balancer.changed();
    }
}

fn count(picks: &str, name: char) -> usize {
    picks.matches(name).count()
}

/// Every algorithm that takes turns.
fn turn_takers() -> Vec<Balance> {
    let hashed = |consistent| Balance {
        algorithm: Algorithm::Hash(Key::Source),
        hash: HashType { consistent, ..HashType::default() },
        ..Balance::default()
    };
    let plain = |algorithm| Balance { algorithm, ..Balance::default() };
    vec![
        plain(Algorithm::RoundRobin),
        plain(Algorithm::StaticRr),
        plain(Algorithm::LeastConn),
        plain(Algorithm::First),
        plain(Algorithm::Random(2)),
        hashed(false),
        hashed(true),
    ]
}

#[test]
fn turns_are_haproxys() {
    // Taken down from HAProxy 2.6.
    let ring = Balance {
        algorithm: Algorithm::Hash(Key::Source),
        hash: HashType { consistent: true, ..HashType::default() },
        ..Balance::default()
    };
    let plain = |algorithm| Balance { algorithm, ..Balance::default() };
    for (balance, weights, want) in [
        (plain(Algorithm::RoundRobin), &[1, 1, 1][..], "abcabcabc"),
        (plain(Algorithm::RoundRobin), &[1, 2], "bbabbabbabba"),
        (plain(Algorithm::RoundRobin), &[1, 5, 1], "bbbabbcbbbabbcbbbabbc"),
        (
            plain(Algorithm::RoundRobin),
            &[3, 10, 1, 7],
            "bdbabdbdbcdbabdbdbabdbdbabdbdbcdbabdbdbabdbdbabdbdbcdbabdbdb",
        ),
        (plain(Algorithm::StaticRr), &[1, 2], "abbabbabb"),
        (plain(Algorithm::StaticRr), &[3, 10, 1, 7], "abdbbdabdbbdbadbbdbcdabdbbdabdbbdbadbbdbcdabd"),
        (plain(Algorithm::LeastConn), &[1, 5, 1], "abcabcabc"),
        (plain(Algorithm::First), &[1, 5, 1], "aaa"),
        (ring.clone(), &[1, 1, 1], "ccbacaabcaaabbcaccbcabccabacbcbaacbabbcbacbacbabccbacaabcaaa"),
        (ring, &[3, 10, 1, 7], "dbbdbbcbddbdbdddaaddbbbdabbdabdcdbddbbdbbaddabaabbbcabdddbdb"),
    ] {
        assert_eq!(
            Rig::with(balance.clone(), weights, |_, _| {}).picks(want.len()),
            want,
            "{balance:?} {weights:?}"
        );
    }
}

#[test]
fn shares_are_exact() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::StaticRr] {
        let picks = Rig::new(algorithm.clone(), &[1, 2]).picks(300);
        assert_eq!((count(&picks, 'a'), count(&picks, 'b')), (100, 200), "{algorithm:?}");
        assert!(!picks.contains("aa") && !picks.contains("bbbbb"), "{algorithm:?} {picks}");
        let weights = [3, 10, 1, 7, 256];
        let sum: u32 = weights.iter().sum();
        let rig = Rig::new(algorithm, &weights);
        let rounds = rig.picks(16 * sum as usize);
        for (name, weight) in ('a'..).zip(weights) {
            assert_eq!(count(&rounds, name), 16 * weight as usize);
        }
    }
}

#[test]
fn nothing_goes_to_what_is_down_or_weighs_nothing() {
    for balance in turn_takers() {
        let rig = Rig::with(balance.clone(), &[0, 1, 1], |_, _| {});
        assert_eq!(count(&rig.picks(50), 'a'), 0, "{balance:?}");
        rig.up(1, false);
        assert_eq!(rig.picks(3), "ccc", "{balance:?}");
        rig.weigh(2, 0);
        assert_eq!(rig.picks(1), "down", "{balance:?}");
        rig.weigh(2, 1);
        rig.up(1, true);
        let picks = rig.picks(60);
        assert!(count(&picks, 'b') + count(&picks, 'c') == 60 && picks.contains('b'), "{balance:?} {picks}");
        let none = Rig::with(balance, &[0, 0], |_, _| {});
        assert_eq!(none.picks(1), "down");
    }
}

#[test]
fn what_is_full_is_passed_over_until_it_has_room() {
    for balance in turn_takers() {
        let rig = Rig::with(balance.clone(), &[1, 1, 2], |_, server| server.maxconn = Some(1));
        let mut taken = Vec::new();
        for _ in 0..3 {
            let Pick::Server(index) = rig.pick_for(&Wish::default()) else { panic!("{balance:?} {taken:?}") };
            assert!(!taken.contains(&index), "{balance:?}");
            rig.take(index);
            taken.push(index);
        }
        assert_eq!(rig.pick_for(&Wish::default()), Pick::Full, "{balance:?}");
        rig.release(1);
        assert_eq!(rig.pick_for(&Wish::default()), Pick::Server(1), "{balance:?}");
        rig.take(1);
        rig.release(0);
        rig.release(2);
        assert!((0..8).all(|_| matches!(rig.pick_for(&Wish::default()), Pick::Server(0 | 2))), "{balance:?}");
        rig.up(0, false);
        rig.up(2, false);
        assert_eq!(rig.pick_for(&Wish::default()), Pick::Full, "{balance:?}");
        rig.up(1, false);
        assert_eq!(rig.pick_for(&Wish::default()), Pick::Down, "{balance:?}");
    }
}

#[test]
fn a_limit_that_moves_is_noticed_though_nobody_left() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::LeastConn, Algorithm::First] {
        let rig = Rig::with(Balance { algorithm, ..Balance::default() }, &[1, 1], |_, server| {
            (server.maxconn, server.minconn) = (Some(10), 1);
        });
        rig.servers.iter().for_each(|server| server.limit.set(1));
        rig.take(0);
        rig.take(1);
        assert_eq!(rig.picks(1), "full");
        rig.servers[1].limit.set(2);
        assert_eq!(rig.picks(2), "bb");
    }
}

#[test]
fn another_server_is_taken_where_there_is_one() {
    for balance in turn_takers() {
        let rig = Rig::with(balance.clone(), &[1, 3, 2], |_, _| {});
        for round in 0..100 {
            for avoid in 0..3 {
                let wish =
                    Wish { avoid: Some(avoid), hash: Some(super::hash::avalanche(round)), ..Wish::default() };
                assert!(matches!(rig.pick_for(&wish), Pick::Server(index) if index != avoid), "{balance:?}");
            }
        }
        rig.up(0, false);
        rig.up(1, false);
        for hash in [None, Some(5)] {
            let wish = Wish { avoid: Some(2), hash, ..Wish::default() };
            assert_eq!(rig.pick_for(&wish), Pick::Server(2), "{balance:?}");
        }
    }
}

#[test]
fn backups_serve_when_nobody_else_can() {
    for balance in turn_takers() {
        let second = |at, server: &mut config::Server| server.backup = at > 0;
        let rig = Rig::with(balance.clone(), &[1, 1, 1], second);
        assert_eq!(rig.picks(2), "aa");
        rig.up(0, false);
        assert_eq!(rig.picks(2), "bb");
        rig.up(1, false);
        assert_eq!(rig.picks(2), "cc");
        rig.up(1, true);
        assert_eq!(rig.picks(2), "bb");
        rig.up(0, true);
        assert_eq!(rig.picks(2), "aa");
        let is_first = balance.algorithm == Algorithm::First;
        let all = Rig::with(Balance { all_backups: true, ..balance }, &[0, 1, 1], second);
        let picks = all.picks(200);
        assert!(picks.contains('b') && (is_first || picks.contains('c')), "{picks}");
    }
}

#[test]
fn weights_may_change_between_turns() {
    let rig = Rig::new(Algorithm::RoundRobin, &[10, 10, 10]);
    rig.picks(17);
    rig.weigh(0, 20);
    rig.picks(23);
    rig.weigh(2, 0);
    rig.picks(5);
    rig.weigh(2, 10);
    rig.picks(2_000);
    let picks = rig.picks(4_000);
    for (name, share) in [('a', 2_000), ('b', 1_000), ('c', 1_000)] {
        assert!(count(&picks, name).abs_diff(share) <= 2, "{name}: {}", count(&picks, name));
    }
    // One that starts slowly has its share of what it has by then; one that leaves and comes back is no worse off.
    rig.servers[1].set_ramp(1, 10);
    rig.balancer.changed();
    rig.picks(2_000);
    let picks = rig.picks(2_500);
    assert!(count(&picks, 'b').abs_diff(100) <= 2, "{}", count(&picks, 'b'));
    // While it comes and goes nobody starves.
    for _ in 0..200 {
        rig.up(0, false);
        assert!(!rig.picks(3).contains('a'));
        rig.up(0, true);
        let picks = rig.picks(40);
        assert!(count(&picks, 'a') >= 20 && picks.contains('c'), "{picks}");
    }
}

#[test]
fn the_least_loaded_for_its_weight_is_taken() {
    let rig = Rig::new(Algorithm::LeastConn, &[1, 3]);
    for _ in 0..80 {
        let Pick::Server(index) = rig.pick_for(&Wish::default()) else { panic!("both are up") };
        rig.take(index);
    }
    assert_eq!(rig.servers.iter().map(|server| server.connections.get()).collect::<Vec<_>>(), [20, 60]);
    (0..60).for_each(|_| rig.release(1));
    assert_eq!(rig.picks(5), "bbbbb");
    rig.weigh(0, 0);
    rig.weigh(0, 256);
    (0..18).for_each(|_| rig.release(0));
    rig.take(1);
    assert_eq!(rig.picks(2), "aa");
}

#[test]
fn chance_follows_the_weights() {
    let picks = Rig::new(Algorithm::Random(1), &[1, 3]).picks(20_000);
    // The ring deals out hashes only roughly by weight.
    assert!((10_000..18_500).contains(&count(&picks, 'b')), "{}", count(&picks, 'b'));
}

#[test]
fn few_keys_move_when_a_server_goes_from_the_ring() {
    let hash = HashType { consistent: true, ..HashType::default() };
    let balance = Balance { algorithm: Algorithm::Hash(Key::Source), hash, ..Balance::default() };
    let rig = Rig::with(balance, &[2, 1, 3, 2], |_, _| {});
    let ask = |key: u32| rig.pick_for(&Wish { hash: Some(super::hash::avalanche(key)), ..Wish::default() });
    let before: Vec<Pick> = (0..2_000).map(ask).collect();
    rig.up(1, false);
    for (key, before) in (0..).zip(&before) {
        let now = ask(key);
        assert!(now != Pick::Server(1) && (now == *before || *before == Pick::Server(1)), "{key}");
    }
    rig.up(1, true);
    rig.weigh(2, 200);
    rig.weigh(2, 3);
    assert_eq!((0..2_000).map(ask).collect::<Vec<_>>(), before);
}

#[test]
fn no_server_carries_much_more_than_the_average() {
    let hash = HashType { consistent: true, ..HashType::default() };
    let balance =
        Balance { algorithm: Algorithm::Hash(Key::Source), hash, factor_percent: 125, ..Balance::default() };
    let rig = Rig::with(balance, &[1, 1, 1, 1], |_, _| {});
    for _ in 0..400 {
        let Pick::Server(index) = rig.pick_for(&Wish { hash: Some(7), ..Wish::default() }) else { panic!() };
        rig.take(index);
    }
    let loads: Vec<u32> = rig.servers.iter().map(|server| server.connections.get()).collect();
    assert!(loads.iter().all(|&load| load <= 126), "{loads:?}");
    assert_eq!(loads.iter().filter(|&&load| load >= 124).count(), 3, "{loads:?}");
}

#[test]
fn a_full_server_keeps_its_keys_or_leaves_them() {
    for (affinity, want) in [(Affinity::Always, 0), (Affinity::MaxQueue, 0), (Affinity::MaxConn, 1)] {
        for consistent in [false, true] {
            let hash = HashType { consistent, ..HashType::default() };
            let algorithm = Algorithm::Hash(Key::Source);
            let balance = Balance { algorithm, hash, affinity, ..Balance::default() };
            let rig = Rig::with(balance, &[1, 1], |_, server| server.maxconn = Some(1));
            let key = (0..100)
                .map(super::hash::avalanche)
                .find(|&hash| rig.pick_for(&Wish { hash: Some(hash), ..Wish::default() }) == Pick::Server(0));
            assert!(key.is_some());
            let wish = Wish { hash: key, ..Wish::default() };
            rig.take(0);
            assert_eq!(rig.pick_for(&wish), Pick::Server(want), "{affinity:?}");
        }
    }
}
