//! Draining the machine, and what comes before the end: readiness fails, clients are served on.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use ostler::supervise::AppState;

use crate::harness::{AppFile, Ostlerd, Site, WSGI, eventually, until};
use crate::load::Load;

fn shop(site: &Site) -> AppFile {
    site.app("shop").args(&["-k", "gthread", "--threads", "4"]).tcp().workers(2).with("app.py", WSGI)
}

/// A site with this `[edge]`, and its app.
fn behind(edge: &str) -> (Site, AppFile) {
    let site = Site::new();
    fs::write(site.config(), format!("[edge]\n{edge}\n")).expect("the site is ours");
    let app = shop(&site).write();
    (site, app)
}

fn wait_for_draining(ostlerd: &Ostlerd<'_>, yes: bool) {
    until(format!("draining is {yes}"), || (ostlerd.status().draining == yes).then_some(()));
}

#[test]
fn a_drain_goes_on_serving_until_it_is_ended() {
    let (site, app) = behind("delay = \"300ms\"");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    let load = Load::on(&app.target()).keep_alive(true).start();
    ostlerd.ostler(&["drain"]).exits(0).says(&["draining: readiness fails", "drained: readiness has failed"]);
    let drain = ostlerd.status().drain.expect("it drains");
    assert!(drain.since_seconds >= 0.3 && drain.edge_wait_seconds == 0.0, "{drain:?}");
    assert!(drain.ends_in_seconds.is_none() && !drain.stopping, "{drain:?}");
    ostlerd.ostler(&["status"]).exits(0).says(&["draining since", "ostler undrain"]);
    load.more(50);
    assert_eq!(ostlerd.pids("shop"), before, "nobody was ended");
    ostlerd.ostler(&["undrain"]).exits(0).says(&["undrained"]);
    assert!(!ostlerd.status().draining);
    ostlerd.logs("undrained: readiness follows");
    load.stop().lost_nothing();
    ostlerd.ostler(&["undrain"]).exits(0).says(&["was not drained"]);
}

#[test]
fn a_second_drain_joins_the_first() {
    let (site, _) = behind("delay = \"300ms\"");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.ostler(&["drain", "--for", "1h"]).exits(0);
    ostlerd.ostler(&["drain", "--for", "1s"]).exits(0).says(&["drained"]);
    let left = ostlerd.status().drain.and_then(|drain| drain.ends_in_seconds);
    assert!(left.is_some_and(|left| left > 3000.0), "the longer counts: {left:?}");
    ostlerd.ostler(&["drain"]).exits(0);
    assert_eq!(ostlerd.status().drain.map(|drain| drain.ends_in_seconds), Some(None));
}

#[test]
fn a_drain_for_a_while_ends_by_itself() {
    let (site, _) = behind("preset = \"alb\"\ndelay = \"100ms\"");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let said = ostlerd.ostler(&["drain", "--for", "700ms", "--json"]).exits(0);
    said.says(&["\"event\":\"draining\"", "\"outcome\":\"done\""]);
    wait_for_draining(&ostlerd, false);
    ostlerd.logs("undrained");
}

#[test]
fn a_drain_for_no_time_is_a_usage_error() {
    let (site, _) = behind("preset = \"none\"");
    let ostlerd = site.start();
    for length in ["0s", "31d", "soon"] {
        ostlerd.ostler(&["drain", "--for", length]).exits(64).says(&["--for"]);
    }
    assert!(!ostlerd.status().draining);
}

#[test]
fn an_app_is_deployed_while_the_machine_drains() {
    let (site, _) = behind("preset = \"none\"");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.ostler(&["drain"]).exits(0).says(&["no delay"]);
    ostlerd.restart("shop").says(&["g2"]);
    assert!(ostlerd.status().draining, "a deployment ends no drain");
}

#[test]
fn term_serves_clients_for_the_edge_s_delay_and_then_ends() {
    let (site, app) = behind("delay = \"2s\"");
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    let load = Load::on(&app.target()).start();
    load.more(20);
    let asked = load.clock();
    ostlerd.signal(Signal::SIGTERM);
    wait_for_draining(&ostlerd, true);
    ostlerd.ostler(&["restart", "shop"]).exits(75).says(&["shutting down"]);
    ostlerd.ostler(&["undrain"]).exits(75);
    ostlerd.ostler(&["status"]).says(&["draining since", "ostlerd stops after it"]);
    assert_eq!(ostlerd.app("shop").state, AppState::Serving);
    assert!(ostlerd.ends().success());
    let ended = load.clock();
    assert!(ended - asked >= Duration::from_secs(2), "the edge had its delay: {:?}", ended - asked);
    load.stop().lost_nothing_before(asked + Duration::from_secs(2));
    assert_eq!(site.processes(), []);
}

#[test]
fn an_earlier_drain_counts_for_the_stop() {
    let (site, _) = behind("delay = \"12s\"");
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.ostler(&["drain"]).exits(0);
    ostlerd.signal(Signal::SIGTERM);
    let ended =
        eventually(Duration::from_secs(11), || ostlerd.log().contains("ostlerd has stopped").then_some(()));
    assert!(ended.is_some(), "it waits a second time:\n{}", ostlerd.log());
    assert!(ostlerd.ends().success());
}

#[test]
fn a_second_int_during_the_delay_ends_at_once() {
    let (site, _) = behind("delay = \"1h\"");
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.signal(Signal::SIGINT);
    wait_for_draining(&ostlerd, true);
    ostlerd.signal(Signal::SIGINT);
    ostlerd.ends();
    until("no process is left", || site.processes().is_empty().then_some(()));
}

#[test]
fn a_reload_brings_another_delay() {
    let (site, _) = behind("preset = \"alb\"");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    fs::write(site.config(), "[edge]\ndelay = \"200ms\"\n").expect("the site is ours");
    ostlerd.ostler(&["reload"]).exits(0);
    ostlerd.ostler(&["drain"]).exits(0).says(&["drained: readiness has failed"]);
}

#[test]
fn a_keep_alive_below_the_edge_s_is_warned_of() {
    let (site, app) = behind("preset = \"alb\"");
    let finding = "shop: the worker closes idle connections after 2 s (gunicorn's keepalive), but alb uses them \
                   again for 60 s";
    site.check().exits(0).says(&[finding, "set \"--keep-alive\", \"75\" in args"]);
    app.args(&["--keep-alive", "75"]).write();
    let said = site.check().exits(0);
    assert!(!said.all().contains("idle connections"), "{said}");
}

#[test]
fn a_mistyped_preset_is_refused_by_name() {
    let (site, _) = behind("preset = \"haporxy\"");
    site.ostler_check().exits(78).says(&["haporxy", "did you mean", "haproxy"]);
}
