//! What happens a thousand times leaves no more behind than what happens once.
//!
//! `OSTLER_ROUNDS=n` is how often; 24 if it is not set.

use std::collections::BTreeMap;

use crate::harness::until;
use crate::load::Load;
use crate::machine::Machine;
use crate::site::{nobodys, put_shop, shop, start, target};

use super::unit::drop_in;

/// The first few may still open and learn what the rest does not.
const WARM: u32 = 8;

/// Everything that could grow.
fn counts(machine: &Machine) -> BTreeMap<&'static str, u64> {
    let main = machine.property("ostler", "MainPID");
    let of = |line: &str| {
        let text = machine.tell(line);
        text.parse().unwrap_or_else(|_| panic!("`{line}` says {text:?}"))
    };
    BTreeMap::from([
        ("descriptors of ostlerd", of(&format!("ls /proc/{main}/fd | wc -l"))),
        ("KiB of ostlerd", of(&format!("awk '/^VmRSS/ {{ print $2 }}' /proc/{main}/status"))),
        ("processes of the app", nobodys(machine).len() as u64),
        ("zombies", of("grep -lE '^[0-9]+ \\(.*\\) Z' /proc/[0-9]*/stat | wc -l")),
        ("units", of("systemctl list-units --all --no-legend 'ostler*' | wc -l")),
        ("streams of the journal", of("ls /run/systemd/journal/streams | wc -l")),
        ("sockets in systemd's store", of("systemctl show --value -p NFileDescriptorStore ostler")),
        ("files in /run/ostler", of("find /run/ostler | wc -l")),
        ("descriptors of systemd", of("ls /proc/1/fd | wc -l")),
    ])
}

/// Waits until nothing is under way and nobody is left who drains.
fn settle(machine: &Machine) {
    until("the app has its workers and no others", || {
        let app = shop(machine);
        let whole = app.rollout.is_none() && app.workers.len() == 2;
        (whole && nobodys(machine).len() == 2).then_some(())
    });
    until("scopes of the dead are gone", || {
        let scopes = machine.tell("systemctl list-units --all --no-legend 'ostler*.scope' | wc -l");
        (scopes == "1").then_some(())
    });
}

/// How often something is done again: `OSTLER_ROUNDS`, or else a few times.
pub fn rounds(few: u32) -> u32 {
    std::env::var("OSTLER_ROUNDS").map_or(few, |text| text.parse().expect("a number"))
}

#[test]
fn rollouts_crashes_restarts_and_re_executions_in_a_row_leave_nothing_behind() {
    let rounds = rounds(24);
    let machine = Machine::boot();
    drop_in(&machine, "RestartSec=20ms");
    put_shop(&machine, "workers = 2");
    start(&machine);
    let load = Load::on(&target(&machine)).connections(2).keep_alive(true).start();
    let mut first = None;
    for round in 0..rounds.max(WARM + 4) {
        // Rollouts in a row under one ostlerd too: what it keeps of each would add up.
        match if round < rounds / 4 { 0 } else { round % 4 } {
            0 => drop(machine.run(&["ostler", "restart", "shop"]).exits(0)),
            1 => {
                let main = machine.property("ostler", "MainPID");
                machine.run(&["systemctl", "kill", "--kill-who=main", "--signal=KILL", "ostler"]).exits(0);
                until("the next ostlerd is there", || {
                    let now = machine.property("ostler", "MainPID");
                    let active = machine.property("ostler", "ActiveState") == "active";
                    (active && now != main && now != "0").then_some(())
                });
            }
            2 => drop(machine.run(&["systemctl", "restart", "ostler"]).exits(0)),
            _ => drop(machine.run(&["ostler", "reexec"]).exits(0)),
        }
        if round == WARM || round % 100 == 99 {
            settle(&machine);
            let counts = counts(&machine);
            eprintln!("after {}: {counts:?}", round + 1);
            first.get_or_insert(counts);
        }
    }
    settle(&machine);
    let (first, last) = (first.expect("it was counted"), counts(&machine));
    eprintln!("after all: {last:?}");
    for (what, last) in last {
        // Memory is given in pages that the allocator keeps, and a descriptor or two are of the moment; a thousand times
        // the least leak is more than that.
        let most = match what {
            "KiB of ostlerd" => first[what] * 5 / 4,
            "descriptors of ostlerd" | "descriptors of systemd" => first[what] + 3,
            _ => first[what],
        };
        assert!(last <= most, "{what}: {} at first, {last} in the end", first[what]);
    }
    let tally = load.stop();
    eprintln!("{tally}");
    tally.lost_nothing();
}
