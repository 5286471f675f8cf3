//! Checks that bring their protocol along, and servers that speak it, or do not.

use super::Act::{Close, Hold, Read, Reset, Say};
use super::Case;

/// A MySQL server's greeting, and its answers to a login.
const GREETING: &[u8] = b"\x4a\0\0\0\x0a5.7.1\0\x01\0\0\0abcdefgh\0\xff\xf7\x08\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0abcdefghijklmnopq";
const TAKEN: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";
const DENIED: &[u8] = b"\x1c\0\0\x02\xff\x15\x04#28000Access denied for you";

pub const CASES: &[Case] = &[
    ("option redis-check", &[Read, Say(b"+PONG\r\n"), Hold]),
    ("option redis-check", &[Read, Say(b"-ERR not permitted\r\n"), Hold]),
    ("option redis-check", &[Read, Say(b"-ERR not permitted\r\n"), Close]),
    ("option redis-check", &[Read, Say(b"hello"), Close]),
    ("option redis-check", &[Read, Close]),
    ("option redis-check", &[Read, Hold]),
    ("option redis-check", &[Read, Reset]),
    (
        "option smtpchk",
        &[Say(b"220 hi\r\n"), Read, Say(b"250 ok there\r\n"), Read, Say(b"221 bye\r\n"), Close],
    ),
    (
        "option smtpchk EHLO me.org",
        &[
            Say(b"220 hi\r\n"),
            Read,
            Say(b"250-ok there\r\n250-XX\r\n250 end\r\n"),
            Read,
            Say(b"221 bye\r\n"),
            Close,
        ],
    ),
    ("option smtpchk", &[Say(b"554 no way\r\n"), Hold]),
    ("option smtpchk", &[Say(b"xyz no way\r\n"), Hold]),
    ("option smtpchk", &[Say(b"220 hi\r\n"), Read, Say(b"502 not known\r\n"), Hold]),
    (
        "option smtpchk",
        &[Say(b"220 hi\r\n"), Read, Say(b"250 good\r\n"), Read, Say(b"500 not known\r\n"), Hold],
    ),
    ("option mysql-check", &[Say(GREETING), Hold]),
    ("option mysql-check", &[Say(b"\x17\x00\x00\x00\xff\x10\x04Too many connections"), Hold]),
    ("option mysql-check", &[Say(b"\x02\x00\x00\x00\xff\x10"), Hold]),
    ("option mysql-check", &[Say(b"hello"), Hold]),
    ("option mysql-check", &[Hold]),
    ("option mysql-check user joe", &[Read, Say(GREETING), Say(TAKEN), Hold]),
    ("option mysql-check user joe", &[Read, Say(GREETING), Say(DENIED), Hold]),
    ("option mysql-check user joe pre-41", &[Read, Say(GREETING), Say(TAKEN), Hold]),
    ("option mysql-check user joe post-41", &[Read, Say(GREETING), Say(TAKEN), Hold]),
    ("option mysql-check user joe", &[Read, Say(GREETING), Close]),
    ("option mysql-check user joe", &[Read, Say(GREETING), Say(b"XX"), Say(TAKEN), Hold]),
    ("option mysql-check user joe", &[Read, Say(b"SSH-2.0-x\r\n"), Hold]),
    ("option pgsql-check user joe", &[Read, Say(b"R\0\0\0\x08\0\0\0\0"), Hold]),
    ("option pgsql-check user joe", &[Read, Say(b"R\0\0\0\x0c\0\0\0\x05abcd"), Hold]),
    ("option pgsql-check user joe", &[Read, Say(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"), Hold]),
    (
        "option pgsql-check user joe",
        &[Read, Say(b"E\0\0\0\x50SFATAL\0C28000\0Mno pg_hba.conf entry\0\0"), Hold],
    ),
    ("option pgsql-check user joe", &[Read, Say(b"hallo you my dear\r\n"), Hold]),
    ("option pgsql-check user joe", &[Read, Say(b"E\0\0"), Close]),
    ("option pgsql-check user joe", &[Read, Close]),
    ("option pgsql-check user joe", &[Read, Hold]),
    ("option ldap-check", &[Read, Say(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"), Hold]),
    ("option ldap-check", &[Read, Say(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\0\x04\0"), Hold]),
    ("option ldap-check", &[Read, Say(b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x31\x04\0\x04\0"), Hold]),
    (
        "option ldap-check",
        &[Read, Say(b"\x30\x84\0\0\0\x10\x02\x01\x01\x61\x84\0\0\0\x07\x0a\x01\0\x04\0\x04\0"), Hold],
    ),
    ("option ldap-check", &[Read, Say(b"SSH-2.0-abcdefghijklm\r\n"), Hold]),
    ("option ldap-check", &[Read, Hold]),
    ("option ldap-check", &[Read, Close]),
];

/// The random part of the hello is each program's own, so what was asked is not compared.
pub const HELLOS: &[Case] = &[
    ("option ssl-hello-chk", &[Read, Say(b"\x16\x03\0\0\x01\x02"), Hold]),
    ("option ssl-hello-chk", &[Read, Say(b"\x15\x03\0\0\x01\x02"), Hold]),
    ("option ssl-hello-chk", &[Read, Say(b"hallo you\r\n"), Hold]),
    ("option ssl-hello-chk", &[Read, Hold]),
    ("option ssl-hello-chk", &[Read, Close]),
];
