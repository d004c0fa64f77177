//! From the death of the only worker to the next answer.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Effort;
use crate::app::SMALL;
use crate::contestants::{Contestant, Ostler, SYNC, Server, Shop};
use crate::found::{Found, Table};
use crate::harness::{Gunicorn, kill, until};
use crate::load::Connection;
use crate::numbers::{Series, figure, millis};

use super::by_turns;

const HOW: &str = "The only worker of a small app is killed (SIGKILL), and a client asks at once: milliseconds until it is \
    answered. The import: a fresh interpreter of the same environment that imports what a sync worker does, and the app.";

/// Who has not come back by then does not.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Of {
    took: Series,
    gave_up: bool,
}

pub fn run(effort: Effort, with: &[Contestant]) -> Found {
    let with = effort.some(with);
    let shop = Shop { class: SYNC, ..Shop::of(SMALL, 1) };
    let servers: Vec<_> = with.iter().map(|it| it.start(&shop)).collect();
    let zygote = Ostler::try_start(&shop, &[super::heap::PRELOAD]).ok();
    let mut of: Vec<Of> = with.iter().map(|_| Of::default()).collect();
    let (mut import, mut of_zygote) = (Series::default(), Series::default());
    for round in 0..effort.rounds(7) {
        import.add(import_time(&shop.text));
        for (at, contestant) in by_turns(with, round).filter(|(at, _)| !of[*at].gave_up).collect::<Vec<_>>() {
            match answer_after_death(&*servers[at]) {
                Some(took) => of[at].took.add(took),
                None if contestant == Contestant::Ostler => {
                    panic!("ostler did not come back within {LIMIT:?}")
                }
                None => of[at].gave_up = true,
            }
        }
        if let Some(ostler) = &zygote {
            of_zygote.add(answer_after_death(ostler).expect("ostler comes back"));
        }
    }
    let mut found = Found::default();
    let mut table = Table::new("A killed worker", HOW, &["", "to the next answer"]);
    table.row(&["the import alone", &import.shown("ms")]);
    for (contestant, Of { took, gave_up }) in with.iter().zip(&of) {
        let then = if *gave_up { ", then never" } else { "" };
        table.row(&[contestant.title(), &(took.shown("ms") + then)]);
        let cell = format!("{} ms{then}", figure(took.median()));
        found.cell(contestant.title(), "the only worker is killed: to the next answer", cell);
        if *contestant == Contestant::Ostler {
            let figure = format!("{}, import {}", took.shown("ms"), import.shown("ms"));
            let met = took.median() <= import.median() + 10.0;
            found.aim("killed worker to a ready one", "import time + 10 ms", figure, met);
        }
    }
    if zygote.is_some() {
        table.row(&["ostler, `preload = true`", &of_zygote.shown("ms")]);
        let met = of_zygote.median() <= 40.0;
        found.aim("killed worker to a ready one, preload", "40 ms", of_zygote.shown("ms"), met);
    }
    found.tables.push(table);
    found
}

/// The fresh interpreter.
fn import_time(text: &str) -> f64 {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    std::fs::write(folder.path().join("app.py"), text).expect("the folder is ours");
    let imports = "import gunicorn.app.wsgiapp, gunicorn.workers.sync, gunicorn.http, app";
    let mut command = Command::new(Gunicorn::V27.python());
    command.args(["-c", imports]).current_dir(&folder).env("PYTHONDONTWRITEBYTECODE", "1");
    let began = Instant::now();
    let status = command.status().expect("python starts");
    assert!(status.success(), "python cannot import the app: {status}");
    millis(began.elapsed())
}

/// Milliseconds; `None` where nobody answers any more.
fn answer_after_death(server: &dyn Server) -> Option<f64> {
    let target = server.target();
    let ask = |limit| Connection::open(&target, limit).and_then(|mut it| it.ask("/", "localhost", false));
    let pid = until("it has a worker", || match server.workers()[..] {
        [pid] => ask(LIMIT).ok().map(|_| pid),
        _ => None,
    });
    let began = Instant::now();
    kill(pid, Signal::SIGKILL);
    while ask(LIMIT).is_err() {
        if began.elapsed() > LIMIT {
            return None;
        }
        // A pace: what is measured is finer than a look every 25 ms.
        std::thread::park_timeout(Duration::from_millis(1));
    }
    Some(millis(began.elapsed()))
}
