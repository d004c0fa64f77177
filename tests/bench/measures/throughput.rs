//! Throughput of the same worker class: ostlerd is no part of a request's way, and the shim costs next to nothing.

use std::time::Duration;

use crate::Effort;
use crate::app::SMALL;
use crate::contestants::{CLASSES, Class, Contestant, Shop};
use crate::found::{Found, Table};
use crate::harness::{Proc, until};
use crate::load::{Load, Target};
use crate::numbers::{Series, figure};
use crate::watch::Used;
use crate::wrk;

use super::{beside_gunicorn, by_turns};

const HOW: &str = "Requests a second, 2 workers, 8 connections that stay open; both servers are up and asked by turns. Ratios \
    are of the two of one round; medians, and the range. The client of the tests reads and judges every answer, so it is slower. \
    Of the processor: what the workers used for a request of wrk's, ostler's against gunicorn's, which other work on the machine \
    changes less.";

pub fn run(effort: Effort, with: &[Contestant]) -> Found {
    let mut found = Found::default();
    let columns = [
        "class",
        "gunicorn, wrk",
        "ostler, wrk",
        "ratio",
        "gunicorn, client",
        "ostler, client",
        "ratio",
        "of the processor",
    ];
    let mut table = Table::new("Throughput", HOW, &columns);
    let contestants = beside_gunicorn(with);
    if contestants.len() < 2 {
        return found;
    }
    let mut ratios: Vec<(&str, f64)> = Vec::new();
    for class in CLASSES.iter().take(effort.rounds(CLASSES.len())) {
        let ([by_wrk, by_client], cost) = class_of(effort, &contestants, *class);
        let mut cells = vec![class.name.to_owned()];
        for [ours, theirs, ratio] in [&by_wrk, &by_client] {
            cells.extend([theirs.shown(""), ours.shown(""), ratio.shown("×")]);
        }
        cells.push(cost.shown("×"));
        table.row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
        ratios.push((class.name, by_wrk[2].median()));
    }
    found.tables.push(table);
    let shown: Vec<String> =
        ratios.iter().map(|(class, ratio)| format!("{class} {}×", figure(*ratio))).collect();
    let met = ratios.iter().all(|(_, ratio)| *ratio >= 0.98);
    found.aim("throughput of the same worker class", "≥ 0.98×", shown.join(", "), met);
    found
}

/// By wrk and by the tests' client: ours, theirs, and the ratio; and the ratio of what a request costs.
fn class_of(effort: Effort, contestants: &[Contestant], class: Class) -> ([[Series; 3]; 2], Series) {
    let shop = Shop { class, ..Shop::of(SMALL, 2) };
    let servers: Vec<_> = contestants.iter().map(|it| it.start(&shop)).collect();
    let workers: Vec<Vec<Proc>> =
        servers.iter().map(|it| it.workers().into_iter().map(Proc).collect()).collect();
    let mut of: [[Series; 3]; 2] = Default::default();
    let mut cost = Series::default();
    let ways: [fn(&Target, Duration) -> f64; 2] = [|target, time| wrk::rate(target, "/", 8, time), client];
    for round in 0..effort.rounds(5) {
        for ((way, of), at_wrk) in ways.iter().zip(&mut of).zip([true, false]) {
            let (mut rates, mut costs) = ([0.0; 2], [0.0; 2]);
            for (at, _) in by_turns(contestants, round) {
                let before = Used::by(&workers[at]);
                rates[at] = way(&servers[at].target(), effort.seconds(1.0));
                costs[at] = Used::by(&workers[at]).since(before).cpu.as_secs_f64() / rates[at];
                of[at].add(rates[at]);
            }
            of[2].add(rates[0] / rates[1]);
            if at_wrk {
                cost.add(costs[0] / costs[1]);
            }
        }
    }
    (of, cost)
}

/// Asks without a pause.
fn client(target: &Target, time: Duration) -> f64 {
    let load = Load::on(target).connections(8).keep_alive(true).pause(Duration::ZERO).start();
    until("the load has run", || (load.clock() > time).then_some(()));
    let took = load.clock();
    let tally = load.stop();
    assert_eq!(tally.lost(), 0, "a rate with losses is none: {tally}");
    tally.samples.len() as f64 / took.as_secs_f64()
}
