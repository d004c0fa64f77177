//! `make bench`: ostler beside what a user would pick instead, on the same machine in one run, taking turns.
//!
//! ```text
//! contestants ──┐
//!               ├─ measures ─► Found ─┬─ report: results.md, README's table
//! app's text  ──┘                     └─ plot: results.svg
//! ```
//!
//! Nothing here fails because something is slow: only where something does not run, or ostler loses a request.
//! A run of everything writes the results; one of parts (`--only`, `--with`) and a quick one only print them.

#![allow(unreachable_pub, dead_code, unused_imports, reason = "shares the harness of the daemon's tests")]

#[path = "../../tests/daemon/harness/mod.rs"]
mod harness;
#[path = "../../tests/daemon/load/mod.rs"]
mod load;
#[path = "../../tests/systemd/machine.rs"]
mod machine;

mod app;
mod contestants;
mod found;
mod measures;
mod numbers;
mod plot;
mod report;
mod surroundings;
mod watch;
mod wrk;

use std::time::Instant;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use contestants::Contestant;
use found::Found;
use surroundings::Surroundings;

/// Ostler beside others: throughput, reloads, recovery, memory, health.
#[derive(Parser, Debug)]
pub struct Wishes {
    /// One round of everything with little load: shows that it runs, and nothing else.
    #[arg(long)]
    quick: bool,
    /// Only this measure; may be given again.
    #[arg(long, value_name = "MEASURE", value_parser = one_of(&measures::ALL.map(|it| it.name)))]
    only: Vec<String>,
    /// Only this contestant beside ostler; may be given again.
    #[arg(long, value_name = "CONTESTANT", value_parser = one_of(&Contestant::ALL.map(Contestant::name)))]
    with: Vec<String>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Whether it is only shown that everything runs.
    pub quick: bool,
}

impl Effort {
    /// So many rounds, or one.
    pub fn rounds(self, count: usize) -> usize {
        if self.quick { 1 } else { count }
    }

    /// All of them, or the first two: each has been started by another measure of a quick run.
    pub fn some(self, with: &[Contestant]) -> &[Contestant] {
        if self.quick { &with[..with.len().min(2)] } else { with }
    }

    /// So many seconds, or a moment.
    pub fn seconds(self, count: f64) -> std::time::Duration {
        std::time::Duration::from_secs_f64(if self.quick { count.min(0.5) } else { count })
    }
}

fn main() {
    let wishes = Wishes::parse();
    let effort = Effort { quick: wishes.quick };
    let measures: Vec<_> = measures::ALL.iter().filter(|it| named(&wishes.only, it.name)).collect();
    let wanted = Contestant::ALL.into_iter();
    let wanted = wanted.filter(|it| *it == Contestant::Ostler || named(&wishes.with, it.name()));
    let (with, left_out): (Vec<_>, Vec<_>) = wanted.partition(|it| it.is_here(effort));

    let surroundings = Surroundings::look();
    println!("{surroundings}");
    let mut found = Found::default();
    for contestant in left_out {
        let note = format!(
            "Left out: {}; root alone can boot the machine that it needs, and a quick run does not.",
            contestant.title()
        );
        println!("{note}");
        found.notes.push(note);
    }
    for measure in measures {
        let began = Instant::now();
        println!("\n{} ...", measure.name);
        let more = (measure.run)(effort, &with);
        more.print();
        println!("  ({} s)", began.elapsed().as_secs());
        found.add(more);
    }
    let surroundings = surroundings.again();
    let complete = wishes.only.is_empty() && wishes.with.is_empty();
    report::write(&found, &surroundings, complete && !wishes.quick);
    assert!(found.lost.is_empty(), "ostler lost requests: {}", found.lost.join("; "));
}

fn named(wishes: &[String], name: &str) -> bool {
    wishes.is_empty() || wishes.iter().any(|it| it == name)
}

fn one_of(names: &[&'static str]) -> PossibleValuesParser {
    PossibleValuesParser::new(names.iter().copied())
}
