//! The three backends over real sockets, without a gateway: the page's raw trip goes straight to its backend.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use super::*;

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Sends `bytes`, ends our side, returns all that comes back.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn get(address: SocketAddr, target: &str) -> String {
    exchange(address, format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
}

#[test]
fn raw_echo_greets_and_echoes_to_the_end() {
    let backends = start().unwrap();
    let text = "hello\n".repeat(20_000);
    let mut stream = connect(backends.socket);
    let mut reader = stream.try_clone().unwrap();
    let sent = text.clone();
    let writer = std::thread::spawn(move || {
        for byte in raw::PREAMBLE {
            stream.write_all(&[byte]).unwrap();
        }
        stream.write_all(sent.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    });
    let mut answer = String::new();
    reader.read_to_string(&mut answer).unwrap();
    writer.join().unwrap();
    let greeting = format!("oneport raw socket backend {}: preamble ok, echo follows\n", backends.socket);
    assert!(answer == greeting + &text);
}

#[test]
fn raw_echo_names_what_is_wrong_with_a_preamble() {
    let address = start().unwrap().socket;
    let wrong = exchange(address, b"\0\0\0\0\0\0G\0 and what follows");
    assert!(wrong.ends_with("expected 8 zero bytes, byte 7 is 0x47\n"), "{wrong}");
    let short = exchange(address, b"\0\0\0");
    assert!(short.ends_with("expected 8 zero bytes, the input ended after 3\n"), "{short}");
}

#[test]
fn web_keeps_a_connection_and_counts_its_requests() {
    let backends = start().unwrap();
    let one = "GET /api/whoami HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\nX-Odd: \"<é\r\n\r\n";
    let answers = exchange(backends.web, one.repeat(3).as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{answers}");
    assert!(answers.contains(r#""request":3,"forwarded_for":"192.0.2.7""#), "{answers}");
    assert!(answers.contains(r#"["X-Odd","\"\u003cé"]"#), "{answers}");
    assert!(answers.contains(&format!(r#""address":"{}""#, backends.web)), "{answers}");
}

#[test]
fn web_serves_the_page_and_knows_its_methods() {
    let web = start().unwrap().web;
    let page = get(web, "/");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("<!doctype html>"));
    assert!(get(web, "/api/time").contains("\"unix_ms\":"));
    assert!(get(web, "/nowhere").starts_with("HTTP/1.1 404 "));
    let wrong = exchange(web, b"DELETE /api/echo HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(wrong.starts_with("HTTP/1.1 405 ") && wrong.contains("\r\nAllow: POST\r\n"), "{wrong}");
    let head = exchange(web, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.ends_with("\r\n\r\n") && !head.contains("Content-Length: 0"), "{head}");
}

#[test]
fn web_echoes_bodies_of_both_framings() {
    let web = start().unwrap().web;
    let requests = "POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst\
        POST /api/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
        3;x=y\r\nsec\r\n3\r\nond\r\n0\r\nTrailer: t\r\n\r\n\
        POST /api/echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nthird";
    let answers = exchange(web, requests.as_bytes());
    for body in ["\r\n\r\nfirstHTTP/1.1 200", "\r\n\r\nsecondHTTP/1.1 100 Continue\r\n\r\n", "\r\n\r\nthird"]
    {
        assert!(answers.contains(body), "{answers}");
    }
}

#[test]
fn web_streams_in_chunks_and_without_them() {
    let web = start().unwrap().web;
    let chunked = get(web, "/api/stream");
    assert!(chunked.contains("Transfer-Encoding: chunked\r\n") && chunked.ends_with("\r\n0\r\n\r\n"));
    assert_eq!(chunked.matches("piece ").count(), 5);
    let plain = exchange(web, b"GET /api/stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(!plain.contains("chunked") && plain.contains("Connection: close\r\n"), "{plain}");
    assert_eq!(plain.matches("piece ").count(), 5);
}

#[test]
fn web_refuses_what_it_cannot_frame() {
    let web = start().unwrap().web;
    let cases = [
        ("POST /api/echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"),
        ("POST /api/echo HTTP/1.1\r\nContent-Length: +1\r\n\r\na", "400"),
        (
            "POST /api/echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        ("POST /api/echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("POST /api/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"),
        ("POST /api/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", "413"),
        ("POST /api/echo HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", "413"),
        ("GET / HTTP/3.0\r\n\r\n", "505"),
        ("\0\0\0\0\0\0\0\0\r\n\r\n", "400"),
    ];
    for (request, status) in cases {
        let answer = exchange(web, request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    }
    let huge = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert!(exchange(web, huge.as_bytes()).starts_with("HTTP/1.1 431 "));
}

#[test]
fn web_makes_the_raw_trip_once_it_knows_where() {
    let backends = start().unwrap();
    assert!(get(backends.web, "/api/socket").starts_with("HTTP/1.1 503 "));
    backends.set_gateway(&backends.socket.to_string());
    let answer = get(backends.web, "/api/socket?text=a%20b%0A%C3%A9+c");
    assert!(answer.contains(r#""ok":true"#) && answer.contains(r#""echo":"a b\né c""#), "{answer}");
    backends.set_gateway(&backends.web.to_string());
    assert!(get(backends.web, "/api/socket").contains(r#""ok":false"#));
}

#[test]
fn websocket_introduces_itself_and_echoes() {
    let backends = start().unwrap();
    let url = format!("ws://{}/ws", backends.ws);
    let (mut socket, _) = tungstenite::client(url.as_str(), connect(backends.ws)).unwrap();
    let hello = socket.read().unwrap().into_text().unwrap();
    assert!(hello.len() < 126 && hello.contains(&backends.ws.to_string()), "{hello}");

    let big = Message::binary(vec![0xa5; 1024 * 1024]);
    for message in [Message::text("héllo"), Message::text(""), big] {
        socket.send(message.clone()).unwrap();
        assert!(socket.read().unwrap() == message);
    }
    socket.send(Message::Ping(b"are you there"[..].into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(b"are you there"[..].into()));

    let frame = tungstenite::protocol::CloseFrame { code: CloseCode::Library(4001), reason: "done".into() };
    socket.close(Some(frame.clone())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Close(Some(frame)));
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
}

#[test]
fn websocket_says_why_it_closes() {
    let ws = start().unwrap().ws;
    let (mut socket, _) = tungstenite::client(format!("ws://{ws}/"), connect(ws)).unwrap();
    socket.read().unwrap();
    // The server may close while we still write, so the result of the sending does not matter.
    let _ = socket.send(Message::binary(vec![0; 5 * 1024 * 1024]));
    match socket.read() {
        Ok(Message::Close(Some(frame))) => assert_eq!(frame.code, CloseCode::Size),
        other => panic!("{other:?}"),
    }
    assert!(get(ws, "/").starts_with("HTTP/1.1 400 "));
}

#[test]
fn too_many_connections_are_answered() {
    let backends = start().unwrap();
    let mut held: Vec<TcpStream> = (0..64).map(|_| connect(backends.web)).collect();
    // Each of them was served once, so all 64 places are taken.
    for stream in &mut held {
        stream.write_all(b"HEAD / HTTP/1.1\r\n\r\n").unwrap();
        assert_ne!(stream.read(&mut [0; 1024]).unwrap(), 0);
    }
    let mut answer = String::new();
    connect(backends.web).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(held);
}

#[test]
fn banner_names_the_url_and_every_protocol() {
    let backends = start().unwrap();
    let text = banner("*:8080", &backends);
    for part in [
        "  http://127.0.0.1:8080/\n",
        "curl -i http://127.0.0.1:8080/api/whoami\n",
        "-H 'Upgrade: websocket'",
        r"printf '\0\0\0\0\0\0\0\0hello\n' | nc -w 1 127.0.0.1 8080",
        &backends.socket.to_string(),
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert!(banner("[::]:8080", &backends).contains("  http://[::1]:8080/\n"));
    assert!(banner("unix@/run/x.sock", &backends).contains("no URL"));
}

#[test]
fn dates() {
    assert_eq!(text::http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(text::http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(text::http_date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
    assert_eq!(text::http_date(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
    assert_eq!(text::http_date(253_402_300_799), "Fri, 31 Dec 9999 23:59:59 GMT");
}
