//! `rate-limit sessions`, `maxconnrate`, `maxsessrate`: connections accepted a second, beside HAProxy.

use crate::rig::DEFAULTS;
use crate::support::client::Client;
use crate::support::peers::Backend;
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Starter};
use crate::support::program::Program;
use std::time::{Duration, Instant};

/// How long it takes until so many new connections have their answer.
fn time_of(gateway: &Gateway, connections: usize) -> Duration {
    let started = Instant::now();
    let mut clients: Vec<Client> = (0..connections)
        .map(|_| {
            let mut client = gateway.client();
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            client
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    started.elapsed()
}

fn gateway(program: Program, backend: &Backend, global: &str, extra: &str) -> Gateway {
    let port = free_port();
    Starter::of(program).ready_port(port).start(&format!(
        "global\n    {global}\n{DEFAULTS}listen web\n    mode http\n    bind 127.0.0.1:{port}\n    {extra}\n    \
         server s1 127.0.0.1:{}\n",
        backend.port
    ))
}

#[test]
fn connections_beyond_the_rate_wait_in_the_queue() {
    let backend = Backend::web("a");
    for (global, extra) in [
        ("maxconn 1000", "rate-limit sessions 10"),
        ("maxconnrate 10", ""),
        ("maxsessrate 10", "rate-limit sessions 1000"),
    ] {
        for program in [Program::Oneport, Program::Haproxy] {
            let gateway = gateway(program, &backend, global, extra);
            let took = time_of(&gateway, 25);
            // Ten at once, the other fifteen in a second and a half; the start has used up one or two.
            assert!(took >= Duration::from_millis(1_300), "{program:?} {global} {extra}: {took:?}");
        }
    }
}

#[test]
fn a_reload_changes_the_rate() {
    let backend = Backend::web("a");
    let mut gateway = gateway(Program::Oneport, &backend, "maxconn 1000", "rate-limit sessions 2");
    let text = std::fs::read_to_string(gateway.config_path()).unwrap();
    gateway.rewrite_config(&text.replace("sessions 2", "sessions 0"));
    gateway.signal(crate::support::process::Signal::USR2);
    crate::support::eventually("there is no limit any more", || {
        time_of(&gateway, 10) < Duration::from_secs(2)
    });
    assert!(gateway.is_running());
}
