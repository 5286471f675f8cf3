//! Connections to servers: where they come from, how long they are kept, where they go to when no address says it.
//! What the kernel's bookkeeping does not hide is compared with HAProxy.

use crate::privileges;
use crate::support::client::Client;
use crate::support::peers::{Backend, Peer};
use crate::support::ports::{free_port, free_port_range};
use crate::support::process::{Gateway, Starter};
use crate::support::program::{Program, only_oneport};
use crate::support::socket::End;
use crate::support::{eventually, ms};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};

const BOTH: [Program; 2] = [Program::Oneport, Program::Haproxy];

/// A server that answers each request of a connection with where that comes from, `address:port`.
fn mirror(address: &str) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, from)) = listener.accept() {
            std::thread::spawn(move || {
                let from = from.to_string();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{from}", from.len());
                let mut head = Vec::new();
                let mut byte = [0];
                while std::io::Read::read_exact(&mut &stream, &mut byte).is_ok() {
                    head.push(byte[0]);
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        if (&stream).write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

/// A `listen` section of this mode with these lines.
fn gateway(program: Program, mode: &str, lines: &str) -> Gateway {
    let port = free_port();
    let config = format!(
        "global\n    nbthread 1\n{}listen l\n    mode {mode}\n    bind 127.0.0.1:{port}\n    {lines}\n",
        crate::rig::DEFAULTS
    );
    Starter::of(program).ready_port(port).start(&config)
}

fn ask(client: &mut Client, fields: &str) -> (u16, String) {
    client.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
    let answer = client.answer();
    (answer.status, answer.text())
}

/// Where the server sees a request with these fields come from, without the port; else the status.
fn seen(gateway: &Gateway, fields: &str) -> String {
    match ask(&mut gateway.client(), fields) {
        (200, from) => from.rsplit_once(':').unwrap().0.to_owned(),
        (status, _) => status.to_string(),
    }
}

#[test]
fn servers_see_the_source() {
    if privileges::left_out() {
        return;
    }
    let server = format!("server s {}", mirror("127.0.0.1:0"));
    for program in BOTH {
        for (lines, fields, expected) in [
            ("source 127.0.0.5\n    @", "", "127.0.0.5"),
            ("source 127.0.0.5\n    @ source 127.0.0.6", "", "127.0.0.6"),
            ("default-server source 127.0.0.7 interface lo\n    @", "", "127.0.0.7"),
            ("source 192.0.2.1\n    @", "", "503"),
            ("source 127.0.0.5 usesrc 127.0.0.8\n    @", "", "127.0.0.8"),
            ("source 127.0.0.5 usesrc clientip\n    @", "", "127.0.0.1"),
            ("source * usesrc hdr_ip(x-ip)\n    @", "X-Ip: 127.0.0.3, 127.0.0.4\r\n", "127.0.0.4"),
            ("source * usesrc hdr_ip(x-ip,1)\n    @", "X-Ip: 127.0.0.3, 127.0.0.4\r\n", "127.0.0.3"),
            (
                "@ source 127.0.0.5 usesrc hdr_ip(x-ip,-2)",
                "X-Ip: 127.0.0.3\r\nX-Ip: 127.0.0.4\r\n",
                "127.0.0.3",
            ),
            ("source 127.0.0.5 usesrc hdr_ip(x-ip)\n    @", "", "500"),
            ("source 127.0.0.5 usesrc hdr_ip(x-ip)\n    @", "X-Ip: none\r\n", "127.0.0.5"),
        ] {
            let gateway = gateway(program, "http", &lines.replace('@', &server));
            assert_eq!(seen(&gateway, fields), expected, "{program:?} {lines} {fields}");
        }
    }
}

#[test]
fn checks_come_from_the_source() {
    for program in BOTH {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = listener.local_addr().unwrap();
        // One that only connects is reset before the listener sees it.
        let lines = format!(
            "option tcp-check\n    tcp-check send x\n    server s {server} source 127.0.0.5 check inter 200ms"
        );
        let _gateway = gateway(program, "tcp", &lines);
        let mut seen = Vec::new();
        eventually("two checks", || {
            seen.extend(listener.accept().ok().map(|(_, from)| from.ip().to_string()));
            seen.len() == 2
        });
        assert_eq!(seen, ["127.0.0.5"; 2], "{program:?}");
    }
}

#[test]
fn a_client_that_comes_by_its_own_address_has_a_connection_of_its_own() {
    if privileges::left_out() {
        return;
    }
    let server = mirror("127.0.0.1:0");
    for program in BOTH {
        let lines =
            format!("http-reuse always\n    source * usesrc clientip\n    server s {server} pool-low-conn 9");
        let gateway = gateway(program, "http", &lines);
        let mut clients = ["127.0.0.2", "127.0.0.3"].map(|source| Client::from_source(source, gateway.port));
        let first = clients.each_mut().map(|client| ask(client, "").1);
        assert!(first[0].starts_with("127.0.0.2:") && first[1].starts_with("127.0.0.3:"), "{first:?}");
        assert_eq!(clients.each_mut().map(|client| ask(client, "").1), first, "{program:?}");
    }
}

/// Also that `usesrc client` takes the port: the client is on the machine itself, and has it already.
#[test]
fn a_source_that_cannot_be_had_is_said() {
    if privileges::left_out() {
        return;
    }
    let server = mirror("127.0.0.1:0");
    for program in BOTH {
        for (source, message) in [
            ("192.0.2.1", "Cannot bind to source address before connect() for backend l."),
            ("* usesrc client", "Cannot bind to tproxy source address before connect() for backend l."),
        ] {
            let gateway = gateway(program, "http", &format!("source {source}\n    server s {server}"));
            assert_eq!(seen(&gateway, ""), "503", "{program:?}");
            gateway.wait_stderr(message);
        }
    }
}

#[test]
fn without_the_right_to_it_nobody_comes_by_anothers_address() {
    if privileges::left_out() || only_oneport("HAProxy does not say why") {
        return;
    }
    let (server, port) = (mirror("127.0.0.1:0"), free_port());
    let rest = format!(
        "{}listen l\n    mode http\n    bind 127.0.0.1:{port}\n    source * usesrc clientip\n    server s {server}\n",
        crate::rig::DEFAULTS
    );
    let gateway = privileges::started(port, "    user nobody\n", &rest);
    assert_eq!(seen(&gateway, ""), "503");
    gateway.wait_stderr("it needs CAP_NET_ADMIN or CAP_NET_RAW");
}

/// Without the interface there is no connection at all; HAProxy goes another way.
#[test]
fn an_interface_that_is_not_there_is_said() {
    let server = mirror("127.0.0.1:0");
    let lines = format!("source * interface nosuchif0\n    server s {server}");
    let gateway = gateway(Program::Oneport, "http", &lines);
    assert_eq!(seen(&gateway, ""), "503");
    gateway.wait_stderr("Cannot bind to the interface before connect() for backend l.");
}

#[test]
fn a_range_of_ports_is_used_up_and_comes_back() {
    for program in BOTH {
        let first = free_port_range(3);
        let server = mirror("127.0.0.1:0");
        let lines = format!("server s {server} source 127.0.0.2:{first}-{}", first + 2);
        let gateway = gateway(program, "tcp", &lines);
        let mut clients: Vec<Client> = (0..3).map(|_| gateway.client()).collect();
        let mut ports: Vec<String> = clients.iter_mut().map(|client| ask(client, "").1).collect();
        ports.sort();
        let all: Vec<String> = (first..first + 3).map(|port| format!("127.0.0.2:{port}")).collect();
        assert_eq!(ports, all, "{program:?}");
        let mut one_more = gateway.client();
        one_more.send("GET / HTTP/1.1\r\n\r\n");
        assert!(one_more.read_to_end().0.is_empty());
        gateway.wait_stderr("Cannot bind to source address before connect() for backend l.");
        drop(clients.remove(1));
        eventually("the port is free again", || {
            let mut client = gateway.client();
            client.send("GET / HTTP/1.1\r\n\r\n");
            !client.read_until_quiet(ms(100)).0.is_empty()
        });
    }
}

/// As `tests/gateway/http_reuse.rs` has it: a server that answers with the number of its connection.
fn counting() -> Backend {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Backend::start(move |peer: &mut Peer| {
        let body = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst).to_string();
        while peer.read_request().is_some() {
            peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    })
}

#[test]
fn a_pool_that_keeps_none() {
    for program in BOTH {
        for words in ["pool-max-conn 0", "pool-purge-delay 0"] {
            let backend = counting();
            let lines =
                format!("http-reuse always\n    server s 127.0.0.1:{} {words} pool-low-conn 9", backend.port);
            let gateway = gateway(program, "http", &lines);
            let mut client = gateway.client();
            let found = [0; 3].map(|_| ask(&mut client, "").1);
            assert_eq!(found, ["0", "1", "2"], "{program:?} {words}");
            eventually("nothing is kept", || backend.open() == 0);
        }
    }
}

#[test]
fn a_pool_keeps_so_many_and_the_newest_is_taken() {
    if only_oneport("HAProxy takes idle connections by other rules of its own") {
        return;
    }
    let backend = counting();
    let lines = format!(
        "http-reuse always\n    server s 127.0.0.1:{} pool-max-conn 2 pool-purge-delay 1h",
        backend.port
    );
    let gateway = gateway(Program::Oneport, "http", &lines);
    let mut clients: Vec<Client> = (0..4).map(|_| gateway.client()).collect();
    // Four at once: each request is begun before the first one is whole.
    for client in &mut clients {
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n12");
    }
    eventually("four connections", || backend.open() == 4);
    let mut used = Vec::new();
    for client in &mut clients {
        client.send("3");
        used.push(client.answer().text());
    }
    eventually("two are kept", || backend.open() == 2);
    // The first two to end were kept; of these the second was used last.
    assert_eq!(ask(&mut gateway.client(), "").1, used[1]);
}

#[test]
fn a_connection_is_used_again_as_often_as_max_reuse_says() {
    if only_oneport("HAProxy 2.6 does so for HTTP/2 only") {
        return;
    }
    for (lines, expected) in [
        ("max-reuse 0", "01234"),
        ("max-reuse 1", "00112"),
        ("max-reuse 2", "00011"),
        ("max-reuse -1", "00000"),
    ] {
        for reuse in ["always", "never"] {
            let backend = counting();
            let lines = format!("http-reuse {reuse}\n    server s 127.0.0.1:{} {lines}", backend.port);
            let gateway = gateway(Program::Oneport, "http", &lines);
            let mut client = gateway.client();
            let found: String = (0..5).map(|_| ask(&mut client, "").1).collect();
            assert_eq!(found, expected, "{lines}");
        }
    }
}

#[test]
fn idle_connections_are_closed_after_the_purge_delay() {
    let backend = counting();
    let lines = format!("http-reuse always\n    server s 127.0.0.1:{} pool-purge-delay 300ms", backend.port);
    let gateway = gateway(Program::Oneport, "http", &lines);
    let mut client = gateway.client();
    assert_eq!([ask(&mut client, "").1, ask(&mut client, "").1], ["0", "0"]);
    eventually("the pool lets it go", || backend.open() == 0);
    assert_eq!(ask(&mut client, "").1, "1");
}

#[test]
fn idle_connections_hold_no_buffer() {
    const COUNT: u64 = 200;
    let backend = counting();
    let port = free_port();
    let config = format!(
        "global\n    tune.bufsize 65535\n{}listen l\n    mode http\n    bind 127.0.0.1:{port}\n    http-reuse always\n    \
         server s 127.0.0.1:{} pool-purge-delay 1h\n",
        crate::rig::DEFAULTS,
        backend.port
    );
    let gateway = Starter::of(Program::Oneport).ready_port(port).start(&config);
    assert_eq!(ask(&mut gateway.client(), "").0, 200);
    let before = gateway.anonymous_kib();
    let mut clients: Vec<Client> = (0..COUNT).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n1");
    }
    eventually("all have a server connection", || backend.open() as u64 >= COUNT);
    for client in &mut clients {
        client.send("2");
        assert_eq!(client.answer().status, 200);
    }
    drop(clients);
    eventually("the clients are gone", || gateway.descriptors() as u64 <= COUNT + 40);
    assert!(backend.open() as u64 >= COUNT);
    let each = gateway.anonymous_kib().saturating_sub(before) / COUNT;
    // Spare buffers included; one of 64 KiB each would be 64.
    assert!(each < 32, "{each} KiB for each idle connection");
}

#[test]
fn nolinger_resets_connections_to_servers() {
    for (option, end) in [("option nolinger", End::Reset), ("no option nolinger", End::Closed)] {
        let backend = counting();
        let lines = format!("{option}\n    option httpclose\n    server s 127.0.0.1:{}", backend.port);
        let gateway = gateway(Program::Oneport, "http", &lines);
        let mut client = gateway.client();
        assert_eq!(ask(&mut client, "").1, "0");
        // The client's side ends in the usual way.
        assert_eq!(client.read_to_end().1, End::Closed, "{option}");
        assert_eq!(backend.wait_end(0), end, "{option}");
    }
}

/// The name is that of the server which gets the request, after all retries.
#[test]
fn a_request_that_goes_to_another_server_tells_its_name() {
    for program in BOTH {
        // One that refuses, one that takes requests and says nothing, one that answers.
        let closes = Backend::start(|peer: &mut Peer| drop(peer.read_request()));
        let (web, requests) = crate::rig::remembering();
        let lines = format!(
            "http-send-name-header X-Name\n    option redispatch 1\n    retries 3\n    \
             retry-on conn-failure empty-response\n    server refuses 127.0.0.1:{}\n    \
             server closes 127.0.0.1:{}\n    server the-third 127.0.0.1:{}",
            free_port(),
            closes.port,
            web.port
        );
        let gateway = gateway(program, "http", &lines);
        assert_eq!(ask(&mut gateway.client(), "X-Name: mine\r\n").0, 200, "{program:?}");
        assert_eq!(requests.lock().unwrap()[0].values("x-name"), ["the-third"], "{program:?}");
        let heard = String::from_utf8(closes.received(0)).unwrap().to_lowercase();
        assert!(heard.contains("x-name: closes\r\n") && heard.matches("x-name").count() == 1, "{heard}");
    }
}

/// The server is at the address that the client came to, whichever of this machine's it is.
#[test]
fn a_server_without_an_address_is_where_the_client_came_to() {
    for program in BOTH {
        let second = TcpListener::bind("127.0.0.6:0").unwrap().local_addr().unwrap().port();
        let servers = [mirror(&format!("127.0.0.5:{second}")), mirror(&format!("127.0.0.6:{second}"))];
        assert_ne!(servers[0], servers[1]);
        let port = free_port();
        let config = format!(
            "{}listen l\n    mode http\n    bind *:{port}\n    server s *:{second} source 127.0.0.9\n",
            crate::rig::DEFAULTS
        );
        let _gateway = Starter::of(program).ready_port(port).start(&config);
        for (host, status) in [("127.0.0.5", 200), ("127.0.0.6", 200), ("127.0.0.7", 503)] {
            let mut client = Client::to_address((host, port));
            assert_eq!(ask(&mut client, "").0, status, "{program:?} {host}");
        }
    }
}

#[test]
fn who_came_to_the_gateway_itself_is_not_sent_back_to_it() {
    if only_oneport("HAProxy connects to itself until its connections are used up") {
        return;
    }
    let gateway = gateway(Program::Oneport, "http", "option transparent");
    assert_eq!(seen(&gateway, ""), "503");
    gateway.wait_stderr("one came to the gateway itself");
}

#[test]
fn a_template_gives_each_server_an_address_of_the_name() {
    if only_oneport("HAProxy without a `resolvers` section gives all of them the same") {
        return;
    }
    // 127.0.0.1, and on most machines ::1.
    let server = mirror("127.0.0.1:0");
    let lines = format!("server-template w 1-3 localhost:{}", server.port());
    let gateway = gateway(Program::Oneport, "http", &lines);
    assert_eq!(seen(&gateway, ""), "127.0.0.1");
}
