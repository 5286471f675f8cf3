//! `option tcp-check`, and servers that take part in it in all ways.

use super::Act::{Close, Hold, Read, Refuse, Reset, Say, Wait};
use super::Case;

pub const CASES: &[Case] = &[
    ("retries 3", &[Hold]),
    ("retries 3", &[Refuse]),
    ("option tcp-checkserver addr 127.0.0.1", &[Hold]),
    ("option tcp-check", &[Refuse]),
    ("option tcp-check; tcp-check connect", &[Refuse]),
    ("option tcp-check; tcp-check connect", &[Hold]),
    ("option tcp-check; tcp-check connect port 1 comment cc", &[Refuse]),
    (
        "option tcp-check; tcp-check send PING\\r\\n; tcp-check expect string +PONG",
        &[Read, Say(b"+PONG\r\n"), Hold],
    ),
    (
        "option tcp-check; tcp-check send PING\\r\\n; tcp-check expect string +PONG",
        &[Read, Say(b"-ERR\r\n"), Close],
    ),
    (
        "option tcp-check; tcp-check send PING\\r\\n; tcp-check expect string +PONG",
        &[Read, Say(b"-ERR what\r\n"), Hold],
    ),
    (
        "option tcp-check; tcp-check send PING\\r\\n; tcp-check expect min-recv 3 string +PONG",
        &[Read, Say(b"-ERR what\r\n"), Hold],
    ),
    (
        "option tcp-check; tcp-check send PING\\r\\n; tcp-check expect min-recv 0 string +PONG",
        &[Read, Say(b"-ERR what\r\n"), Hold],
    ),
    (
        "option tcp-check; tcp-check send PING\\r\\n; tcp-check expect ! string -ERR",
        &[Read, Say(b"-ERR what\r\n"), Hold],
    ),
    (
        "option tcp-check; tcp-check send PING\\r\\n; tcp-check expect ! string -ERR",
        &[Read, Say(b"+PONG  \r\n"), Hold],
    ),
    (
        "option tcp-check; tcp-check send PING\\r\\n; tcp-check expect min-recv 2 ! string -ERR",
        &[Read, Say(b"+PONG  \r\n"), Hold],
    ),
    ("option tcp-check; tcp-check expect rstring ^[0-9]+", &[Wait, Say(b"220 hi\r\n"), Hold]),
    ("option tcp-check; tcp-check expect rstring ^[0-9]+$", &[Wait, Say(b"220 hi\r\n"), Close]),
    ("option tcp-check; tcp-check expect binary 323230", &[Wait, Say(b"220 hi\r\n"), Close]),
    ("option tcp-check; tcp-check expect binary 32323a", &[Wait, Say(b"220 hi\r\n"), Close]),
    ("option tcp-check; tcp-check expect rbinary ^323.30", &[Wait, Say(b"220 hi\r\n"), Close]),
    ("option tcp-check; tcp-check expect rbinary ^323.39", &[Wait, Say(b"220 hi\r\n"), Close]),
    ("option tcp-check; tcp-check expect string-lf 50%%", &[Wait, Say(b"220 hi\r\n"), Close]),
    ("option tcp-check; tcp-check expect binary-lf 3230", &[Wait, Say(b"219 hi\r\n"), Close]),
    (
        "option tcp-check; tcp-check comment one; tcp-check send A; tcp-check comment two; tcp-check expect string X",
        &[Read, Say(b"Y"), Close],
    ),
    (
        "option tcp-check; tcp-check comment one; tcp-check send A; tcp-check comment two; tcp-check expect string X",
        &[Read, Hold],
    ),
    ("option tcp-check; tcp-check connect; tcp-check send A; tcp-check expect rstring X", &[Read, Hold]),
    ("option tcp-check; tcp-check connect; tcp-check send A; tcp-check expect rbinary X", &[Read, Hold]),
    ("option tcp-check; tcp-check connect; tcp-check send A; tcp-check expect binary 0a0b41", &[Read, Hold]),
    ("option tcp-check; tcp-check connect; tcp-check send A; tcp-check expect string-lf X", &[Read, Hold]),
    ("option tcp-check; tcp-check connect; tcp-check send A; tcp-check expect string X", &[Read, Reset]),
    ("option tcp-check; tcp-check connect; tcp-check send A; tcp-check expect string X", &[Read, Close]),
    ("option tcp-check; tcp-check connect; tcp-check send A", &[Read, Close]),
    (
        "option tcp-check; tcp-check send-binary 414243; tcp-check expect comment \"my comment\" string X",
        &[Read, Say(b"Y"), Close],
    ),
    (
        "option tcp-check; tcp-check send-lf 50%%; tcp-check expect on-error \"e %%\" string X",
        &[Read, Say(b"Y"), Close],
    ),
    (
        "option tcp-check; tcp-check send-binary-lf 4142; tcp-check expect on-success yes string Y",
        &[Read, Say(b"Y"), Close],
    ),
    (
        "option tcp-check; tcp-check expect string A; tcp-check expect string B",
        &[Wait, Say(b"A"), Wait, Say(b"B"), Hold],
    ),
    (
        "option tcp-check; tcp-check expect string A; tcp-check send x; tcp-check expect string B",
        &[Wait, Say(b"AB"), Read, Say(b"C"), Close],
    ),
    (
        "option tcp-check; tcp-check connect; tcp-check expect string A; tcp-check connect; tcp-check send x; tcp-check expect string B",
        &[Wait, Say(b"A"), Read, Say(b"C"), Close],
    ),
    ("option tcp-check; tcp-check expect ok-status L6OK string A", &[Wait, Say(b"A"), Hold]),
    ("option tcp-check; tcp-check expect error-status L7STS string A", &[Wait, Say(b"B"), Close]),
    ("option tcp-check; tcp-check expect string A", &[Wait, Say(&[b'B'; 20_000]), Hold]),
    ("option tcp-check; tcp-check expect string A", &[Hold]),
    ("option tcp-check; tcp-check expect string A comment \"why so\"", &[Wait, Close]),
    (
        "option tcp-check; tcp-check send x; tcp-check expect ! string A on-error no comment c min-recv 1",
        &[Read, Say(b"A"), Close],
    ),
    ("option tcp-check; tcp-check expect string \\\"A\\tC", &[Wait, Close]),
    ("option tcp-check; tcp-check expect string \\\"A", &[Wait, Say(b"B"), Close]),
    ("option tcp-check; tcp-check expect ! string A; tcp-check expect string B", &[Wait, Say(b"B"), Hold]),
    ("option tcp-check; tcp-check connect send-proxy; tcp-check expect string A", &[Read, Say(b"A"), Hold]),
    (
        "option tcp-check; tcp-check connect default; tcp-check expect string Aserver send-proxy",
        &[Read, Say(b"A"), Hold],
    ),
    (
        "option tcp-check; tcp-check connect; tcp-check expect string Aserver send-proxy",
        &[Wait, Say(b"A"), Hold],
    ),
];
