//! What `preload` is for, and what the process of `gunicorn.conf.py` costs, in figures: printed and not judged, but for
//! what must never be worse.

use std::time::Instant;

use nix::sys::signal::Signal;

use crate::harness::{AppFile, DJANGO, Ostlerd, Proc, Site, WSGI, kill, ready, until};
use crate::load::get;

/// Some 60 MiB of small objects, and an import that takes its time.
const LARGE: &str = "
import time
time.sleep(0.3)
STOCK = [{'name': 'article %d' % number, 'price': number * 1.5, 'tags': [str(number), str(number + 1)]}
         for number in range(120_000)]
";

fn shop(site: &Site, preload: bool) -> AppFile {
    let text = format!("{LARGE}{WSGI}").replace(
        "    return \"%d %s\"",
        "    sum(it['price'] for it in STOCK[::100]); import gc; gc.collect()\n    return \"%d %s\"",
    );
    let preload = format!("preload = {preload}");
    site.app("shop").tcp().workers(4).key(&preload).with("app.py", &text).write()
}

/// A small Django app, with an import of its own and with gunicorn's settings in a file or not.
fn small(site: &Site, conf: bool) -> AppFile {
    let app = site.app("shop").args(&["-k", "gthread", "--threads", "4"]).tcp().workers(4);
    let text = DJANGO.replace("shop.example.com", "*").replace("REDIRECT=True", "REDIRECT=False");
    let app = app.with("app.py", &text).table("[limits]\nrestarts_per_minute = 1000");
    if conf { app.with("gunicorn.conf.py", "keepalive = 5\n").write() } else { app.write() }
}

/// Memory of the workers and of what they are forked from, when each has served and looked for garbage.
fn memory(ostlerd: &Ostlerd<'_>, app: &AppFile) -> u64 {
    let mut pids = ostlerd.pids("shop");
    let mut served = std::collections::BTreeSet::new();
    until("each worker has served", || {
        let text = get(&app.target(), "/").expect("it answers").text();
        served.insert(text.split(' ').next().unwrap_or_default().to_owned());
        (served.len() == pids.len()).then_some(())
    });
    pids.extend(ostlerd.app("shop").zygotes.iter().filter_map(|it| it.pid));
    pids.into_iter().map(|pid| Proc(pid).pss()).sum()
}

/// From SIGKILL of a worker to a ready one more, in milliseconds; the middle of nine.
fn kill_to_ready(ostlerd: &Ostlerd<'_>) -> u128 {
    let mut times: Vec<u128> = (0..9)
        .map(|_| {
            let app = ostlerd.serving("shop");
            let newest = app.workers.iter().map(|it| it.id.0).max().unwrap_or_default();
            let said = ostlerd.log().len();
            let began = Instant::now();
            kill(ready(&app)[0].pid.expect("it is ready"), Signal::SIGKILL);
            until("another is ready", || ostlerd.log()[said..].contains("(4 of 4)").then_some(()));
            let took = began.elapsed().as_millis();
            assert!(ostlerd.serving("shop").workers.iter().any(|it| it.id.0 > newest));
            took
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn preloaded_workers_take_less_memory_and_are_there_sooner() {
    let mut figures = Vec::new();
    for preload in [false, true] {
        let site = Site::new();
        let app = shop(&site, preload);
        let ostlerd = site.start();
        ostlerd.serving("shop");
        let memory = memory(&ostlerd, &app);
        let time = kill_to_ready(&ostlerd);
        println!("preload = {preload}: 4 workers {} MiB PSS, kill to ready {time} ms", memory >> 20);
        figures.push(memory);
    }
    println!("memory {:.2} of what it is without", figures[1] as f64 / figures[0] as f64);
    assert!(figures[1] < figures[0], "{figures:?}");
}

/// What a process has used of a processor, in the kernel's ticks of 10 ms.
fn processor_ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

#[test]
fn workers_with_a_file_of_settings_take_less_memory_and_are_there_sooner() {
    let mut figures = Vec::new();
    for conf in [false, true] {
        let site = Site::new();
        let app = small(&site, conf);
        let ostlerd = site.start();
        ostlerd.serving("shop");
        let (memory, time) = (memory(&ostlerd, &app), kill_to_ready(&ostlerd));
        let pids = ostlerd.pids("shop");
        let ticks = pids.iter().map(|pid| processor_ticks(*pid)).sum::<u64>() as f64 / pids.len() as f64;
        let zygotes = ostlerd
            .app("shop")
            .zygotes
            .iter()
            .filter_map(|it| it.pid)
            .map(|pid| Proc(pid).pss())
            .sum::<u64>();
        println!(
            "gunicorn.conf.py {conf}: 4 workers and what they are forked from {:.1} MiB PSS, {:.1} of it the latter's, \
             kill to ready {time} ms, of a processor until then {:.0} ms",
            memory as f64 / 1048576.0,
            zygotes as f64 / 1048576.0,
            ticks * 10.0,
        );
        figures.push(memory);
    }
    assert!(figures[1] < figures[0], "{figures:?}");
}
