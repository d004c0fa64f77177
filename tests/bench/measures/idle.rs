//! What the supervisor costs while nobody comes.

use std::time::{Duration, Instant};

use crate::Effort;
use crate::app::SMALL;
use crate::contestants::{Contestant, Shop};
use crate::found::{Found, Table};
use crate::numbers::figure;
use crate::watch::{Used, pass};

const HOW: &str = "Processor time of every process that serves no client, and how often one of its threads was put on a \
    processor, with 4 workers and no requests, all contestants beside each other for 20 s.";

pub fn run(effort: Effort, with: &[Contestant]) -> Found {
    let with = effort.some(with);
    let mut found = Found::default();
    let mut table =
        Table::new("The supervisor while nobody comes", HOW, &["", "of a processor", "wake-ups per second"]);
    let servers: Vec<_> = with.iter().map(|it| it.start(&Shop::of(SMALL, 4))).collect();
    let supervisors: Vec<_> = servers.iter().map(|it| it.supervisor()).collect();
    // What starting has left to do.
    pass(effort.seconds(5.0));
    let began = Instant::now();
    let before: Vec<Used> = supervisors.iter().map(|it| Used::by(it)).collect();
    pass(effort.seconds(20.0));
    let time = began.elapsed().as_secs_f64();
    let used: Vec<Used> =
        supervisors.iter().zip(&before).map(|(it, before)| Used::by(it).since(*before)).collect();
    for (contestant, Used { cpu, switches }) in with.iter().zip(used) {
        let (share, wakes) = (cpu.as_secs_f64() / time * 100.0, switches as f64 / time);
        let (shown, wakes) = (format!("{} %", figure(share)), figure(wakes));
        table.row(&[contestant.title(), &shown, &wakes]);
        found.cell(contestant.title(), "idle: of a processor, wake-ups/s", format!("{shown}, {wakes}"));
        if *contestant == Contestant::Ostler {
            let figure = format!("{shown}, {wakes} wake-ups per second");
            found.aim("supervisor CPU, idle, 4 workers", "≤ 0.1 % of a core", figure, share <= 0.1);
        }
    }
    found.tables.push(table);
    found
}
