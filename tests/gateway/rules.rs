//! Rules for HTTP, their answers, and their log lines.

use crate::rig::{http_gateway, remembering};
use crate::support::peers::{Backend, ok};
use crate::support::program::only_oneport;

#[test]
fn a_header_of_a_rule_cannot_be_removed_by_the_clients_connection_field() {
    let (backend, requests) = remembering();
    let gateway = http_gateway(&backend, "http-request set-header X-Client-Ip %[src]");
    let mut client = gateway.client();
    client.send(
        "GET / HTTP/1.1\r\nHost: h\r\nX-Client-Ip: 6.6.6.6\r\nConnection: keep-alive, X-Client-Ip\r\n\r\n",
    );
    assert_eq!(client.answer().status, 200);
    assert_eq!(requests.lock().unwrap()[0].values("x-client-ip"), ["127.0.0.1"]);
}

#[test]
fn a_line_end_in_a_value_is_no_second_header() {
    let (backend, requests) = remembering();
    let gateway = http_gateway(&backend, "http-request set-header X-Path %[path,url_dec]");
    let mut client = gateway.client();
    client.send("GET /a%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert_eq!(requests.lock().unwrap()[0].values("x-path"), ["/a%0D%0AX-Evil: 1"]);
}

#[test]
fn what_does_not_fit_is_a_500() {
    let (backend, requests) = remembering();
    let gateway = http_gateway(&backend, "http-request set-header X-Copy %[path]%[path]%[path]%[path]");
    let mut client = gateway.client();
    client.send(format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(9_000)));
    assert_eq!(client.answer().status, 500);
    assert!(requests.lock().unwrap().is_empty());
}

#[test]
fn auth_asks_for_a_name() {
    let (backend, _) = remembering();
    let gateway =
        http_gateway(&backend, "http-request auth realm Here unless { hdr(authorization) -m found }");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"Here\""));
}

#[test]
fn tarpit_waits_and_then_says_no() {
    let (backend, requests) = remembering();
    let gateway = http_gateway(&backend, "timeout tarpit 300ms\n    http-request tarpit deny_status 429");
    let mut client = gateway.client();
    let begun = std::time::Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().status, 429);
    assert!(begun.elapsed().as_millis() >= 250);
    assert!(requests.lock().unwrap().is_empty());
}

/// The server's answer has a body, which the client does not wait for: it must not be taken for the next answer.
#[test]
fn a_method_changed_from_head_leaves_the_client_an_answer_to_head() {
    let (backend, requests) = remembering();
    let gateway = http_gateway(&backend, "http-request set-method GET");
    let mut client = gateway.client();
    client
        .send("HEAD /1 HTTP/1.1\r\nHost: h\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let heads = [client.read_head().unwrap(), client.read_head().unwrap()];
    assert!(heads.iter().all(|head| head.to_ascii_lowercase().contains("content-length: 1")), "{heads:?}");
    let (rest, _) = client.read_to_end();
    assert!(rest.is_empty(), "{rest:?}");
    assert_eq!(requests.lock().unwrap().len(), 2);
}

/// What a client has encoded into its query is no header of ours, and no second answer.
#[test]
fn a_line_end_in_a_redirect_or_an_answer_is_no_header() {
    let (backend, _) = remembering();
    let rules = "http-request redirect location /%[url_param(to),url_dec] if { path /r }\n    \
                 http-request return status 200 hdr X-To a%[url_param(to),url_dec]z";
    let gateway = http_gateway(&backend, rules);
    for (path, name, value) in
        [("/r", "location", "/x:%0D%0ASet-Cookie:a=1%00"), ("/a", "x-to", "ax:%0D%0ASet-Cookie:a=1%00z")]
    {
        let mut client = gateway.client();
        client.send(format!("GET {path}?to=x:%0d%0aSet-Cookie:a=1%00 HTTP/1.1\r\nHost: h\r\n\r\n"));
        let answer = client.answer();
        assert_eq!((answer.header(name), answer.header("set-cookie")), (Some(value), None), "{answer:?}");
    }
}

/// Nothing that says where a message ends, or whether the connection stays, is a rule's to change.
#[test]
fn rules_have_no_hold_on_framing() {
    let (backend, requests) = remembering();
    let rules = "http-request del-header content-length\n    http-request del-header .* -m reg\n    \
                 http-request set-path /b";
    let gateway = http_gateway(&backend, rules);
    let mut client = gateway.client();
    client.send(
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    assert_eq!((client.answer().status, client.answer().status), (200, 200));
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].values("content-length"), ["3"]);
}

#[test]
fn rules_of_haproxy_1_for_lines_of_heads_still_work() {
    let (backend, requests) = remembering();
    let rules = r"reqirep ^Host:\ (.*)$ Host:\ new.\1
    reqrep ^([^\ ]*)\ /old/([^\ ]*)(.*) \1\ /new/\2\3
    reqidel ^x-(secret|key):
    reqadd X-Added:\ yes if { path_beg /new }
    reqideny ^user-agent:.*worm
    reqiallow ^x-friend:
    reqdeny ^X-Foe:
    rspidel ^x-internal:
    rsprep ^Server:\ (.*) Server:\ not\ \1
    rspadd X-Seen:\ by\ oneport";
    let gateway = http_gateway(&backend, rules);
    let mut client = gateway.client();
    client.send("GET /old/a?b HTTP/1.1\r\nHost: h\r\nX-Secret: 1\r\nX-KEY: 2\r\nX-Other: 3\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("x-seen")), (200, Some("by oneport")));
    let request = requests.lock().unwrap().remove(0);
    assert_eq!(request.target, "/new/a?b");
    assert_eq!(request.values("host"), ["new.h"]);
    assert_eq!(request.values("x-added"), ["yes"]);
    assert_eq!(request.values("x-other"), ["3"]);
    assert!(request.values("x-secret").is_empty() && request.values("x-key").is_empty());
    let mut deny = |fields: &str| {
        client.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        client.answer().status
    };
    assert_eq!(deny("User-Agent: the worm\r\nX-Friend: no\r\n"), 403);
    assert_eq!(deny("X-Friend: yes\r\nX-Foe: yes\r\n"), 200);
    assert_eq!(deny("X-Foe: yes\r\n"), 403);
    assert_eq!(deny("x-foe: yes\r\n"), 200);
}

#[test]
fn auth_asks_in_the_proxys_name_where_no_realm_is_given() {
    let (backend, _) = remembering();
    let gateway = http_gateway(&backend, "http-request auth");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"web\""));
}

#[test]
fn a_silent_drop_of_an_answer_says_nothing() {
    if only_oneport("HAProxy does not even close the connection") {
        return;
    }
    let (backend, requests) = remembering();
    let gateway = http_gateway(&backend, "http-response silent-drop if { status 200 }");
    let mut client = gateway.client();
    client.send("GET /page HTTP/1.1\r\nHost: h\r\n\r\n");
    // On this machine the reset arrives: no router is in between that would drop it.
    let (bytes, end) = client.read_until_quiet(std::time::Duration::from_secs(5));
    assert!(bytes.is_empty());
    assert_ne!(end, crate::support::socket::End::Open);
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[test]
fn silent_drop_says_nothing_and_asks_nobody() {
    let (backend, requests) = remembering();
    let gateway = http_gateway(&backend, "http-request silent-drop if { path /drop }");
    let mut client = gateway.client();
    client.send("GET /drop HTTP/1.1\r\nHost: h\r\n\r\n");
    // On this machine the reset arrives: no router is in between that would drop it.
    let (bytes, end) = client.read_until_quiet(std::time::Duration::from_secs(5));
    assert!(bytes.is_empty());
    assert_ne!(end, crate::support::socket::End::Open);
    assert!(requests.lock().unwrap().is_empty());
}

#[test]
fn a_server_that_a_rule_prefers_is_waited_for() {
    let slow = Backend::answering(|_| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        ok("slow")
    });
    let (other, requests) = remembering();
    let gateway = http_gateway(
        &other,
        &format!(
            "use-server slow if {{ path /slow }}\nserver slow 127.0.0.1:{} maxconn 1 weight 0",
            slow.port
        ),
    );
    let mut clients = [gateway.client(), gateway.client(), gateway.client()];
    for (client, path) in clients.iter_mut().zip(["/slow", "/slow", "/other"]) {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    // Who wants another server does not stand in that one's queue.
    let [first, second, third] = &mut clients;
    assert_eq!(third.answer().body, b"x");
    assert_eq!(first.answer().body, b"slow");
    assert_eq!(second.answer().body, b"slow");
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[test]
fn a_listen_runs_its_rules_once_and_for_others_too() {
    let (backend, requests) = remembering();
    let gateway = crate::support::process::Gateway::start(|port| {
        format!(
            "{}frontend f\n mode http\n bind 127.0.0.1:{port}\n default_backend l\nlisten l\n mode http\n \
             bind 127.0.0.1:{}\n server s 127.0.0.1:{}\n http-request add-header X-N %[be_name]\n",
            crate::rig::DEFAULTS,
            crate::support::ports::free_port(),
            backend.port
        )
    });
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert_eq!(requests.lock().unwrap()[0].values("x-n"), ["l"]);
}

#[test]
fn a_body_that_fills_the_buffer_is_not_waited_for_any_longer() {
    let (backend, requests) = remembering();
    let gateway = http_gateway(
        &backend,
        "http-request wait-for-body time 60s\nhttp-request set-header X-Len %[req.body_len]",
    );
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    client.send("a".repeat(100_000));
    assert_eq!(client.answer().status, 200);
    let requests = requests.lock().unwrap();
    let seen: usize = requests[0].values("x-len")[0].parse().unwrap();
    assert!((10_000..20_000).contains(&seen), "{seen}");
    assert_eq!(requests[0].body.len(), 100_000);
}

#[test]
fn who_leaves_while_its_body_is_waited_for_is_no_request() {
    let (backend, requests) = remembering();
    let gateway = http_gateway(&backend, "option http-buffer-request");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    client.finish();
    let (bytes, end) = client.read_until_quiet(std::time::Duration::from_secs(5));
    assert!(bytes.is_empty());
    assert_ne!(end, crate::support::socket::End::Open);
    assert!(requests.lock().unwrap().is_empty());
}

/// An id that asks for itself, captures of captures, variables of themselves: each finds what was there before.
#[test]
fn rules_may_read_what_they_write() {
    let (backend, requests) = remembering();
    let rules = r#"declare capture request len 20
    declare capture response len 20
    unique-id-format "%[var(txn.a)]<%[capture.req.hdr(0)]%[unique-id]%ID>%[capture.req.uri]"
    unique-id-header X-Id
    log-format "%[unique-id] %ID %[capture.req.hdr(0)] %[var(txn.a)] %hr %hrl"
    log-format-sd "[x a=\"%[unique-id]\" b=\"%[capture.req.hdr(0)]\"]"
    error-log-format "%[unique-id] %ID %[capture.req.hdr(0)]"
    tcp-request content capture unique-id len 20
    tcp-request content set-var(sess.s) var(sess.s)
    http-request capture hdr(x) id 0
    http-request capture capture.req.hdr(0) len 20
    http-request set-var(txn.a) capture.req.hdr(0)
    http-request set-var(txn.a) var(txn.a),concat(-,txn.a,-)
    http-request set-var-fmt(txn.c) "%[unique-id]%[var(txn.a)]%[var(txn.c)]"
    http-request set-header X-A %[var(txn.a)]
    http-response capture capture.res.hdr(0) id 0
    http-response capture unique-id id 0"#;
    let gateway = http_gateway(&backend, rules);
    for _ in 0..2 {
        let mut client = gateway.client();
        client.send("GET /p HTTP/1.1\r\nHost: h\r\nX: hello\r\n\r\n".repeat(2));
        assert_eq!((client.answer().status, client.answer().status), (200, 200));
        gateway.client().send("garbage\r\n\r\n");
    }
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.values("x-a") == ["hello-hello-"]));
    for request in requests.iter() {
        assert_eq!(request.values("x-id"), ["<->"]);
    }
}
