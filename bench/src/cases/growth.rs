//! How cost grows with connections, ACLs and servers; oneport and HAProxy.

use anyhow::{Context, Result};

use super::memory::weigh;
use super::small::by_clients;
use crate::bench::{Bench, Unit};
use crate::load::dialogue::Dialogue;
use crate::peers::{Peer, Settings};
use crate::results::{Growth, Spread};

const PEERS: [Peer; 2] = [Peer::Oneport, Peer::Haproxy];
const CONNECTIONS: [usize; 5] = [1, 16, 64, 256, 4_000];
const ACLS: [usize; 3] = [1, 100, 1_000];
const SERVERS: [usize; 3] = [1, 10, 200];
/// Connections where something else grows; also the base that 4,000 are compared with.
const BASE: usize = 64;
/// What one unit may cost at 4,000 connections, in units of its cost at 64.
const GOAL: f64 = 1.3;
/// There are many windows here, and each is steady.
const SECONDS: u32 = 1;

pub fn growth(bench: &mut Bench) -> Result<()> {
    connections(bench, "1 HTTP keep-alive", Dialogue::Http, Unit::REQUEST)?;
    connections(bench, "4 raw echo, 64 bytes", Dialogue::Raw, Unit::MESSAGE)?;
    for dialogue in Dialogue::ALL {
        memory(bench, dialogue)?;
    }
    http_by(bench, "ACLs", &ACLS, |acls| Settings { acls, ..Settings::default() })?;
    http_by(bench, "servers", &SERVERS, |servers| Settings { servers, ..Settings::default() })
}

/// CPU time of a unit, by how many connections there are.
fn connections(bench: &mut Bench, title: &str, dialogue: Dialogue, unit: Unit) -> Result<()> {
    let mut growth = empty(title, unit.cost, "connections");
    growth.compared = Some((BASE, 4_000, GOAL));
    for count in CONNECTIONS {
        measure(bench, &mut growth, count, &Settings::default(), unit, (dialogue, count))?;
    }
    file(bench, growth);
    Ok(())
}

/// CPU time of a request over 64 connections, by the size of the configuration.
fn http_by(
    bench: &mut Bench,
    of: &'static str,
    sizes: &[usize],
    settings: impl Fn(usize) -> Settings,
) -> Result<()> {
    let mut growth = empty("1 HTTP keep-alive, 64 connections", Unit::REQUEST.cost, of);
    for &size in sizes {
        measure(bench, &mut growth, size, &settings(size), Unit::REQUEST, (Dialogue::Http, BASE))?;
    }
    file(bench, growth);
    Ok(())
}

/// One size: the programs in turn, and the median of each.
fn measure(
    bench: &Bench,
    growth: &mut Growth,
    size: usize,
    settings: &Settings,
    unit: Unit,
    (dialogue, connections): (Dialogue, usize),
) -> Result<()> {
    let mut programs = bench.start_all(&PEERS, settings)?;
    let what = format!("growth of {}, {size} {}", growth.title, growth.of);
    let rounds = bench
        .rounds_of(&what, unit, &mut programs, SECONDS, |window| by_clients(window, dialogue, connections))?;
    for ((_, values), rounds) in growth.values.iter_mut().zip(rounds) {
        let costs: Vec<f64> = rounds.into_iter().map(|(cost, _)| cost).collect();
        values.push((size, Spread::of(&costs).context("no round")?.median));
    }
    Ok(())
}

/// Memory of an idle connection, by how many there are; every size in a process of its own, all at once.
fn memory(bench: &mut Bench, dialogue: Dialogue) -> Result<()> {
    let mut growth = empty(&format!("6 memory per idle {}", dialogue.name()), "KiB", "connections");
    let wanted: Vec<_> = CONNECTIONS.iter().flat_map(|&count| PEERS.map(|peer| (peer, count))).collect();
    for one in weigh(bench, &wanted, dialogue, false)? {
        let column = growth.values.iter_mut().find(|(label, _)| *label == one.label);
        column.context("an unknown program")?.1.push((one.count, one.each()));
    }
    file(bench, growth);
    Ok(())
}

fn empty(title: &str, unit: &'static str, of: &'static str) -> Growth {
    let values = PEERS.map(|peer| (peer.name().to_string(), Vec::new())).into();
    Growth { title: title.into(), unit, of, values, compared: None }
}

fn file(bench: &mut Bench, growth: Growth) {
    for (label, values) in &growth.values {
        let figures: Vec<String> = values.iter().map(|(size, value)| format!("{size}: {value:.2}")).collect();
        let title = &growth.title;
        bench.progress(&format!(
            " g {title}, by {}, {label}: {} ({})",
            growth.of,
            figures.join(", "),
            growth.unit
        ));
    }
    bench.results.growth.push(growth);
}
