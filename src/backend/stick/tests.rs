use super::*;
use crate::config;
use crate::net::Target;
use std::collections::BTreeMap;

fn config(size: u32, expire_ms: u64) -> StickTable {
    StickTable {
        name: "t".into(),
        kind: KeyKind::Text,
        key_bytes_max: 8,
        size,
        expire_ms,
        nopurge: false,
        by_address: false,
    }
}

fn servers(names: &[(&str, u16)]) -> Vec<Server> {
    let server = |(id, &(name, port)): (u32, &(&str, u16))| {
        let config = config::Server { name: name.into(), id, ..config::Server::default() };
        Server::new(config, vec![Target::Inet(([127, 0, 0, 1], port).into())])
    };
    (1..).zip(names).map(server).collect()
}

/// Key and server of each entry, the oldest first.
fn shown(table: &Table, now_ms: u64) -> String {
    let shown = |entry: TableEntry| format!("{}={}", String::from_utf8_lossy(&entry.key), entry.server_key);
    table.entries(now_ms).into_iter().map(shown).collect::<Vec<_>>().join(" ")
}

fn server_of(table: &Table, key: &str, all: &[Server], now_ms: u64) -> Option<usize> {
    table.find(key.as_bytes(), all, now_ms).and_then(|(_, server)| server)
}

#[test]
fn a_client_keeps_its_server() {
    let all = servers(&[("a", 1), ("b", 2)]);
    let table = Table::new(config(10, 0));
    assert_eq!(server_of(&table, "x", &all, 0), None);
    table.store(b"x", &all, 1, 0);
    table.store(b"y", &all, 0, 0);
    assert_eq!(server_of(&table, "x", &all, 5), Some(1));
    // Another server has answered meanwhile.
    table.store(b"x", &all, 0, 6);
    assert_eq!(server_of(&table, "x", &all, 7), Some(0));
    assert_eq!(shown(&table, 7), "y=a x=a");
}

#[test]
fn a_full_table_gives_up_its_oldest_entry() {
    let all = servers(&[("a", 1)]);
    let table = Table::new(config(3, 0));
    for key in [b"1", b"2", b"3"] {
        table.store(key, &all, 0, 0);
    }
    // Used again: it is not the oldest any more, although all this was within one millisecond.
    table.find(b"1", &all, 0);
    table.store(b"4", &all, 0, 0);
    assert_eq!(shown(&table, 0), "3=a 1=a 4=a");
    table.store(b"3", &all, 0, 0);
    table.store(b"5", &all, 0, 0);
    assert_eq!(shown(&table, 0), "4=a 3=a 5=a");
}

#[test]
fn with_nopurge_a_full_table_takes_no_new_client() {
    let all = servers(&[("a", 1), ("b", 2)]);
    let table = Table::new(StickTable { nopurge: true, ..config(2, 100) });
    table.store(b"1", &all, 0, 0);
    table.store(b"2", &all, 0, 50);
    table.store(b"3", &all, 0, 60);
    table.store(b"2", &all, 1, 60);
    assert_eq!(shown(&table, 60), "1=a 2=b");
    // What has expired makes room.
    table.store(b"3", &all, 0, 100);
    assert_eq!(shown(&table, 100), "2=b 3=a");
}

#[test]
fn an_entry_expires_after_its_last_use() {
    let all = servers(&[("a", 1)]);
    let table = Table::new(config(10, 1_000));
    table.store(b"x", &all, 0, 100);
    assert_eq!(server_of(&table, "x", &all, 1_099), Some(0));
    assert_eq!(table.entries(1_099)[0].expires_in_ms, Some(1_000));
    assert_eq!(table.entries(1_500)[0].expires_in_ms, Some(599));
    assert_eq!(server_of(&table, "x", &all, 2_098), Some(0));
    assert!(table.entries(3_098).is_empty());
    assert_eq!(server_of(&table, "x", &all, 3_098), None);
    // Without `expire` it stays.
    let table = Table::new(config(10, 0));
    table.store(b"x", &all, 0, 0);
    assert_eq!(server_of(&table, "x", &all, u64::MAX), Some(0));
    assert_eq!(table.entries(u64::MAX)[0].expires_in_ms, None);
}

#[test]
fn a_store_for_an_entry_that_has_gone_stores_nothing() {
    let all = servers(&[("a", 1), ("b", 2)]);
    let table = Table::new(config(1, 0));
    table.store(b"x", &all, 0, 0);
    let (place, _) = table.find(b"x", &all, 0).unwrap();
    table.store(b"y", &all, 0, 0);
    table.store_at(place, &all, 1, 0);
    assert_eq!(shown(&table, 0), "y=a");
    let place = table.place(b"y").unwrap();
    table.store_at(place, &all, 1, 0);
    assert_eq!(shown(&table, 0), "y=b");
    assert!(table.place(b"x").is_none());
}

#[test]
fn a_reload_keeps_the_entries() {
    let old = servers(&[("a", 1), ("b", 2), ("c", 3)]);
    let table = Table::new(config(10, 0));
    for (at, key) in [b"1", b"2", b"3"].into_iter().enumerate() {
        table.store(key, &old, at, 0);
    }
    assert!(table.goes_on_as(&Table::new(config(2, 500))));
    assert_eq!(shown(&table, 0), "2=b 3=c", "the size holds, and the oldest goes");
    assert_eq!(table.entries(100)[0].expires_in_ms, Some(400));
    // Servers are known by their names, wherever they stand now.
    let new = servers(&[("c", 3), ("z", 9), ("b", 7)]);
    assert_eq!(server_of(&table, "2", &new, 0), Some(2));
    assert_eq!(server_of(&table, "3", &new, 0), Some(0));
    // In a backend that has no server of that name the number counts.
    let other = servers(&[("n1", 1), ("n2", 2)]);
    assert_eq!(server_of(&table, "2", &other, 0), Some(1));
    assert_eq!(server_of(&table, "3", &other, 0), None);
    let keys = StickTable { key_bytes_max: 9, ..config(2, 500) };
    assert!(!table.goes_on_as(&Table::new(keys)), "other keys");
    assert!(!table.goes_on_as(&Table::new(StickTable { name: "u".into(), ..config(2, 500) })));
}

#[test]
fn servers_can_be_known_by_their_addresses() {
    let table = Table::new(StickTable { by_address: true, ..config(10, 0) });
    table.store(b"x", &servers(&[("a", 1), ("b", 2)]), 1, 0);
    assert_eq!(table.entries(0)[0].server_key.as_ref(), "127.0.0.1:2");
    let new = servers(&[("b", 1), ("c", 5), ("d", 2)]);
    assert_eq!(server_of(&table, "x", &new, 0), Some(2));
}

/// What a table does, done in the simplest way.
#[derive(Default)]
struct Model {
    entries: BTreeMap<u32, (usize, u64)>,
    order: Vec<u32>,
}

impl Model {
    fn touch(&mut self, key: u32) {
        self.order.retain(|&known| known != key);
        self.order.push(key);
    }

    fn expire(&mut self, now_ms: u64, expire_ms: u64) {
        let alive = |&(_, used_ms): &(usize, u64)| now_ms - used_ms < expire_ms;
        self.entries.retain(|_, entry| alive(entry));
        let entries = &self.entries;
        self.order.retain(|key| entries.contains_key(key));
    }
}

#[test]
fn a_table_does_what_a_simple_model_does() {
    let all = servers(&[("a", 1), ("b", 2), ("c", 3)]);
    let mut state = 0x2545_f491_u32;
    let mut random = |below: u32| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % below
    };
    for (size, keys, expire_ms) in [(1, 3, 40), (7, 20, 1_000_000), (300, 500, 900), (900, 400, 1_500)] {
        let table =
            Table::new(StickTable { kind: KeyKind::Integer, key_bytes_max: 4, ..config(size, expire_ms) });
        let mut model = Model::default();
        let mut now_ms = 0;
        for step in 0..6_000 {
            now_ms += u64::from(random(3));
            model.expire(now_ms, expire_ms);
            let key = random(keys);
            let bytes = key.to_be_bytes();
            if random(2) == 0 {
                let found = table.find(&bytes, &all, now_ms).and_then(|(_, server)| server);
                assert_eq!(found, model.entries.get(&key).map(|(server, _)| *server), "{size}, step {step}");
                if let Some((_, used_ms)) = model.entries.get_mut(&key) {
                    *used_ms = now_ms;
                    model.touch(key);
                }
                continue;
            }
            let server = random(3) as usize;
            match table.place(&bytes).filter(|_| model.entries.contains_key(&key)) {
                Some(place) => table.store_at(place, &all, server, now_ms),
                None => table.store(&bytes, &all, server, now_ms),
            }
            if !model.entries.contains_key(&key) && model.entries.len() == size as usize {
                let oldest = model.order.remove(0);
                model.entries.remove(&oldest);
            }
            model.entries.insert(key, (server, now_ms));
            model.touch(key);
        }
        let shown: Vec<(Vec<u8>, u32)> =
            table.entries(now_ms).into_iter().map(|entry| (entry.key.into(), entry.server_id)).collect();
        let expected: Vec<(Vec<u8>, u32)> = model
            .order
            .iter()
            .map(|key| (key.to_be_bytes().to_vec(), model.entries[key].0 as u32 + 1))
            .collect();
        assert_eq!(shown, expected, "{size}");
    }
}

#[test]
fn keys_of_any_length_are_kept_whole() {
    let all = servers(&[("a", 1)]);
    for len in [1, 4, 31, 5_000, 65_535] {
        let table = Table::new(StickTable { key_bytes_max: len, ..config(3, 0) });
        let keys: Vec<Vec<u8>> =
            (0..3).map(|at| vec![at; len as usize - at as usize % len as usize]).collect();
        for key in &keys {
            table.store(key, &all, 0, 0);
        }
        let kept: Vec<Box<[u8]>> = table.entries(0).into_iter().map(|entry| entry.key).collect();
        assert_eq!(kept.iter().map(|key| key.to_vec()).collect::<Vec<_>>(), keys, "{len}");
    }
}
