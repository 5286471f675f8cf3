//! Case 5: one GiB through an HTTP answer, and through a tunnel each way.

use anyhow::Result;

use crate::backends::BULK_BYTES;
use crate::bench::{Bench, Cost, Plan, Unit, Window};
use crate::load::bulk::{Direction, fetch, tunnel};
use crate::load::{Done, dialogue::Dialogue};
use crate::peers::{Peer, Program, Settings, Work};
use crate::results::Measure;

/// HAProxy with splicing asked for; HAProxy as it is does not splice.
const SPLICING: &str = "HAProxy, splice";
/// The same with pipes as large as oneport's own: HAProxy's are the kernel's default otherwise.
const SPLICING_LARGE: &str = "HAProxy, splice, pipes of 256 KiB";
const LARGE_PIPES: &str = "    tune.pipesize 262144\n";
const SPLICE: &str = "    option splice-auto\n    option splice-request\n    option splice-response\n";
const GOAL_SPLICING: f64 = 1.00;
const GOAL_COPYING: f64 = 0.6;

pub fn bulk(bench: &mut Bench) -> Result<()> {
    let bytes = if bench.quick { BULK_BYTES / 16 } else { BULK_BYTES };
    // The file's pages are in memory before anybody is measured.
    fetch(bench.stage.backends.www.tcp, BULK_BYTES)?;
    let answer = "1 GiB through an HTTP answer";
    both_ways_of_haproxy(bench, answer, Work::BulkAnswer, |window| {
        window.measure(|| fetch(window.program.address(Dialogue::Http), BULK_BYTES))
    })?;
    for (title, direction) in [
        ("1 GiB through a tunnel, to the server", Direction::ToServer),
        ("1 GiB through a tunnel, to the client", Direction::ToClient),
    ] {
        both_ways_of_haproxy(bench, title, Work::BulkTunnel, |window| {
            window.measure(|| tunnel(window.program.bulk_front, bytes, direction))
        })?;
    }
    Ok(())
}

/// Measures once, and files two ratios: to HAProxy with splicing (the better of two sizes of pipes) and without.
fn both_ways_of_haproxy(
    bench: &mut Bench,
    title: &str,
    work: Work,
    load: impl Fn(&Window) -> Result<(Done, Cost)>,
) -> Result<()> {
    let (peers, mut notes) = bench.able(&[work], &Peer::ALL);
    notes.push("nginx: proxy_max_temp_file_size 0, or it would write the answer to the disk".into());
    let mut programs = bench.start_all(&peers, &Settings::default())?;
    let splicing = Settings { defaults: SPLICE, ..Settings::default() };
    programs.insert(2, Program::start_as(&bench.stage, Peer::Haproxy, SPLICING, &splicing)?);
    let large = Settings { global: LARGE_PIPES, ..splicing };
    programs.insert(3, Program::start_as(&bench.stage, Peer::Haproxy, SPLICING_LARGE, &large)?);
    let plan = Plan {
        case: "5",
        title,
        unit: Unit::GIB,
        goal: Some(GOAL_SPLICING),
        calls: false,
        against: &[SPLICING, SPLICING_LARGE],
        notes: notes.clone(),
    };
    bench.run(plan, &mut programs, load)?;
    if let Some(with_splice) = bench.results.measures.last() {
        let copying = Measure {
            values: with_splice
                .values
                .iter()
                .filter(|(label, _)| ![SPLICING, SPLICING_LARGE].contains(&label.as_str()))
                .cloned()
                .collect(),
            goal: Some(GOAL_COPYING),
            ..Measure::new("5", &format!("{title}, HAProxy without splicing"), Unit::GIB.cost)
        };
        bench.results.measures.push(copying);
    }
    Ok(())
}
