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

const HOW: &str = "Requests a second, 1 worker (of more, the one that wakes first takes most connections, and chance decides), 8 \
    connections that stay open; both servers are up and asked by turns. Ratios are of the two of one round; medians, and the \
    range. The client of the tests reads and judges every answer, so it is slower. \
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

/// Processes differ by chance for as long as they live, so each class is measured on several.
const PROCESSES: usize = 3;

/// By wrk and by the tests' client: ours, theirs, and the ratio; and the ratio of what a request costs.
fn class_of(effort: Effort, contestants: &[Contestant], class: Class) -> ([[Series; 3]; 2], Series) {
    let shop = Shop { class, ..Shop::of(SMALL, 1) };
    let mut of: [[Series; 3]; 2] = Default::default();
    let mut cost = Series::default();
    for _ in 0..effort.rounds(PROCESSES) {
        let servers: Vec<_> = contestants.iter().map(|it| it.start(&shop)).collect();
        let workers: Vec<Vec<Proc>> =
            servers.iter().map(|it| it.workers().into_iter().map(Proc).collect()).collect();
        let targets: Vec<Target> = servers.iter().map(|it| it.target()).collect();
        let [by_wrk, by_client] = &mut of;
        for round in 0..effort.rounds(5) {
            let mut costs = [0.0; 2];
            rates(contestants, round, by_wrk, |at| {
                let before = Used::by(&workers[at]);
                let rate = wrk::rate(&targets[at], "/", 8, effort.seconds(1.0));
                costs[at] = Used::by(&workers[at]).since(before).cpu.as_secs_f64() / rate;
                rate
            });
            cost.add(costs[0] / costs[1]);
        }
        for round in 0..effort.rounds(2) {
            rates(contestants, round, by_client, |at| client(&targets[at], effort.seconds(1.0)));
        }
    }
    (of, cost)
}

/// Both of one round, and their ratio.
fn rates(contestants: &[Contestant], round: usize, of: &mut [Series; 3], mut rate: impl FnMut(usize) -> f64) {
    let mut rates = [0.0; 2];
    for (at, _) in by_turns(contestants, round) {
        rates[at] = rate(at);
        of[at].add(rates[at]);
    }
    of[2].add(rates[0] / rates[1]);
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
