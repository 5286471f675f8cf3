//! Checks that bring their steps along: `option smtpchk`, `option redis-check` and their like (configuration §4.2).

use super::Keyword;
use super::checks::check;
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
        // LDAPv3, message 1: bind, version 3, no name, simple authentication without a password (RFC 4511 §4.2).
        let bind = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00";
        let answer = CheckExpect {
            min_recv: Some(14),
            on_success: said("Success"),
            ..CheckExpect::new(CheckPattern::Ldap)
        };
        choose(b, vec![linked(), send(bind), expect(answer)], 0)
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
        let pong = CheckPattern::Bytes(b"+PONG\r\n".as_slice().into(), CheckNotation::Text);
        let answer = CheckExpect {
            error: Some(CheckStatus::L7Sts),
            on_error: Some(CheckText::Line(0)),
            on_success: said("Redis server is ok"),
            ..CheckExpect::new(pong)
        };
        choose(b, vec![linked(), send(b"*1\r\n$4\r\nPING\r\n"), expect(answer)], 0)
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
        let answer = CheckExpect {
            min_recv: Some(5),
            ok: CheckStatus::L6Ok,
            error: Some(CheckStatus::L6Rsp),
            timeout: CheckStatus::L6Tout,
            ..found(CheckPattern::HexRegex, "^1[56]")
        };
        choose(b, vec![linked(), send(&hello()), expect(answer)], 0)
    },
);

/// Makes these the steps of checks; the first one has this number.
fn choose(b: &mut Builder<'_>, mut steps: Vec<CheckStep>, first: u16) -> Result<(), Fault> {
    for (number, step) in (first..).zip(&mut steps) {
        step.number = number;
    }
    b.settings()?.probes.choice = Some(Choice::Script(steps.into()));
    Ok(())
}

fn step(act: CheckAct) -> CheckStep {
    CheckStep { act, number: 0, comment: None }
}

/// A connection as the server's are.
fn linked() -> CheckStep {
    step(CheckAct::Connect(CheckConnect { as_server: true, ..CheckConnect::default() }))
}

/// The same, ended in order: these servers count and log those that are not.
fn ended_in_order() -> CheckStep {
    step(CheckAct::Connect(CheckConnect { as_server: true, linger: true, ..CheckConnect::default() }))
}

fn send(bytes: &[u8]) -> CheckStep {
    step(CheckAct::Send { bytes: bytes.into(), state_at: None })
}

fn expect(expect: CheckExpect) -> CheckStep {
    step(CheckAct::Expect(Box::new(expect)))
}

fn said(text: &str) -> Option<CheckText> {
    Some(CheckText::Text(text.into()))
}

/// An expression that is known to be one: the tests of this file compile each.
fn found(pattern: fn(crate::config::Regex) -> CheckPattern, text: &str) -> CheckExpect {
    let none = || CheckPattern::Bytes(Box::default(), CheckNotation::Text);
    CheckExpect::new(regex(text, false).map_or_else(|_| none(), pattern))
}

fn smtp(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let hello = match st.args() {
        [] => "HELO localhost".to_owned(),
        [hello, domain, rest @ ..] if hello.is("HELO") || hello.is("EHLO") => {
            st.end(rest)?;
            format!("{} {}", hello.text()?, name(domain)?)
        }
        [word, ..] => {
            return Err(word.wrong(": expected HELO or EHLO and a domain"));
        }
    };
    let answer = |text: &str| CheckExpect {
        min_recv: Some(4),
        error: Some(CheckStatus::L7Sts),
        on_error: Some(CheckText::Line(4)),
        has_code: true,
        ..found(CheckPattern::Regex, text)
    };
    let banner = CheckExpect {
        error: Some(CheckStatus::L7Rsp),
        on_error: Some(CheckText::Line(0)),
        ..answer(SMTP_ANSWERS[0])
    };
    let end = CheckExpect { on_success: Some(CheckText::Line(4)), ..answer(SMTP_ANSWERS[1]) };
    let greeted = CheckExpect { min_recv: None, ..answer(SMTP_ANSWERS[2]) };
    let steps = vec![
        ended_in_order(),
        expect(banner),
        expect(answer(SMTP_ANSWERS[1])),
        send(format!("{hello}\r\n").as_bytes()),
        expect(greeted),
        send(b"QUIT\r\n"),
        expect(end),
    ];
    choose(b, steps, 1)
}

/// A code; a code that says that all is well; perhaps after further lines (RFC 5321 §4.2).
const SMTP_ANSWERS: [&str; 3] =
    ["^[0-9]{3}[ \r]", "^2[0-9]{2}[ \r]", "^(2[0-9]{2}-[^\r]*\r\n)*2[0-9]{2}[ \r]"];

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
    let refusal = CheckExpect {
        negated: true,
        min_recv: Some(5),
        error: Some(CheckStatus::L7Rsp),
        on_error: Some(CheckText::Answer(6)),
        ..found(CheckPattern::Regex, "^E")
    };
    // How it wants us to say who we are, or that it does not.
    let asked = CheckExpect {
        min_recv: Some(9),
        error: Some(CheckStatus::L7Sts),
        on_error: said("PostgreSQL unknown error"),
        on_success: said("PostgreSQL server is ok"),
        ..found(CheckPattern::HexRegex, "^52000000[A-Fa-f0-9]{2}000000(00|02|03|04|05|06|07|09|0A)")
    };
    choose(
        b,
        vec![ended_in_order(), send(&[&len, rest.as_slice()].concat()), expect(refusal), expect(asked)],
        1,
    )
}

fn mysql(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let greeting = |nth: u8| CheckExpect { ..CheckExpect::new(CheckPattern::MySql(nth)) };
    let last = |nth: u8| CheckExpect { on_success: Some(CheckText::Answer(5)), ..greeting(nth) };
    let [word, rest @ ..] = st.args() else {
        return choose(b, vec![ended_in_order(), expect(last(0))], 1);
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
        Some(word) => {
            return Err(word.wrong(": expected post-41 or pre-41"));
        }
    };
    st.end(rest.get(1..).unwrap_or_default())?;
    let login = login(name(user)?, old);
    choose(b, vec![ended_in_order(), send(&login), expect(greeting(0)), expect(last(1))], 1)
}

/// The packet that logs a user in without a password, and the one that says goodbye.
fn login(user: &str, old: bool) -> Vec<u8> {
    let mut body = Vec::new();
    if old {
        // CLIENT_LONG_PASSWORD is left out; packets of one byte at least.
        body.extend_from_slice(b"\x00\x80\x00\x00\x01");
        body.extend_from_slice(user.as_bytes());
        body.extend_from_slice(b"\x00\x00");
    } else {
        // CLIENT_PROTOCOL_41 and secure connections; the charset is utf8_general_ci; 23 bytes are kept free.
        body.extend_from_slice(b"\x00\x82\x00\x00\x00\x80\x00\x01\x21");
        body.extend_from_slice(&[0; 23]);
        body.extend_from_slice(user.as_bytes());
        body.extend_from_slice(b"\x00\x00");
    }
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    let [a, b, c, _] = len;
    [&[a, b, c, 1], body.as_slice(), b"\x01\x00\x00\x00\x01"].concat()
}

/// A client's hello of SSLv3 with all that was to be offered in its days (RFC 6101 §5.6.1.2).
fn hello() -> Vec<u8> {
    const CIPHERS: [std::ops::RangeInclusive<u8>; 2] = [0x01..=0x1b, 0x2f..=0x3a];
    let ciphers: Vec<u8> = CIPHERS.into_iter().flatten().flat_map(|cipher| [0, cipher]).collect();
    let len = u8::try_from(ciphers.len()).unwrap_or(0);
    let mut body = vec![3, 0];
    // The time and 28 bytes that should be random: nothing is ever encrypted with them.
    body.extend_from_slice(b"\x6b\x00\x00\x00oneport: is anybody there?\r\n");
    // No session to go on with; the ciphers; no compression.
    body.extend_from_slice(&[0, 0, len]);
    body.extend_from_slice(&ciphers);
    body.extend_from_slice(&[1, 0]);
    let len = u8::try_from(body.len()).unwrap_or(0);
    [&[0x16, 3, 0, 0, len + 4, 1, 0, 0, len], body.as_slice()].concat()
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
        let hello = hello();
        assert_eq!((hello.len(), hello[4], hello[8]), (5 + 0x79, 0x79, 0x75));
        for old in [false, true] {
            let login = login("joe", old);
            assert_eq!(usize::from(login[0]) + 4 + 5, login.len());
        }
        let CheckAct::Send { bytes, .. } = &steps("option pgsql-check user joe")[1].act else { panic!() };
        assert_eq!(bytes.as_ref(), b"\0\0\0\x12\0\x03\0\0user\0joe\0\0");
    }
}
