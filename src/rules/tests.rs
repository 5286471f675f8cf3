//! Rules over byte streams cut in every way.

use super::{verdict as verdict_of, *};
use crate::config::{Config, Source, load, preset};
use crate::http::parse_request;

fn config(text: &str) -> Config {
    let loaded = load(&[Source::new("t", text)], &|_| None);
    loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn preset_config() -> Config {
    config(&preset("*:80", "127.0.0.1:8100", "127.0.0.1:2200", "127.0.0.1:2100"))
}

const WEB: Choice = Choice::Backend(BackendId(0));
const WS: Choice = Choice::Backend(BackendId(1));
const SOCKET: Choice = Choice::Backend(BackendId(2));

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const UPGRADE: &[u8] =
    b"GET /s HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, WebSocket\r\nConnection: Upgrade\r\n\r\n";

/// What a frontend with one `use_backend` of this condition says.
fn verdict(condition: &str, bytes: &[u8], is_final: bool) -> Verdict {
    let config = config(&format!(
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n bind :1\n \
         use_backend b {condition}\nbackend b\n"
    ));
    let frontend = &config.frontends[0];
    let condition = frontend.use_backends[0].condition.as_ref().unwrap();
    evaluate(condition, &frontend.acls, &View::new(bytes, is_final))
}

#[test]
fn three_values() {
    use Verdict::{No, NotYet, Yes};
    for (a, b, and, or) in [
        (Yes, Yes, Yes, Yes),
        (Yes, No, No, Yes),
        (No, No, No, No),
        (Yes, NotYet, NotYet, Yes),
        (No, NotYet, No, NotYet),
        (NotYet, NotYet, NotYet, NotYet),
    ] {
        assert_eq!((a.and(b), b.and(a), a.or(b), b.or(a)), (and, and, or, or));
    }
}

#[test]
fn every_protocol_finds_its_backend_in_any_segmentation() {
    let config = preset_config();
    let frontend = &config.frontends[0];
    for (bytes, want, decided_at) in [
        (GET, WEB, GET.len()),
        (UPGRADE, WS, UPGRADE.len()),
        (&b"\0\0\0\0\0\0\0\0hello"[..], SOCKET, 8),
        (b"\0\0\0\0\0\0\0x", WEB, 8),
        (b"\x16\x03\x01\x02\0\x01", WEB, 1),
        (b"SSH-2.0-OpenSSH_9.2\r\n", WEB, 4),
        (b"\x01", WEB, 1),
    ] {
        for end in 0..=bytes.len() {
            let choice = choose_backend(frontend, &View::new(&bytes[..end], false));
            let wanted = if end < decided_at { Choice::NotYet } else { want };
            assert_eq!(choice, wanted, "{} of {:?}", end, bytes.escape_ascii().to_string());
        }
    }
}

#[test]
fn what_never_becomes_clear_goes_to_the_default() {
    let config = preset_config();
    let frontend = &config.frontends[0];
    for bytes in [&b""[..], b"\0\0\0", b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n"] {
        assert_eq!(choose_backend(frontend, &View::new(bytes, false)), Choice::NotYet);
        assert_eq!(choose_backend(frontend, &View::new(bytes, true)), WEB);
        assert_eq!(content_verdict(frontend, &View::new(bytes, true)), ContentVerdict::Accept);
    }
    assert_eq!(content_verdict(frontend, &View::new(b"GET /", false)), ContentVerdict::NotYet);
    assert_eq!(content_verdict(frontend, &View::new(b"\0", false)), ContentVerdict::Accept);
}

#[test]
fn a_parsed_head_decides_at_once() {
    let config = preset_config();
    let frontend = &config.frontends[0];
    let head = parse_request(UPGRADE).unwrap().unwrap();
    let view = View::with_head(UPGRADE, &head);
    assert!(view.is_final() && view.head().is_some());
    assert_eq!(choose_backend(frontend, &view), WS);
    let head = parse_request(GET).unwrap().unwrap();
    assert_eq!(choose_backend(frontend, &View::with_head(GET, &head)), WEB);
}

#[test]
fn content_rules_stop_at_the_first_undecided() {
    let config = config(
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n bind :1\n \
         tcp-request inspect-delay 1s\n tcp-request content reject if { payload(0,2) -m bin 0101 }\n \
         tcp-request content accept if HTTP\n tcp-request content reject\n default_backend b\nbackend b\n",
    );
    let frontend = &config.frontends[0];
    let verdict = |bytes: &[u8], is_final| content_verdict(frontend, &View::new(bytes, is_final));
    assert_eq!(verdict(b"\x01", false), ContentVerdict::NotYet);
    assert_eq!(verdict(b"\x01\x01", false), ContentVerdict::Reject);
    assert_eq!(verdict(b"\x01\x02", false), ContentVerdict::Reject);
    assert_eq!(verdict(GET, false), ContentVerdict::Accept);
    assert_eq!(verdict(b"GE", true), ContentVerdict::Reject);
}

#[test]
fn no_rule_and_no_default_is_no_choice() {
    let mut config = preset_config();
    config.frontends[0].default_backend = None;
    assert_eq!(choose_backend(&config.frontends[0], &View::new(GET, false)), Choice::None);
}

#[test]
fn conditions_on_headers() {
    let head = b"GET / HTTP/1.1\r\nHost: WWW.Example.org:80\r\nX: one, two\r\nx: three\r\n\r\n";
    for (condition, want) in [
        ("if { hdr(host) -i www.example.org:80 }", Verdict::Yes),
        ("if { hdr(host) www.example.org:80 }", Verdict::No),
        ("if { hdr_dom(host) -i example.org }", Verdict::Yes),
        ("if { hdr_beg(host) -i www. }", Verdict::Yes),
        ("if { hdr(x) two }", Verdict::Yes),
        ("if { hdr(x,1) two }", Verdict::No),
        ("if { hdr(x,2) two }", Verdict::Yes),
        ("if { hdr(x,-1) three }", Verdict::Yes),
        ("if { hdr(x,-3) one }", Verdict::Yes),
        ("if { hdr(x,-4) one }", Verdict::No),
        ("if { hdr(x,4) one }", Verdict::No),
        ("if { hdr(y) -m found }", Verdict::No),
        ("unless { hdr(y) -m found }", Verdict::Yes),
        ("if HTTP !{ hdr(x) four } || FALSE", Verdict::Yes),
    ] {
        assert_eq!(verdict(condition, head, false), want, "{condition}");
        if !condition.starts_with("unless") {
            assert_eq!(verdict(condition, b"GET / HT", false), Verdict::NotYet, "{condition}");
        }
    }
    assert_eq!(verdict("if { hdr(x) a }", b"\0", false), Verdict::No);
    assert_eq!(verdict("if { hdr(x) a }", b"GET", true), Verdict::No);
}

#[test]
fn conditions_on_payload() {
    use Verdict::{No, NotYet, Yes};
    for (condition, bytes, open, last) in [
        ("if { payload(0,4) 00000000 }", &b"\0\0"[..], NotYet, No),
        ("if !{ payload(0,4) 00000000 }", b"\0\x01", Yes, Yes),
        ("if { payload(2,2) -m str ab }", b"xxa", NotYet, No),
        ("if { payload(2,2) -m str -i AB }", b"xxab", Yes, Yes),
        ("if { payload(0,0) -m beg ab }", b"a", NotYet, No),
        ("if { payload(0,0) -m beg ab }", b"abc", Yes, Yes),
        ("if { payload(0,0) -m beg ab }", b"b", No, No),
        ("if { payload(0,0) -m str ab }", b"ab", NotYet, Yes),
        ("if { payload(0,0) -m str ab }", b"abc", No, No),
        ("if { payload(0,0) -m sub b }", b"a", NotYet, No),
        ("if { payload(0,0) -m sub b }", b"ab", Yes, Yes),
        ("if { payload(0,0) -m end b }", b"ab", NotYet, Yes),
        ("if { payload(1,0) -m found }", b"a", NotYet, No),
        ("if { payload(1,0) -m found }", b"ab", Yes, Yes),
        ("if { payload(9,2) -m found }", b"ab", NotYet, No),
    ] {
        assert_eq!(verdict(condition, bytes, false), open, "{condition}");
        assert_eq!(verdict(condition, bytes, true), last, "{condition}, final");
    }
}

#[test]
fn an_answer_is_another_message_than_the_request() {
    let config = config(
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nlisten l\n bind :1\n \
         tcp-response inspect-delay 1s\n tcp-response content reject if { res.payload(0,3) -m str bad }\n \
         tcp-response content accept if { res.len ge 4 }\n tcp-response content reject if { req.len ge 0 } or HTTP\n \
         tcp-response content reject if { res.payload(0,0) -m beg end }\n",
    );
    let backend = &config.backends[0];
    let said = |bytes: &[u8], is_final| {
        verdict_of(&backend.tcp.response, &backend.acls, &Seen::of_answer(bytes, is_final).within(&Nowhere))
    };
    for (bytes, is_final, want) in [
        (&b""[..], false, ContentVerdict::NotYet),
        (b"ba", false, ContentVerdict::NotYet),
        (b"bad", false, ContentVerdict::Reject),
        (b"goo", false, ContentVerdict::NotYet),
        (b"good", false, ContentVerdict::Accept),
        (b"end", false, ContentVerdict::NotYet),
        (b"end", true, ContentVerdict::Reject),
        (b"GET", true, ContentVerdict::Accept),
        (b"", true, ContentVerdict::Accept),
    ] {
        assert_eq!(said(bytes, is_final), want, "{bytes:?} {is_final}");
    }
}
