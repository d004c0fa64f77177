//! The worst latency in a rollout of an app that takes two seconds to import, against the steady state.

use std::time::Duration;

use crate::Effort;
use crate::app::App;
use crate::contestants::{Contestant, Shop};
use crate::found::{Bar, Found, Table};
use crate::load::{Load, Tally};
use crate::numbers::{Series, figure, millis};
use crate::watch::pass;

use super::by_turns;

const HOW: &str = "Reloads of an app that takes 2 s to import, 2 workers of 4 threads, under three connections that close \
    and three that stay (uWSGI: six that close, for its HTTP socket keeps none). Before it: the worst of as many seconds without a reload. Medians of the rounds, and the range.";

#[derive(Default)]
struct Of {
    steady: Series,
    worst: Series,
    ratio: Series,
    p99: Series,
    took: Series,
    lost: usize,
    asked: usize,
}

pub fn run(effort: Effort, with: &[Contestant]) -> Found {
    let mut of: Vec<Of> = with.iter().map(|_| Of::default()).collect();
    for round in 0..effort.rounds(5) {
        for (at, contestant) in by_turns(with, round) {
            once(effort, contestant, &mut of[at]);
        }
    }
    shown(with, &of)
}

fn once(effort: Effort, contestant: Contestant, of: &mut Of) {
    let import = if effort.quick { 0.2 } else { 2.0 };
    let settle = effort.quick.then_some("300ms");
    let server = contestant.start(&Shop { settle, ..Shop::of(App::slow(import), 2) });
    let on = |keep_alive| {
        Load::on(&server.target()).connections(3).keep_alive(keep_alive && server.keeps_alive()).start()
    };
    let loads = [on(false), on(true)];
    // The first requests find cold code.
    loads.iter().for_each(|load| load.more(50));
    let begin = loads[0].clock();
    pass(effort.seconds(5.0));
    let asked = loads[0].clock();
    server.reload();
    let done = loads[0].clock() + Duration::from_millis(200);
    loads.iter().for_each(|load| load.more(50));
    let tallies = loads.map(|load| load.stop());
    let worst = |from, to| {
        let worst = tallies.iter().map(|tally| tally.worst(from..to)).max().unwrap_or_default();
        millis(worst)
    };
    let (steady, reload) = (worst(begin, asked), worst(asked, done));
    of.steady.add(steady);
    of.worst.add(reload);
    of.ratio.add(reload / steady);
    of.p99.add(tallies.iter().map(|tally| millis(tally.p99(asked..done))).fold(0.0, f64::max));
    of.took.add((done - asked).as_secs_f64() - 0.2);
    of.lost += tallies.iter().map(Tally::lost).sum::<usize>();
    of.asked += tallies.iter().map(|tally| tally.samples.len()).sum::<usize>();
    if contestant == Contestant::Ostler && of.lost > 0 {
        tallies.iter().for_each(|tally| println!("  {tally}"));
    }
}

fn shown(with: &[Contestant], of: &[Of]) -> Found {
    let mut found = Found::default();
    let columns = ["", "lost", "worst before it", "worst in it", "ratio", "p99 in it", "the reload took"];
    let mut table = Table::new("Latency in a reload", HOW, &columns);
    for (contestant, of) in with.iter().zip(of) {
        let lost = format!("{} of {}", of.lost, of.asked);
        let (steady, worst) = (of.steady.shown("ms"), of.worst.shown("ms"));
        let cells = [
            contestant.title(),
            &lost,
            &steady,
            &worst,
            &of.ratio.shown("×"),
            &of.p99.shown("ms"),
            &of.took.shown("s"),
        ];
        table.row(&cells);
        found.cell(contestant.title(), "requests lost in a reload", lost);
        found.cell(contestant.title(), "worst latency in it", format!("{} ms", figure(of.worst.median())));
        found.bars.push(Bar {
            contestant: contestant.title(),
            steady: of.steady.median(),
            worst: of.worst.median(),
            lost: of.lost,
            asked: of.asked,
        });
        if *contestant == Contestant::Ostler {
            let what = "worst latency in a rollout, app that takes 2 s to import, against steady state";
            let figure = format!("{}: {worst} against {steady}", of.ratio.shown("×"));
            found.aim(what, "≤ 1.5×", figure, of.ratio.median() <= 1.5);
            if of.lost > 0 {
                found.lost.push(format!("{} in rollouts of a slow app", of.lost));
            }
        }
    }
    found.tables.push(table);
    found
}
