//! `make bench`: ostler beside plain gunicorn, on the same machine in one run, taking turns.
//!
//! Prints tables of medians, spreads and ratios; nothing here fails because something is slow.

#![allow(unreachable_pub, dead_code, unused_imports, reason = "shares the harness of the daemon's tests")]

#[path = "../../tests/daemon/harness/mod.rs"]
mod harness;
#[path = "../../tests/daemon/load/mod.rs"]
mod load;

mod numbers;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use harness::{ASGI, AppFile, Gunicorn, Master, Site, WSGI, kill, until};
use load::{Load, Tally, Target, get};
use numbers::{Series, kib, millis, row, table};

const ROUNDS: usize = 5;
const WORKERS: u32 = 2;

/// The worker classes, each with the app it serves.
const CLASSES: &[(&str, &[&str], &str)] = &[
    ("sync", &["-k", "sync"], WSGI),
    ("gthread", &["-k", "gthread", "--threads", "4"], WSGI),
    ("gevent", &["-k", "gevent"], WSGI),
    ("tornado", &["-k", "tornado"], WSGI),
    ("asgi", &["-k", "asgi"], ASGI),
    ("uvicorn", &["-k", "uvicorn_worker.UvicornWorker"], ASGI),
];

fn main() {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    println!("ostler {} beside gunicorn 27, {WORKERS} workers, {cpus} CPUs\n", env!("CARGO_PKG_VERSION"));
    throughput();
    reloads();
    recovery();
    memory();
}

fn shop(site: &Site, args: &[&str], workers: u32, text: &str) -> AppFile {
    site.app("shop").gunicorn(Gunicorn::V27).args(args).workers(workers).tcp().with("app.py", text).write()
}

fn plain(args: &[&str], workers: u32, text: &str) -> Master {
    let workers = workers.to_string();
    Master::start(Gunicorn::V27, text, &[args, &["--workers", &workers]].concat())
}

/// Asks without a pause for about two seconds; requests a second.
fn rate(target: &Target, keep_alive: bool) -> f64 {
    let load = Load::on(target).connections(8).keep_alive(keep_alive).pause(Duration::ZERO).start();
    until("the load has run", || (load.clock() > Duration::from_secs(2)).then_some(()));
    let took = load.clock();
    let tally = load.stop();
    assert_eq!(tally.lost(), 0, "a rate with losses is none: {tally}");
    tally.samples.len() as f64 / took.as_secs_f64()
}

fn throughput() {
    table("requests per second, keep-alive", &["class", "gunicorn", "ostler", "ratio"]);
    for (class, args, text) in CLASSES {
        let site = Site::new();
        let app = shop(&site, args, WORKERS, text);
        let ostlerd = site.start();
        ostlerd.serving("shop");
        let master = plain(args, WORKERS, text);
        let (mut theirs, mut ours) = (Series::default(), Series::default());
        // Sync closes after each request whatever the client says.
        for round in 0..ROUNDS {
            // By turns, and each goes first by turns.
            if round % 2 == 0 {
                theirs.add(rate(&master.target, true));
            }
            ours.add(rate(&app.target(), true));
            if round % 2 == 1 {
                theirs.add(rate(&master.target, true));
            }
        }
        row(&[class, &theirs.shown(0), &ours.shown(0), &format!("{:.2}", ours.median() / theirs.median())]);
    }
}

/// Three reloads of each under keep-alive load, of an app that takes a second to import.
fn reloads() {
    let columns = ["class", "gunicorn: lost", "worst", "ostler: lost", "worst"];
    table("three reloads under load, an app that takes 1 s to import", &columns);
    for (class, args, text) in CLASSES {
        let text = format!("{text}\nimport time\ntime.sleep(1)\n");
        let theirs = {
            let master = plain(args, WORKERS, &text);
            under_load(&master.target, || {
                let before = master.process().children();
                master.signal(Signal::SIGHUP);
                until("the old workers are gone", || {
                    let now = master.process().children();
                    before.iter().all(|pid| !now.contains(pid)).then_some(())
                });
            })
        };
        let ours = {
            let site = Site::new();
            let app = shop(&site, args, WORKERS, &text);
            let ostlerd = site.start();
            ostlerd.serving("shop");
            under_load(&app.target(), || drop(ostlerd.restart("shop")))
        };
        let worst = |tally: &Tally| millis(tally.worst(Duration::ZERO..Duration::MAX));
        let lost = |tally: &Tally| format!("{} of {}", tally.lost(), tally.samples.len());
        row(&[class, &lost(&theirs), &worst(&theirs), &lost(&ours), &worst(&ours)]);
    }
}

fn under_load(target: &Target, mut reload: impl FnMut()) -> Tally {
    let load = Load::on(target).keep_alive(true).start();
    for _ in 0..3 {
        load.more(100);
        reload();
    }
    load.more(100);
    load.stop()
}

/// From the death of the only worker to the next answer, as a visitor sees it.
fn recovery() {
    table("the only worker is killed: ms to the next answer", &["", "gunicorn", "ostler", "ratio"]);
    let site = Site::new();
    let app = shop(&site, &[], 1, WSGI);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let master = plain(&[], 1, WSGI);
    let (mut theirs, mut ours) = (Series::default(), Series::default());
    for _ in 0..ROUNDS {
        theirs.add(answer_after_death(&master.target));
        ours.add(answer_after_death(&app.target()));
        ostlerd.serving("shop");
    }
    row(&["sync", &theirs.shown(0), &ours.shown(0), &format!("{:.2}", ours.median() / theirs.median())]);
}

fn answer_after_death(target: &Target) -> f64 {
    let text = get(target, "/").expect("it serves").text();
    let pid: i32 = text.split(' ').next().and_then(|pid| pid.parse().ok()).expect("it says its number");
    let began = Instant::now();
    kill(pid, Signal::SIGKILL);
    until("somebody answers", || get(target, "/").ok());
    began.elapsed().as_secs_f64() * 1000.0
}

fn memory() {
    table("the supervisor itself, 4 workers", &["", "gunicorn", "ostler", "ratio"]);
    let args = ["-k", "gthread", "--threads", "4"];
    let site = Site::new();
    let app = shop(&site, &args, 4, WSGI);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let master = plain(&args, 4, WSGI);
    for target in [&app.target(), &master.target] {
        let load = Load::on(target).start();
        load.more(1000);
        load.stop().lost_nothing();
    }
    let (theirs, ours) = (master.process().pss(), ostlerd.process().pss());
    row(&["PSS", &kib(theirs), &kib(ours), &format!("{:.2}", ours as f64 / theirs as f64)]);
    let size = |path: &str| std::fs::metadata(path).map_or(0, |it| it.len());
    row(&["ostlerd on disk", "", &kib(size(env!("CARGO_BIN_EXE_ostlerd"))), ""]);
    row(&["ostler on disk", "", &kib(size(env!("CARGO_BIN_EXE_ostler"))), ""]);
}
