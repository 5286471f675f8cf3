//! Waiting for servers, and trying again (configuration §4.2).

use super::options::flag;
use super::{Keyword, Sections};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::model::{ALL_RETRYABLE, RETRY_REASONS, retry_bit};
use crate::config::suggest::Search;
use crate::config::values::number;

const SERVER: Sections = Sections::SERVER_SIDE;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new("retries", SERVER, "1.3", "<number>", "further attempts after a failed one; default 3", |b, st| {
        b.settings().queues.retries = st.number("a number", 0, 1_000)?;
        Ok(())
    })
    .lenient(),
    Keyword::new(
        "retry-on",
        SERVER,
        "2.0",
        "none|<reason>…",
        "after which failures an attempt is followed by another; default conn-failure",
        retry_on,
    )
    .lenient(),
    Keyword::new(
        "option redispatch",
        SERVER,
        "1.3",
        "[<interval>]",
        "retries go to another server: the last one, or every so many, or where negative so many before the last",
        redispatch,
    )
    .with_no()
    .lenient(),
    Keyword::new("redispatch", SERVER, "1.3", "", "the last retry goes to another server", redispatch)
        .lenient()
        .instead("option redispatch"),
    Keyword::new(
        "option abortonclose",
        SERVER,
        "1.3",
        "",
        "a client that closes while it waits for a server or its answer is forgotten at once",
        |b, st| { flag(b, st, |s| &mut s.queues.abort_on_close) },
    )
    .with_no()
    .lenient(),
    Keyword::new(
        "fullconn",
        SERVER,
        "1.3",
        "<number>",
        "requests with which servers with `minconn` take their whole `maxconn`",
        |b, st| {
            b.settings().queues.fullconn = st.number("a number", 0, u32::MAX)?;
            Ok(())
        },
    )
    .lenient(),
    Keyword::new(
        "max-keep-alive-queue",
        SERVER,
        "1.5",
        "<number>",
        "a client's last server is waited for where fewer wait already; default -1: however many",
        |b, st| {
            let word = st.one("a number")?;
            let max = if word.is("-1") { None } else { Some(number(word, 0, i32::MAX as u32)?) };
            b.settings().queues.keep_alive_max = max;
            Ok(())
        },
    )
    .lenient(),
];

fn redispatch(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let mut interval = -1;
    if let [word, rest @ ..] = st.args() {
        let Ok(number) = word.text()?.parse() else {
            return Err(word.wrong(" is no number"));
        };
        interval = number;
        st.end(rest)?;
    }
    b.settings().queues.redispatch = (!st.negated).then_some(interval);
    Ok(())
}

fn retry_on(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let mut on = 0;
    if st.args().is_empty() {
        return Err(st.wrong("expected `retry-on none`, or reasons"));
    }
    for word in st.args() {
        let text = word.text()?;
        on |= match (text, retry_bit(text)) {
            ("all-retryable-errors", _) => ALL_RETRYABLE,
            ("none", _) if st.args().len() == 1 => 0,
            ("none", _) => return Err(Fault::at(word.span, "`none` stands alone")),
            (_, 0) => {
                let mut search = Search::new(text);
                RETRY_REASONS.iter().for_each(|name| search.add(name));
                ["none", "all-retryable-errors"].iter().for_each(|name| search.add(name));
                let hint = search.hint();
                return Err(Fault::at(
                    word.span,
                    format_args!("{} is no reason to retry{hint}", word.quoted()),
                ));
            }
            (_, bit) => bit,
        };
    }
    b.settings().queues.retry_on = on;
    Ok(())
}
