//! `option forwardfor`, `option http-server-close`, `option httpclose` and their `no` forms.

use crate::rig::{http_gateway, remembering};
use crate::support::peers::{Backend, Request};
use crate::support::socket::End;

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

#[track_caller]
fn request_as_forwarded(option: &str, fields: &str) -> Request {
    let (backend, requests) = remembering();
    let gateway = http_gateway(&backend, option);
    let mut client = gateway.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
    assert_eq!(client.answer().status, 200);
    let requests = requests.lock().unwrap();
    requests[0].clone()
}

#[test]
fn forwardfor_names_the_client() {
    let request = request_as_forwarded("option forwardfor", "");
    assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn forwardfor_adds_behind_what_the_client_sent() {
    let request = request_as_forwarded("option forwardfor", "X-Forwarded-For: 10.9.8.7\r\n");
    let joined = request.values("x-forwarded-for").join(", ");
    assert_eq!(joined, "10.9.8.7, 127.0.0.1");
}

#[test]
fn forwardfor_with_another_name() {
    let request = request_as_forwarded("option forwardfor header X-Client", "X-Forwarded-For: 1.2.3.4\r\n");
    assert_eq!(request.values("x-client"), ["127.0.0.1"]);
    assert_eq!(request.values("x-forwarded-for"), ["1.2.3.4"]);
}

#[test]
fn forwardfor_if_none() {
    let request = request_as_forwarded("option forwardfor if-none", "X-Forwarded-For: 10.9.8.7\r\n");
    assert_eq!(request.values("x-forwarded-for"), ["10.9.8.7"]);
    let request = request_as_forwarded("option forwardfor if-none", "");
    assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn without_forwardfor_nothing_is_added() {
    let request = request_as_forwarded("", "");
    assert!(request.values("x-forwarded-for").is_empty());
}

#[test]
fn every_request_of_a_connection_is_given_the_address() {
    let (backend, requests) = remembering();
    let gateway = http_gateway(&backend, "option forwardfor");
    let mut client = gateway.client();
    for _ in 0..3 {
        client.send(GET);
        client.answer();
    }
    let requests = requests.lock().unwrap();
    assert!(requests.iter().all(|request| request.values("x-forwarded-for") == ["127.0.0.1"]));
    assert_eq!(requests.len(), 3);
}

#[test]
fn http_server_close_keeps_the_client_and_closes_the_server() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "option http-server-close");
    let mut client = gateway.client();
    for _ in 0..3 {
        client.send(GET);
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(backend.accepts(), 3, "each request has a server connection of its own");
}

#[test]
fn httpclose_closes_both() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "option httpclose");
    for _ in 0..2 {
        let mut client = gateway.client();
        client.send(GET);
        let answer = client.answer();
        let connection = answer.header("connection").unwrap_or_default().to_ascii_lowercase();
        assert!(connection.contains("close"), "{}", answer.head);
        assert_eq!(client.read_to_end(), (Vec::new(), End::Closed));
    }
    assert_eq!(backend.accepts(), 2);
    assert!(
        String::from_utf8(backend.received(0)).unwrap().to_ascii_lowercase().contains("connection: close")
    );
}

#[test]
fn no_option_httpclose_takes_it_back() {
    let backend = Backend::web("a");
    let gateway = crate::support::process::Gateway::start(|port| {
        format!(
            "{}    option httpclose\nlisten web\n mode http\n bind 127.0.0.1:{port}\n no option httpclose\n\
             option http-keep-alive\n server s 127.0.0.1:{}\n",
            crate::rig::DEFAULTS,
            backend.port
        )
    });
    let mut client = gateway.client();
    for _ in 0..3 {
        client.send(GET);
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(backend.accepts(), 1);
}
