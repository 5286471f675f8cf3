//! How picking a server grows with their number: round robin, all up.

use std::fmt::Write;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use divan::Bencher;
use oneport::backend::{Asker, Backend, Course, Server, Wish};
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
    let (wish, course) = (Wish::default(), Course::default());
    let asker = Asker { deadline: &deadline, leaving: None, is_silent: false, course: &course };
    let mut context = Context::from_waker(Waker::noop());
    bencher.bench_local(|| match pin!(backend.slot(&asker, &wish)).poll(&mut context) {
        Poll::Ready(Ok(slot)) => slot.index(),
        Poll::Ready(Err(_)) | Poll::Pending => panic!("a server is up and has room"),
    });
}
