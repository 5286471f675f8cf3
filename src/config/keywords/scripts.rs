//! Checks that bring their steps along: `option smtpchk`, `option redis-check` and their like (configuration §4.2).

use super::Keyword;
use super::checks::check;
use crate::config::Regex;
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{
    CheckAct, CheckConnect, CheckExpect, CheckNotation, CheckPattern, CheckStatus, CheckStep, CheckText,
};
use crate::config::patterns::regex;
use crate::config::probes::Choice;

pub(super) const LDAP: Keyword =
    check("option ldap-check", "1.5", "", "checks ask an LDAP server to bind nobody", |b, st| {
        st.none()?;
        choose(b, LDAP_STEPS, b"", 0)
    });

pub(super) const MYSQL: Keyword = check(
    "option mysql-check",
    "1.4",
    "[user <name> [post-41|pre-41]]",
    "checks read a MySQL server's greeting, and log in where a user is named",
    mysql,
);

pub(super) const PGSQL: Keyword = check(
    "option pgsql-check",
    "1.5",
    "user <name>",
    "checks begin a session with a PostgreSQL server",
    pgsql,
);

pub(super) const REDIS: Keyword =
    check("option redis-check", "1.5", "", "checks send PING to a Redis server", |b, st| {
        st.none()?;
        choose(b, REDIS_STEPS, b"", 0)
    });

pub(super) const SMTP: Keyword = check(
    "option smtpchk",
    "1.3",
    "[HELO|EHLO <domain>]",
    "checks greet a mail server; default HELO localhost",
    smtp,
);

pub(super) const SSL_HELLO: Keyword = check(
    "option ssl-hello-chk",
    "1.3",
    "",
    "checks send an SSLv3 hello, and any answer of TLS will do",
    |b, st| {
        st.none()?;
        choose(b, SSL_HELLO_STEPS, b"", 0)
    },
);

/// A step, as these checks write it down.
enum Act {
    /// A connection as the server's are; or one that is ended in order as well, where servers count and log others.
    Link {
        in_order: bool,
    },
    Send(&'static [u8]),
    /// Sends what the line's arguments make.
    SendGiven,
    Expect(Want),
}

/// A [`CheckExpect`], as these checks write it down.
#[derive(Clone, Copy)]
struct Want {
    pattern: Pattern,
    negated: bool,
    min_recv: Option<u32>,
    ok: CheckStatus,
    error: Option<CheckStatus>,
    timeout: CheckStatus,
    on_success: Option<Said>,
    on_error: Option<Said>,
    has_code: bool,
}

#[derive(Clone, Copy)]
enum Pattern {
    Bytes(&'static [u8]),
    Regex(&'static str),
    HexRegex(&'static str),
    MySql(u8),
    Ldap,
}

#[derive(Clone, Copy)]
enum Said {
    Text(&'static str),
    Line(u8),
    Answer(u8),
}

impl Want {
    /// With the usual outcome.
    const fn of(pattern: Pattern) -> Self {
        Self {
            pattern,
            negated: false,
            min_recv: None,
            ok: CheckStatus::L7Ok,
            error: None,
            timeout: CheckStatus::L7Tout,
            on_success: None,
            on_error: None,
            has_code: false,
        }
    }

    fn made(&self) -> CheckExpect {
        // Each expression is known to be one: the tests of this file compile them.
        let compiled = |text: &str, of: fn(Regex) -> CheckPattern| {
            let none = |_| CheckPattern::Bytes(Box::default(), CheckNotation::Text);
            regex(text, false).map_or_else(none, of)
        };
        let said = |said: Said| match said {
            Said::Text(text) => CheckText::Text(text.into()),
            Said::Line(from) => CheckText::Line(from),
            Said::Answer(from) => CheckText::Answer(from),
        };
        CheckExpect {
            pattern: match self.pattern {
                Pattern::Bytes(bytes) => CheckPattern::Bytes(bytes.into(), CheckNotation::Text),
                Pattern::Regex(text) => compiled(text, CheckPattern::Regex),
                Pattern::HexRegex(text) => compiled(text, CheckPattern::HexRegex),
                Pattern::MySql(nth) => CheckPattern::MySql(nth),
                Pattern::Ldap => CheckPattern::Ldap,
            },
            negated: self.negated,
            min_recv: self.min_recv,
            ok: self.ok,
            error: self.error,
            timeout: self.timeout,
            on_success: self.on_success.map(said),
            on_error: self.on_error.map(said),
            has_code: self.has_code,
        }
    }
}

/// Makes these the steps of checks; the first one has this number.
fn choose(b: &mut Builder<'_>, script: &[Act], given: &[u8], first: u16) -> Result<(), Fault> {
    let mut steps = Vec::with_capacity(script.len());
    for (number, act) in (first..).zip(script) {
        let act = match act {
            Act::Link { in_order } => {
                let linger = *in_order;
                CheckAct::Connect(CheckConnect { as_server: true, linger, ..CheckConnect::default() })
            }
            Act::Send(bytes) => CheckAct::Send { bytes: (*bytes).into(), state_at: None },
            Act::SendGiven => CheckAct::Send { bytes: given.into(), state_at: None },
            Act::Expect(want) => CheckAct::Expect(Box::new(want.made())),
        };
        steps.push(CheckStep { act, number, comment: None });
    }
    b.settings()?.probes.choice = Some(Choice::Script(steps.into()));
    Ok(())
}

const LINK: Act = Act::Link { in_order: false };
const LINK_IN_ORDER: Act = Act::Link { in_order: true };

const LDAP_STEPS: &[Act] = &[
    LINK,
    // LDAPv3, message 1: bind, version 3, no name, simple authentication without a password (RFC 4511 §4.2).
    Act::Send(b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"),
    Act::Expect(Want {
        min_recv: Some(14),
        on_success: Some(Said::Text("Success")),
        ..Want::of(Pattern::Ldap)
    }),
];

const REDIS_STEPS: &[Act] = &[
    LINK,
    Act::Send(b"*1\r\n$4\r\nPING\r\n"),
    Act::Expect(Want {
        error: Some(CheckStatus::L7Sts),
        on_error: Some(Said::Line(0)),
        on_success: Some(Said::Text("Redis server is ok")),
        ..Want::of(Pattern::Bytes(b"+PONG\r\n"))
    }),
];

const SSL_HELLO_STEPS: &[Act] = &[
    LINK,
    Act::Send(HELLO),
    Act::Expect(Want {
        min_recv: Some(5),
        ok: CheckStatus::L6Ok,
        error: Some(CheckStatus::L6Rsp),
        timeout: CheckStatus::L6Tout,
        ..Want::of(Pattern::HexRegex("^1[56]"))
    }),
];

/// A client's hello of SSLv3 with all that was to be offered in its days (RFC 6101 §5.6.1.2): the time and 28 bytes that
/// should be random, but nothing is ever encrypted with them; no session to go on with; 39 ciphers (01 to 1b, 2f to 3a);
/// no compression.
const HELLO: &[u8] = b"\x16\x03\0\0\x79\x01\0\0\x75\x03\0\x6b\0\0\0oneport: is anybody there?\r\n\0\0\x4e\
      \0\x01\0\x02\0\x03\0\x04\0\x05\0\x06\0\x07\0\x08\0\x09\0\x0a\0\x0b\0\x0c\0\x0d\
      \0\x0e\0\x0f\0\x10\0\x11\0\x12\0\x13\0\x14\0\x15\0\x16\0\x17\0\x18\0\x19\0\x1a\
      \0\x1b\0\x2f\0\x30\0\x31\0\x32\0\x33\0\x34\0\x35\0\x36\0\x37\0\x38\0\x39\0\x3a\
      \x01\0";

/// A code; a code that says that all is well; perhaps after further lines (RFC 5321 §4.2).
const SMTP_ANSWERS: [Want; 3] = [
    smtp_answer("^[0-9]{3}[ \r]"),
    smtp_answer("^2[0-9]{2}[ \r]"),
    smtp_answer("^(2[0-9]{2}-[^\r]*\r\n)*2[0-9]{2}[ \r]"),
];

const fn smtp_answer(text: &'static str) -> Want {
    Want {
        min_recv: Some(4),
        error: Some(CheckStatus::L7Sts),
        on_error: Some(Said::Line(4)),
        has_code: true,
        ..Want::of(Pattern::Regex(text))
    }
}

const SMTP_STEPS: &[Act] = &[
    LINK_IN_ORDER,
    Act::Expect(Want { error: Some(CheckStatus::L7Rsp), on_error: Some(Said::Line(0)), ..SMTP_ANSWERS[0] }),
    Act::Expect(SMTP_ANSWERS[1]),
    Act::SendGiven,
    Act::Expect(Want { min_recv: None, ..SMTP_ANSWERS[2] }),
    Act::Send(b"QUIT\r\n"),
    Act::Expect(Want { on_success: Some(Said::Line(4)), ..SMTP_ANSWERS[1] }),
];

const PGSQL_STEPS: &[Act] = &[
    LINK_IN_ORDER,
    Act::SendGiven,
    // A refusal.
    Act::Expect(Want {
        negated: true,
        min_recv: Some(5),
        error: Some(CheckStatus::L7Rsp),
        on_error: Some(Said::Answer(6)),
        ..Want::of(Pattern::Regex("^E"))
    }),
    // How it wants us to say who we are, or that it does not.
    Act::Expect(Want {
        min_recv: Some(9),
        error: Some(CheckStatus::L7Sts),
        on_error: Some(Said::Text("PostgreSQL unknown error")),
        on_success: Some(Said::Text("PostgreSQL server is ok")),
        ..Want::of(Pattern::HexRegex("^52000000[A-Fa-f0-9]{2}000000(00|02|03|04|05|06|07|09|0A)"))
    }),
];

const MYSQL_STEPS: &[Act] = &[LINK_IN_ORDER, mysql_end(0)];

const MYSQL_LOGIN_STEPS: &[Act] =
    &[LINK_IN_ORDER, Act::SendGiven, Act::Expect(Want::of(Pattern::MySql(0))), mysql_end(1)];

const fn mysql_end(nth: u8) -> Act {
    Act::Expect(Want { on_success: Some(Said::Answer(5)), ..Want::of(Pattern::MySql(nth)) })
}

fn smtp(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let hello = match st.args() {
        [] => "HELO localhost\r\n".to_owned(),
        [hello, domain, rest @ ..] if hello.is("HELO") || hello.is("EHLO") => {
            st.end(rest)?;
            format!("{} {}\r\n", hello.text()?, name(domain)?)
        }
        [word, ..] => return Err(word.wrong(": expected HELO or EHLO and a domain")),
    };
    choose(b, SMTP_STEPS, hello.as_bytes(), 1)
}

/// A name that can stand in a line of a protocol, or before a zero byte.
fn name(word: &Word) -> Result<&str, Fault> {
    let text = word.text()?;
    match text.is_empty() || text.chars().any(char::is_control) {
        true => Err(word.wrong(" is no name")),
        false => Ok(text),
    }
}

fn pgsql(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [user, word, rest @ ..] = st.args() else {
        return Err(st.wrong("expected `option pgsql-check user NAME`"));
    };
    if !user.is("user") {
        return Err(user.wrong(": expected `user NAME`"));
    }
    st.end(rest)?;
    // Version 3.0, and the user (PostgreSQL, "Message Formats", StartupMessage).
    let rest = [b"\x00\x03\x00\x00user\x00", name(word)?.as_bytes(), b"\x00\x00"].concat();
    let len = u32::try_from(rest.len() + 4).unwrap_or(u32::MAX).to_be_bytes();
    choose(b, PGSQL_STEPS, &[&len, rest.as_slice()].concat(), 1)
}

fn mysql(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [word, rest @ ..] = st.args() else {
        return choose(b, MYSQL_STEPS, b"", 1);
    };
    if !word.is("user") {
        return Err(word.wrong(": expected `user NAME`"));
    }
    let [user, rest @ ..] = rest else {
        return Err(Fault::at(word.span, "a name was expected behind this word"));
    };
    let old = match rest.first() {
        None => false,
        Some(word) if word.is("pre-41") => true,
        Some(word) if word.is("post-41") => false,
        Some(word) => return Err(word.wrong(": expected post-41 or pre-41")),
    };
    st.end(rest.get(1..).unwrap_or_default())?;
    choose(b, MYSQL_LOGIN_STEPS, &login(name(user)?, old), 1)
}

/// The packet that logs a user in without a password, and the one that says goodbye.
fn login(user: &str, old: bool) -> Vec<u8> {
    let head: &[u8] = match old {
        // CLIENT_LONG_PASSWORD is left out; packets of one byte at least.
        true => b"\x00\x80\x00\x00\x01",
        // CLIENT_PROTOCOL_41 and secure connections; the charset is utf8_general_ci; 23 bytes are kept free.
        false => b"\x00\x82\x00\x00\x00\x80\x00\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    };
    let len = u32::try_from(head.len() + user.len() + 2).unwrap_or(u32::MAX).to_le_bytes();
    let [a, b, c, _] = len;
    [&[a, b, c, 1], head, user.as_bytes(), b"\x00\x00", b"\x01\x00\x00\x00\x01"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load};

    fn steps(line: &str) -> Vec<CheckStep> {
        let text = format!(
            "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nbackend b\n {line}\n \
             server s 127.0.0.1:1 check\nfrontend f\n bind :1\n default_backend b\n"
        );
        let config = load(&[Source::new("t", text)], &|_| None).config.unwrap();
        config.backends[0].check_plan.clone().unwrap().steps.clone()
    }

    #[test]
    fn every_expression_is_one() {
        for line in ["smtpchk", "pgsql-check user a", "ssl-hello-chk"] {
            for step in steps(&format!("option {line}")) {
                let CheckAct::Expect(expect) = &step.act else { continue };
                let compiled = matches!(expect.pattern, CheckPattern::Regex(_) | CheckPattern::HexRegex(_));
                assert!(compiled, "{line}: {expect:?}");
            }
        }
    }

    #[test]
    fn packets_have_the_lengths_that_they_say() {
        assert_eq!((HELLO.len(), HELLO[4], HELLO[8]), (5 + 0x79, 0x79, 0x75));
        for old in [false, true] {
            let login = login("joe", old);
            assert_eq!(usize::from(login[0]) + 4 + 5, login.len());
        }
        let CheckAct::Send { bytes, .. } = &steps("option pgsql-check user joe")[1].act else { panic!() };
        assert_eq!(bytes.as_ref(), b"\0\0\0\x12\0\x03\0\0user\0joe\0\0");
    }
}
