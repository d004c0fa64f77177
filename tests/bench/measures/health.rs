//! Health answers: how many a second, and how soon while every worker is busy.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Effort;
use crate::app::SMALL;
use crate::contestants::{Contestant, Ostler, SYNC, Server, Shop};
use crate::found::{Found, Table};
use crate::harness::kill;
use crate::load::{Connection, Target};
use crate::numbers::{Series, figure, millis};
use crate::watch::Used;
use crate::wrk;

const HOW: &str = "`/readyz` of ostlerd, which has one thread. Answers for each second of its own processor time are those of \
    a core that does nothing else. At 1,000 a second: 4 connections, from the request to the whole answer, while both workers \
    have a request that waits, and while both compute.";

const LIMIT: Duration = Duration::from_secs(60);

pub fn run(effort: Effort, _: &[Contestant]) -> Found {
    let mut found = Found::default();
    let ostler = Ostler::start(&Shop { class: SYNC, ..Shop::of(SMALL, 2) }, &[]);
    let (mut rate, mut on_a_core) = (Series::default(), Series::default());
    for _ in 0..effort.rounds(5) {
        let (before, began) = (Used::by(&[ostler.process()]), Instant::now());
        let answers = wrk::rate(&ostler.health, "/readyz", 32, effort.seconds(2.0));
        let used = Used::by(&[ostler.process()]).since(before);
        rate.add(answers);
        on_a_core.add(answers * began.elapsed().as_secs_f64() / used.cpu.as_secs_f64());
    }
    let waiting = busy(&ostler, "/sleep?60", || paced(&ostler.health, effort.seconds(5.0)));
    let computing = busy(&ostler, "/spin?60", || paced(&ostler.health, effort.seconds(5.0)));
    let mut table = Table::new("Health", HOW, &["", "ostler"]);
    table.row(&["answers per second, wrk beside it", &rate.shown("")]);
    table.row(&["answers per second of processor time", &on_a_core.shown("")]);
    for (name, times) in [("workers wait", &waiting), ("workers compute", &computing)] {
        let (p50, p99, worst) = (quantile(times, 50), quantile(times, 99), quantile(times, 100));
        let row = format!("{} / {} / {} ms of {}", figure(p50), figure(p99), figure(worst), times.len());
        table.row(&[&format!("at 1,000/s, {name}: median / p99 / worst"), &row]);
    }
    found.tables.push(table);
    let shown =
        format!("{}/s; {} for each second of its processor time", rate.shown(""), on_a_core.shown(""));
    found.aim("health answers on a core", "≥ 100,000/s", shown, rate.median() >= 100_000.0);
    let p99 = quantile(&waiting, 99);
    let what = "health p99 at 1,000/s while every worker is busy";
    let figure = format!(
        "{} ms; {} ms where they compute on every core",
        figure(p99),
        figure(quantile(&computing, 99))
    );
    found.aim(what, "< 1 ms", figure, p99 < 1.0);
    found
}

/// While both workers have such a request. They are killed after it: the requests are not waited for.
fn busy<T>(ostler: &Ostler, path: &str, measure: impl FnOnce() -> T) -> T {
    let workers = ostler.workers();
    let mut open: Vec<Connection> = Vec::new();
    for _ in &workers {
        let mut connection = Connection::open(&ostler.target(), LIMIT).expect("it listens");
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        open.push(connection);
    }
    ostler.all_busy();
    let measured = measure();
    workers.iter().for_each(|pid| kill(*pid, Signal::SIGKILL));
    drop(open);
    ostler.reloaded(&workers);
    ostler.serving();
    measured
}

/// Four connections, one request every 4 ms each: the times of all, in milliseconds, sorted.
fn paced(target: &Target, time: Duration) -> Vec<f64> {
    let began = Instant::now();
    let clients: Vec<_> = (0..4u32)
        .map(|number| {
            let target = target.clone();
            std::thread::spawn(move || {
                let mut connection = Connection::open(&target, LIMIT).expect("health listens");
                let (mut times, mut next) = (Vec::new(), began + Duration::from_millis(number.into()));
                while next < began + time {
                    // A pace; what comes late is not asked for twice.
                    while let Some(left) =
                        next.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())
                    {
                        std::thread::park_timeout(left);
                    }
                    let asked = Instant::now();
                    let answer = connection.ask("/readyz", "localhost", true).expect("health answers");
                    assert_eq!(answer.status, 200, "every worker is ready, if busy");
                    times.push(millis(asked.elapsed()));
                    next = (next + Duration::from_millis(4)).max(asked);
                }
                times
            })
        })
        .collect();
    let mut times: Vec<f64> = clients.into_iter().flat_map(|it| it.join().expect("no panic")).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn quantile(times: &[f64], percent: usize) -> f64 {
    times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or(f64::NAN)
}
