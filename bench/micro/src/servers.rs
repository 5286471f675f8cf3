//! How picking a server grows with their number: round robin, all up; and with that of the clients of a stick table.

use std::fmt::Write;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use divan::Bencher;
use oneport::backend::{Backend, Server, Table, Wish};
use oneport::config::{Source, load};
use oneport::reactor::{Deadline, Reactor};

/// Takes the right to use a server, and gives it back.
#[divan::bench(args = [1, 10, 200])]
fn pick_one_of(bencher: Bencher, count: usize) {
    let mut text = String::from(
        "backend all\n mode tcp\n balance roundrobin\n timeout connect 1s\n timeout server 1s\n",
    );
    for i in 0..count {
        let _ = writeln!(text, " server s{i} 127.0.0.1:{} weight {}", 20_000 + i, 1 + i % 7);
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
    let deadline = Deadline::new(reactor);
    let wish = Wish::default();
    let mut context = Context::from_waker(Waker::noop());
    bencher.bench_local(|| match pin!(backend.slot(&deadline, &wish)).poll(&mut context) {
        Poll::Ready(Ok(slot)) => slot.index(),
        Poll::Ready(Err(_)) | Poll::Pending => panic!("a server is up and has room"),
    });
}

/// A client that a table knows finds its server, one of 200, and is stored again.
#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn keep_one_of(bencher: Bencher, clients: u32) {
    let mut text =
        String::from("listen all\n bind :80\n stick-table type ip size 1m expire 1h\n stick on src\n");
    for i in 0..200 {
        let _ = writeln!(text, " server s{i} 127.0.0.1:{}", 20_000 + i);
    }
    let loaded = load(&[Source::new("stick.cfg", text)], &|_| None);
    let Some(config) = loaded.config else { panic!("{:?}", loaded.diagnostics) };
    let no_names = |_: &str, port: u16| Ok(vec![([127, 0, 0, 1], port).into()]);
    let server = |server: &oneport::config::Server| {
        Server::new(server.clone(), Server::targets(server, no_names).expect("an address"))
    };
    let servers: Vec<Server> = config.backends[0].servers.iter().map(server).collect();
    let table = Table::new(config.tables[0].clone());
    for client in 0..clients {
        table.store(&client.to_be_bytes(), &servers, client as usize % 200, 0);
    }
    let mut client = 0_u32;
    bencher.bench_local(|| {
        client = client.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let key = (client % clients).to_be_bytes();
        let (place, server) = table.find(&key, &servers, 1).expect("it is known");
        let server = server.expect("it is there");
        table.store_at(place, &servers, server, 1);
        server
    });
}
