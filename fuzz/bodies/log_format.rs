//! Any text with parts that are filled in loads or is refused at its place, and what is made of it while it is filled
//! in never ends a head early.

use oneport::config::{HttpAction, Piece, Severity, Source, load};
use oneport::http::edit::Text;
use oneport::http::parse_request;
use oneport::rules::{View, value};

const REQUEST: &[u8] =
    b"GET /a%0d%0ab:%20c?q=%0aX HTTP/1.1\r\nHost: h\r\nX: %00, two\r\nCookie: a=%0d; b=2\r\n\r\n";

/// Checks one input: the text of a `log-format`, and of a header's value.
pub fn check(data: &[u8]) {
    let text = quoted(data);
    let file = format!(
        "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n\
         frontend f\n bind :1\n log-format {text}\n unique-id-format {text}\n\
         \x20http-request set-header X-A {text}\n default_backend b\nbackend b\n server s h:1\n"
    );
    let loaded = load(&[Source::new("fuzz.cfg", file)], &|_| None);
    for diagnostic in &loaded.diagnostics {
        // Another line would have been written by the value of this one.
        let at = diagnostic.place.line;
        assert!(diagnostic.severity != Severity::Error || (8..=10).contains(&at), "{diagnostic}");
    }
    let Some(config) = loaded.config else { return };
    assert_eq!((config.frontends.len(), config.backends.len()), (1, 1));
    let [rule] = config.frontends[0].http_rules.request.as_slice() else { panic!("one rule") };
    let HttpAction::AddHeader { value: format, .. } = &rule.action else { panic!("one header") };
    let mut head = parse_request(REQUEST).expect("a good request").expect("a whole one");
    let view = View::with_head(REQUEST, &head);
    let mut filled = Vec::new();
    for piece in &format.pieces {
        match piece {
            Piece::Text(text) => filled.extend_from_slice(text),
            Piece::Sample(expr, _) => {
                value(expr, &view, &mut |sample| {
                    filled.extend_from_slice(sample.bytes(&mut Default::default()));
                });
            }
            Piece::Alias(..) => {}
        }
    }
    let mut text = Text::of(REQUEST, usize::MAX);
    if head.edit().add(&mut text, b"X-A", &filled).is_ok() {
        let added = &text.bytes()[REQUEST.len()..];
        assert!(!added.contains(&b'\r') && !added.contains(&b'\n') && !added.contains(&0));
    }
}

/// As one word of a file: in strong quotes, where only these and line ends mean anything.
fn quoted(data: &[u8]) -> String {
    let text: String =
        String::from_utf8_lossy(data).chars().filter(|c| !matches!(c, '\'' | '\n' | '\0')).collect();
    format!("'{text}'")
}
