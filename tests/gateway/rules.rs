//! Rules for HTTP, their answers, and their log lines.

use crate::rig::http_gateway;
use crate::support::peers::{Backend, Request, ok};
use std::sync::{Arc, Mutex};

/// A kept-alive backend that remembers its requests.
fn remembering() -> (Backend, Arc<Mutex<Vec<Request>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let for_backend = requests.clone();
    let backend = Backend::answering(move |request| {
        for_backend.lock().unwrap().push(request.clone());
        ok("x")
    });
    (backend, requests)
}

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
    assert_eq!(client.answer().status, 500);
    assert!(requests.lock().unwrap().is_empty());
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

/// The client waits for a body where the server sends none, or the other way round: a second answer behind it would
/// be taken for that body.
#[test]
fn a_method_changed_from_or_to_head_ends_the_connection() {
    for (rule, sent) in [("GET if { method HEAD }", "HEAD"), ("HEAD if { method GET }", "GET")] {
        let (backend, requests) = remembering();
        let gateway = http_gateway(&backend, &format!("http-request set-method {rule}"));
        let mut client = gateway.client();
        let request = format!("{sent} / HTTP/1.1\r\nHost: h\r\n\r\n");
        client.send(format!("{request}{request}"));
        let head = client.read_head().unwrap();
        assert!(head.to_ascii_lowercase().contains("connection: close"), "{head}");
        let (rest, _) = client.read_to_end();
        assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1"), "a second answer");
        assert_eq!(requests.lock().unwrap().len(), 1);
    }
}

/// What a client has encoded into its query is no header of ours, and no second answer.
#[test]
fn a_line_end_in_a_redirect_or_an_answer_is_no_header() {
    let (backend, _) = remembering();
    let rules = "http-request redirect location /%[url_param(to),url_dec] if { path /r }\n    \
                 http-request return status 200 hdr X-To a%[url_param(to),url_dec]z";
    let gateway = http_gateway(&backend, rules);
    for (path, name, value) in [("/r", "location", "/x:Set-Cookie:a=1"), ("/a", "x-to", "ax:Set-Cookie:a=1z")]
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
