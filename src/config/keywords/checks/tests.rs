//! Lines about checks that are faulty, or do nothing.

use crate::config::{Source, load};

/// What is said of these lines of a backend.
fn told(lines: &str) -> Vec<String> {
    let text = format!(
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nbackend b\n {lines}\n \
         server s 127.0.0.1:1 check\nfrontend f\n bind :1\n default_backend b\n"
    );
    load(&[Source::new("t", text)], &|_| None).diagnostics.iter().map(ToString::to_string).collect()
}

#[test]
fn faulty_lines_are_told_what_is_wrong() {
    const HTTP: &str = "option httpchk\n http-check";
    const TCP: &str = "option tcp-check\n tcp-check";
    for (line, part) in [
        (format!("{HTTP} expekt status 200"), "is no step of `http-check`; did you mean `expect`"),
        (format!("{HTTP} expect"), "what is looked for was expected"),
        (format!("{HTTP} expect foo bar"), "`foo`: expected status, rstatus, hdr"),
        (format!("{HTTP} expect status abc"), "`abc` is no status or range"),
        (format!("{HTTP} expect status 300-200"), "`300-200` is no status or range"),
        (format!("{HTTP} expect status ,"), "is no status or range"),
        (format!("{HTTP} expect status 200 201"), "unexpected `201`"),
        (format!("{HTTP} expect rstatus ("), "is no regular expression"),
        (format!("{HTTP} expect binary 00"), "`binary`: expected status"),
        (format!("{HTTP} expect hdr value x"), "`name NAME` was expected"),
        (format!("{HTTP} expect hdr name-lf -m reg x"), "expected str, beg, end or sub"),
        (format!("{HTTP} expect ok-status L4CON status 200"), "expected one of L7OK, L7OKC"),
        (format!("{HTTP} expect min-recv -2 string x"), "expected a number from 0"),
        (format!("{HTTP} expect status-code int(1) status 200"), "`status-code` is not built"),
        (format!("{HTTP} expect on-error %[src] status 200"), "nothing can be filled in here"),
        (format!("{HTTP} send foo"), "`foo`: expected meth, uri, ver"),
        (format!("{HTTP} send hdr a"), "a value was expected"),
        (format!("{HTTP} send hdr a:b c"), "is no header name"),
        (format!("{HTTP} send hdr a %[src]"), "nothing can be filled in here"),
        (format!("{HTTP} send uri /a\\ b"), "is no URI of a request"),
        (format!("{HTTP} send ver HTTP/2"), "expected HTTP/1.0 or HTTP/1.1"),
        (format!("{HTTP} send uri /a\n http-check send uri /b"), "an `http-check connect` is missing"),
        (format!("{HTTP} connect\n http-check expect status 200"), "an `http-check send` is missing"),
        (format!("{HTTP} send uri /\n http-check connect"), "the first step has to be one"),
        (format!("{HTTP} connect ssl"), "TLS is not built"),
        (format!("{HTTP} connect port 0"), "expected a number from 1 to 65535"),
        (format!("{HTTP} connect addr nonsense"), "is no IP address"),
        (format!("{HTTP} connect proto h2"), "expected h1"),
        (format!("{HTTP} disable-on-404 x"), "takes no arguments"),
        (format!("{TCP} send"), "what to send was expected"),
        (format!("{TCP} send \"\""), "there is nothing in this"),
        (format!("{TCP} send a b"), "unexpected `b`"),
        (format!("{TCP} send-binary 0"), "odd number of hexadecimal digits"),
        (format!("{TCP} send-binary zz"), "is not hexadecimal"),
        (format!("{TCP} expect status 200"), "`status`: expected string, rstring"),
        (format!("{TCP} connect via-socks4"), "SOCKS4 is not built"),
        ("option httpchk GET /a HTTP/1.1 Host:x".into(), "unexpected `Host:x`"),
        ("option httpchk GET /a HTTP/1.1\\r\\nHost".into(), "`Host` is no header field"),
        ("no option httpchk".into(), "`no` cannot stand before"),
        ("option smtpchk FOO bar".into(), "expected HELO or EHLO"),
        ("option mysql-check foo".into(), "expected `user NAME`"),
        ("option mysql-check user a b".into(), "expected post-41 or pre-41"),
        ("option pgsql-check".into(), "expected `option pgsql-check user NAME`"),
        ("option redis-check x".into(), "takes no arguments"),
        ("option spop-check".into(), "`option spop-check` is refused"),
        ("option external-check".into(), "`option external-check` is refused"),
        ("server t 127.0.0.1:1 check-via-socks4".into(), "`check-via-socks4`"),
        ("server t 127.0.0.1:1 check-ssl".into(), "`check-ssl` is refused: TLS is not built"),
        ("server t 127.0.0.1:1 addr localhost".into(), "is no IP address"),
        ("server t 127.0.0.1:1 check-proto h2".into(), "expected h1"),
    ] {
        let all = told(&line);
        assert!(all.len() == 1 && all[0].contains("error") && all[0].contains(part), "{line}: {all:?}");
    }
}

#[test]
fn lines_that_do_nothing_are_warned_of() {
    for (line, part) in [
        ("http-check expect status 200", "do nothing without `option httpchk`"),
        ("option httpchk\n tcp-check send x", "do nothing without `option tcp-check`"),
        ("option redis-check\n tcp-check send x", "do nothing without `option tcp-check`"),
        ("option httpchk\n http-check set-var(check.a) int(1)", "`http-check set-var` is not active yet"),
        ("option httpchk GET / HTTP/1.1\\r\\nHost:\\ a", "the old spelling of `http-check send hdr"),
    ] {
        let all = told(line);
        assert!(all.len() == 1 && all[0].contains("warning") && all[0].contains(part), "{line}: {all:?}");
    }
}
