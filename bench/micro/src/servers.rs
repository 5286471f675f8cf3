//! What picking a server costs: how it grows with their number, and by algorithm. All are up, with unequal weights.

use std::fmt::Write;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use divan::Bencher;
use oneport::backend::{Asker, Backend, Course, Server, Slot, Wish};
use oneport::config::{Source, load};
use oneport::reactor::{Deadline, Reactor};

/// Round robin.
#[divan::bench(args = [1, 10, 200])]
fn pick_one_of(bencher: Bencher, count: usize) {
    pick(bencher, count, "balance roundrobin", "", &[]);
}

/// One of 200 by each algorithm.
#[divan::bench(args = [
    "roundrobin",
    "static-rr",
    "leastconn",
    "first",
    "random",
    "source",
    "source, consistent",
    "source, consistent, bounded",
    "source, nothing to hash",
    "source, consistent, nothing to hash",
])]
fn pick_one_of_200_by(bencher: Bencher, algorithm: &str) {
    let (name, options) = algorithm.split_once(',').unwrap_or((algorithm, ""));
    let mut lines = format!("balance {name}\n");
    if options.contains("consistent") {
        lines.push_str(" hash-type consistent\n");
    }
    if options.contains("bounded") {
        lines.push_str(" hash-balance-factor 150\n");
    }
    let hashes: &[u32] = if options.contains("nothing") { &[] } else { &HASHES };
    pick(bencher, 200, &lines, "", hashes);
}

/// One of 200 of which 150 are full.
#[divan::bench(args = ["roundrobin", "static-rr", "leastconn", "first", "random"])]
fn pick_one_of_50_with_room_by(bencher: Bencher, algorithm: &str) {
    pick(bencher, 200, &format!("balance {algorithm}\n"), "maxconn 2", &[]);
}

/// Some hashes, far from each other.
const HASHES: [u32; 64] = {
    let mut all = [0u32; 64];
    let mut i = 0;
    while i < all.len() {
        all[i] = (i as u32).wrapping_mul(2_654_435_761);
        i += 1;
    }
    all
};

/// Takes the right to use a server, and gives it back.
fn pick(bencher: Bencher, count: usize, balance: &str, parameters: &str, hashes: &[u32]) {
    let mut text = format!("backend all\n mode tcp\n {balance}\n timeout connect 1s\n timeout server 1s\n");
    for i in 0..count {
        let _ = writeln!(text, " server s{i} 127.0.0.1:{} weight {} {parameters}", 20_000 + i, 1 + i % 7);
    }
    text.push_str("frontend f\n mode tcp\n bind :80\n timeout client 1s\n default_backend all\n");
    let loaded = load(&[Source::new("servers.cfg", text)], &|_| None);
    let Some(mut config) = loaded.config else { panic!("{:?}", loaded.diagnostics) };
    let config = config.backends.remove(0);
    let no_names = |_: &str, port: u16| Ok(vec![([127, 0, 0, 1], port).into()]);
    let server = |server: &oneport::config::Server| {
        Server::new(server.clone(), Server::targets(server, no_names).expect("an address"))
    };
    let servers: Vec<Server> = config.servers.iter().map(server).collect();
    assert_eq!(servers.len(), count);

    let reactor = Reactor::new().expect("an event loop");
    let backend = Backend::new(reactor, config, servers);
    let (deadline, course) = (Deadline::new(reactor), Course::default());
    let asker = Asker { deadline: &deadline, leaving: None, is_silent: false, course: &course };
    // Those that are to be full.
    let mut context = Context::from_waker(Waker::noop());
    let mut slot = |wish: Wish| match pin!(backend.slot(&asker, &wish)).poll(&mut context) {
        Poll::Ready(Ok(slot)) => slot,
        Poll::Ready(Err(_)) | Poll::Pending => panic!("a server is up and has room"),
    };
    // Those that are to be full.
    let full = if parameters.is_empty() { 0 } else { 150 };
    let _held: Vec<Slot> =
        (0..full).flat_map(|index| [slot(Wish::server(index)), slot(Wish::server(index))]).collect();
    let mut hashes = hashes.iter().copied().cycle();
    bencher.bench_local(|| slot(Wish { hash: hashes.next(), ..Wish::default() }).index());
}
