//! Stick tables and their rules.

use super::*;

fn in_listen(lines: &str) -> String {
    format!(
        "{BASE} mode http\nbackend numbers\n stick-table type integer size 10\nlisten l\n bind :1\n{lines}\n server s h:2\n"
    )
}

#[test]
fn tables_and_rules_are_read() {
    let text = in_listen(
        " stick-table type string len 12 size 2k expire 5m nopurge srvkey addr store server_id\n \
         stick match hdr(x),lower if { path /a }\n stick on src table numbers\n stick store-response hdr(y)\n \
         stick store-request src,ipmask(24)",
    );
    let (config, messages) = good(&text);
    assert!(messages.is_empty(), "a backend that only holds a table is in order: {messages:?}");
    let [numbers, table] = config.tables.as_slice() else { panic!("{:?}", config.tables) };
    assert_eq!((&*numbers.name, numbers.kind, numbers.key_bytes_max), ("numbers", KeyKind::Integer, 4));
    let expected = StickTable {
        name: "l".into(),
        kind: KeyKind::Text,
        key_bytes_max: 12,
        size: 2_048,
        expire_ms: 300_000,
        nopurge: true,
        by_address: true,
    };
    assert_eq!(*table, expected);
    let rules = &config.backends[1].sticks;
    let of = |rule: &StickRule| match &config.references[rule.table.0] {
        Target::Table(at) => (&*config.tables[*at].name, rule.matches, rule.stores),
        other => panic!("{other:?}"),
    };
    let request: Vec<_> = rules.request.iter().map(of).collect();
    assert_eq!(request, [("l", true, false), ("numbers", true, true), ("l", false, true)]);
    assert_eq!(rules.response.iter().map(of).collect::<Vec<_>>(), [("l", false, true)]);
    // `hdr` is the answer's where answers are looked at.
    assert_eq!(rules.response[0].expr.fetch.message(), Some(Side::Response));
}

#[test]
fn counters_are_named_that_nothing_counts() {
    let text = in_listen(
        " stick-table type ip size 10 store gpc0,conn_rate(10s) store server_id,gpc_rate(2,1m),gpt(3) peers p\n \
         stick on src table mine/t",
    );
    let (config, messages) = good(&text);
    assert!(config.backends[1].sticks.is_empty());
    let all = messages.join("\n");
    assert_eq!(messages.len(), 3, "{all}");
    for part in [
        "`store` is not active yet: nothing counts gpc0, conn_rate, gpc_rate, gpt\n",
        "`peers` is not active yet",
        "tables of `peers` sections are not kept",
    ] {
        assert!(all.contains(part), "{all}");
    }
    let (_, messages) = good(&in_listen(" stick-table type ip size 10 nopurge\n stick on src"));
    assert!(messages[0].contains("once the table is full it never takes a new client"), "{messages:?}");
}

#[test]
fn what_is_wrong_is_said() {
    for (lines, part) in [
        ("stick-table", "needs a `type`"),
        ("stick-table type", "`type` needs a value"),
        ("stick-table type ipv5 size 1", "did you mean `ipv6`"),
        ("stick-table type ip", "needs a `size`"),
        ("stick-table type ip size 0", "a number of entries from 1"),
        ("stick-table type ip size 5q", "a number of entries from 1"),
        ("stick-table type ip size 2g", "a number of entries from 1"),
        ("stick-table type ip len 4 size 1", "unknown `len`"),
        ("stick-table type string len 0 size 1", "expected a number"),
        ("stick-table type string len", "`len` needs a value"),
        ("stick-table type ip size 1 expire 1x", "time unit"),
        ("stick-table type ip size 1 exipre 1s", "did you mean `expire`"),
        ("stick-table type ip size 1 srvkey id", "expected `name` or `addr`"),
        ("stick-table type ip size 1 store conn_cmt", "did you mean `conn_cnt`"),
        ("stick-table type ip size 1 store conn_rate", "is no time"),
        ("stick-table type ip size 1 store gpc0(1)", "takes no argument"),
        ("stick-table type ip size 1 store gpc(101)", "from 1 to 100"),
        ("stick-table type ip size 1\n stick-table type ip size 1", "already, at t.cfg:"),
        ("no stick-table type ip size 1", "cannot stand before"),
        ("stick on", "expected `stick on"),
        ("stick on src", "`l` has no stick-table"),
        ("stick on src table number", "`number` has no stick-table; did you mean `numbers`"),
        ("stick on src table", "`table` needs the name"),
        ("stick on src tabel numbers", "unexpected `tabel`"),
        ("stick on src table numbers when x", "unexpected `when`"),
        ("stick on srk table numbers", "no sample fetch"),
        (
            "stick on payload(0,4) table numbers",
            "makes no keys for the stick-table `numbers` of type integer",
        ),
        ("stick on method table numbers", "makes no keys"),
        (
            "stick-table type ip size 1\n stick on ssl_fc",
            "`ssl_fc` makes no keys for the stick-table `l` of type ip",
        ),
        (
            "stick on res.hdr(x) table numbers",
            "has no value in `stick on` rules: the server has not answered yet",
        ),
        ("stick store-response path table numbers", "the request is over by then"),
        ("stick om src", "unknown keyword `stick om` in section listen; did you mean `stick on`"),
        ("stick", "unknown keyword `stick`"),
    ] {
        let all = errors(&in_listen(&format!(" {lines}")));
        assert!(all.len() == 1 && all[0].contains(part), "{lines}\n{}", all.join("\n"));
    }
    let all = errors(&format!("{BASE} stick-table type ip size 1\n{}", in_backend("")));
    assert!(all.len() == 1 && all[0].contains("allowed only in frontend, listen and backend"), "{all:?}");
    let (_, messages) = good(&in_frontend("stick on src"));
    assert!(messages[0].contains("no effect here: `stick on` is allowed only in"), "{messages:?}");
    // A frontend may have a table, but not under the name of another one.
    let frontend = "frontend l\n bind :9\n stick-table type ip size 1\n default_backend numbers";
    let both = in_listen(&format!(" stick-table type ip size 1\n server z h:3\n{frontend}"));
    assert!(errors(&both).iter().any(|one| one.contains("there is a stick-table `l` already")));
}
