//! Memory of the supervisor itself.

use crate::Effort;
use crate::app::SMALL;
use crate::contestants::{Contestant, Ostler, SYNC, Server, Shop};
use crate::found::{Found, Table};
use crate::load::Load;
use crate::numbers::{Series, mib};
use crate::watch::pss;

use super::by_turns;

const HOW: &str = "PSS of every process that serves no client, after 500 requests to 4 workers. Not counted: systemd, which \
    runs anyway. ostler with many workers: 200, or as many as memory allows.";

const WHAT: &str = "supervisor memory (PSS)";

pub fn run(effort: Effort, with: &[Contestant]) -> Found {
    let mut found = Found::default();
    let mut of: Vec<Series> = with.iter().map(|_| Series::default()).collect();
    for round in 0..effort.rounds(2) {
        for (at, contestant) in by_turns(with, round) {
            let server = contestant.start(&Shop::of(SMALL, 4));
            let load = Load::on(&server.target()).start();
            load.more(if effort.quick { 50 } else { 500 });
            drop(load.stop());
            of[at].add(mib(pss(&server.supervisor())));
        }
    }
    let mut table = Table::new("Memory of the supervisor", HOW, &["", "4 workers", "many workers"]);
    for (contestant, memory) in with.iter().zip(&of) {
        let many =
            if *contestant == Contestant::Ostler { many(effort, &mut found) } else { "–".to_owned() };
        table.row(&[contestant.title(), &memory.shown("MiB"), &many]);
        found.cell(
            contestant.title(),
            "memory of the supervisor, 4 workers",
            format!("{:.1} MiB", memory.median()),
        );
        if *contestant == Contestant::Ostler {
            found.aim(&format!("{WHAT}, 4 workers"), "≤ 4 MiB", memory.shown("MiB"), memory.median() <= 4.0);
        }
    }
    found.tables.push(table);
    found
}

/// ostler with many workers.
fn many(effort: Effort, found: &mut Found) -> String {
    let free = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = free
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse::<u64>().ok());
    // Some 20 MiB each, and half of the memory stays free.
    let count = if effort.quick { 8 } else { (free.unwrap_or(0) / (2 * 20 * 1024)).min(200) as u32 };
    let shop = Shop { class: SYNC, settle: Some("300ms"), ..Shop::of(SMALL, count) };
    let ostler = Ostler::start(&shop, &[]);
    let load = Load::on(&ostler.target()).start();
    load.more(if effort.quick { 50 } else { 2000 });
    drop(load.stop());
    let memory = mib(pss(&[ostler.process()]));
    let figure = format!("{memory:.1} MiB with {count}");
    found.aim(&format!("{WHAT}, 200 workers"), "≤ 6 MiB", figure.clone(), memory <= 6.0);
    figure
}
