//! Workers of an earlier ostlerd of which nothing is known any more.

use crate::harness::{ASGI, Proc, Site, WSGI, until};
use crate::load::{Load, Target};

#[test]
fn workers_that_nobody_knows_finish_what_they_have_and_no_visitor_is_lost() {
    let site = Site::new();
    let app = site.app("shop").tcp().unix().workers(2).with("app.py", WSGI).write();
    let other = site.app("blog").tcp().workers(1).with("app.py", ASGI);
    let other = other.args(&["-k", "uvicorn_worker.UvicornWorker"]).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    let before = [ostlerd.pids("shop"), ostlerd.pids("blog")].concat();
    let unix = Target::Unix(site.path("shop.sock"));
    let loads = [app.target(), unix, other.target()].map(|target| Load::on(&target).connections(3).start());
    loads.iter().for_each(|load| load.more(20));
    ostlerd.crash();
    std::fs::remove_file(site.path("run/state.json")).expect("it is there");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    ostlerd.logs("3 workers are left of which nothing is known");
    assert!(before.iter().all(|pid| !Proc(*pid).lives()), "one has two owners");
    loads.iter().for_each(|load| load.more(20));
    for load in loads {
        let tally = load.stop();
        println!("{tally}");
        tally.lost_nothing();
    }
}

#[test]
fn one_that_does_not_end_is_killed() {
    let site = Site::new();
    let stubborn =
        format!("import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n{WSGI}");
    site.app("shop").tcp().workers(1).with("app.py", &stubborn).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop")[0];
    ostlerd.crash();
    std::fs::write(site.path("run/state.json"), "").expect("it is ours");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.logs(&format!("process {before} has not finished in time and is killed"));
    until("it is gone", || (!Proc(before).lives()).then_some(()));
}
