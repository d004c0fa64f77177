//! A clock that jumps: what ostlerd measures and orders must not go by the time of day.

use std::fs;
use std::process::Command;

use ostler::observe::{AppStatus, Status};

use crate::harness::{Site, WSGI, ready};
use crate::load::Load;

/// A C library between ostlerd and the kernel: the time of day is so many seconds off as a file says.
const OFF: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        char text[32] = "";
        int file = open(getenv("CLOCK_OFF"), O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
            close(file);
        }
        now->tv_sec += atol(text);
    }
    return failed;
}
"#;

const YEARS: i64 = 10 * 365 * 86_400;

fn ages_are_sane(status: &Status) {
    for worker in status.apps.iter().flat_map(|app| &app.workers) {
        assert!((0.0..3600.0).contains(&worker.age_seconds), "{worker:?}");
    }
}

#[test]
fn a_clock_that_jumps_to_and_fro_loses_nothing_and_ends_nobody() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(2).with("app.py", WSGI).write();
    let (source, library, off) = (site.path("off.c"), site.path("off.so"), site.path("off"));
    fs::write(&source, OFF).expect("the site is ours");
    fs::write(&off, "0").expect("the site is ours");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.expect("a compiler is there: Rust links with it").success());
    let mut command = site.command();
    command.env("LD_PRELOAD", &library).env("CLOCK_OFF", &off);
    let ostlerd = site.start_by(command);
    ostlerd.serving("shop");
    let load = Load::on(&app.target()).start();
    for (turn, jump) in [YEARS, -YEARS, 0, -86_400, 3600].into_iter().enumerate() {
        fs::write(&off, jump.to_string()).expect("the site is ours");
        let before = ostlerd.app("shop");
        // What is counted in its slot is seen with the heartbeat, by which a worker is judged.
        let seen = |app: &AppStatus| app.workers.iter().map(|worker| worker.requests).sum::<u64>();
        for _ in 0..2 {
            let last = seen(&ostlerd.app("shop"));
            ostlerd.wait("shop", "was looked at", |app| seen(app) > last);
        }
        let ids = |app: &AppStatus| ready(app).iter().map(|worker| worker.id).collect::<Vec<_>>();
        assert_eq!(ids(&before), ids(&ostlerd.app("shop")), "a jump of {jump} s ended somebody");
        ages_are_sane(&ostlerd.status());
        ostlerd.ostler(&["restart", "shop"]).exits(0).says(&[&format!("generation g{} serves", turn + 2)]);
        ostlerd.ostler(&["wait", "shop"]).exits(0);
        ages_are_sane(&ostlerd.status());
    }
    load.stop().lost_nothing();
    assert!(!ostlerd.log().contains("hung"), "{}", ostlerd.log());
    let ahead = ostlerd.log().lines().any(|line| {
        let year = line.get(..4).and_then(|year| year.parse::<i64>().ok());
        year.is_some_and(|year| year > 2035)
    });
    assert!(ahead, "its clock has not jumped:\n{}", ostlerd.log());
}
