//! A release that does not boot: what clients notice.

use std::time::Duration;

use crate::Effort;
use crate::app::{BROKEN, SMALL};
use crate::contestants::{Contestant, Shop};
use crate::found::{Found, Table};
use crate::load::{Connection, Load};
use crate::numbers::figure;
use crate::watch::pass;

const HOW: &str = "A release that raises an exception when it is imported, and the reload. Six connections that close ask \
    from two seconds before to four seconds after it. An answer in 2 s is one, whatever the time-out of a browser.";

const LIMIT: Duration = Duration::from_secs(2);

pub fn run(effort: Effort, with: &[Contestant]) -> Found {
    let with = effort.some(with);
    let mut found = Found::default();
    let mut table = Table::new("A release that does not boot", HOW, &["", "lost", "worst", "and then"]);
    for contestant in with {
        let server = contestant.start(&Shop { settle: Some("300ms"), ..Shop::of(SMALL, 2) });
        let load = Load::on(&server.target()).limit(LIMIT).start();
        pass(effort.seconds(2.0));
        server.release(BROKEN);
        server.ask();
        pass(effort.seconds(4.0));
        let answer =
            Connection::open(&server.target(), LIMIT).and_then(|mut it| it.ask("/", "localhost", false));
        let serves = answer.is_ok_and(|answer| answer.status == 200);
        let tally = load.stop();
        let lost = format!("{} of {}", tally.lost(), tally.samples.len());
        let worst = tally.worst(Duration::ZERO..Duration::MAX);
        let then = if serves { "serves" } else { "does not serve" };
        table.row(&[
            contestant.title(),
            &lost,
            &format!("{} ms", figure(worst.as_secs_f64() * 1000.0)),
            then,
        ]);
        let noticed = match (tally.lost(), serves) {
            (0, true) => "nothing".to_owned(),
            (_, true) => format!("{lost} lost"),
            (_, false) => "does not serve any more".to_owned(),
        };
        found.cell(contestant.title(), "a release that does not boot: clients notice", noticed);
        if *contestant == Contestant::Ostler {
            let met = tally.lost() == 0 && serves;
            found.aim(
                "a release that does not boot",
                "clients notice nothing",
                format!("{lost} lost, {then}"),
                met,
            );
            if !met {
                found.lost.push(format!("{lost} with a release that does not boot"));
                println!("  {tally}");
            }
        }
    }
    found.tables.push(table);
    found
}
