//! What a stick table costs for a client that it knows.

use std::fmt::Write;

use divan::Bencher;
use oneport::backend::{Server, Table};
use oneport::config::{Source, load};

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
