//! What systemd is told while something takes its time, and what it does where it hears nothing.

use std::time::Duration;

use super::unit::{PATIENT, drop_in};
use crate::harness::{eventually, until};
use crate::load::Load;
use crate::machine::Machine;
use crate::site::{put_shop, shop, start, target, visit, wait_for, write_shop};

/// Whether the unit stays in a state for longer than its own limit of ten seconds.
fn stays(machine: &Machine, state: &str) -> bool {
    let left = eventually(Duration::from_secs(12), || {
        (machine.property("ostler", "ActiveState") != state).then_some(())
    });
    left.is_none()
}

#[test]
fn a_reload_takes_as_long_as_its_rollout_and_the_unit_says_so() {
    let machine = Machine::boot();
    drop_in(&machine, "TimeoutStartSec=10s");
    put_shop(&machine, "");
    start(&machine);
    machine.write("/srv/shop/app.py", PATIENT);
    write_shop(&machine, "args = [\"--threads\", \"2\"]");
    let mut reload = machine.command(&["systemctl", "reload", "ostler"]).spawn().expect("sh starts");
    wait_for(&machine, "ostler", "ActiveState", "reloading");
    assert!(stays(&machine, "reloading"), "{}", machine.journal("ostler"));
    assert!(visit(&machine).contains("200 OK"));
    machine.write("/srv/go", "");
    assert!(reload.wait().expect("the child is ours").success(), "{}", machine.journal("ostler"));
    wait_for(&machine, "ostler", "ActiveState", "active");
    assert!(!machine.journal("ostler").contains("timed out"));
}

#[test]
fn a_change_of_the_files_is_a_reload_as_well() {
    let machine = Machine::boot();
    drop_in(&machine, "TimeoutStartSec=10s");
    put_shop(&machine, "");
    start(&machine);
    machine.write("/srv/shop/app.py", PATIENT);
    write_shop(&machine, "args = [\"--threads\", \"2\"]");
    wait_for(&machine, "ostler", "ActiveState", "reloading");
    assert!(stays(&machine, "reloading"), "{}", machine.journal("ostler"));
    // What begins meanwhile waits for its end, and for no longer.
    machine.write("/srv/go", "");
    wait_for(&machine, "ostler", "ActiveState", "active");
    machine.run(&["systemctl", "reload", "ostler"]).exits(0);
    assert_eq!(machine.property("ostler", "ActiveState"), "active");
    assert!(!machine.journal("ostler").contains("timed out"));
    write_shop(&machine, "wokers = 2");
    until("the files are refused", || machine.journal("ostler").contains("wokers").then_some(()));
    wait_for(&machine, "ostler", "ActiveState", "active");
}

#[test]
fn a_restart_waits_for_a_migration_that_takes_longer_than_the_units_limit() {
    let machine = Machine::boot();
    drop_in(&machine, "TimeoutStartSec=10s");
    put_shop(&machine, "");
    start(&machine);
    let command = "until test -e /srv/go; do sleep 0.05; done";
    write_shop(&machine, &format!("[migrate]\ncommand = [\"/bin/sh\", \"-c\", \"{command}\"]"));
    machine.run(&["ostler", "reload"]).exits(0);
    let mut restart = machine.command(&["systemctl", "restart", "ostler"]).spawn().expect("sh starts");
    wait_for(&machine, "ostler", "StatusText", "1 app serves; shop: migrating");
    assert!(stays(&machine, "activating"), "{}", machine.journal("ostler"));
    machine.write("/srv/go", "");
    assert!(restart.wait().expect("the child is ours").success(), "{}", machine.journal("ostler"));
    assert_eq!(machine.property("ostler", "ActiveState"), "active");
    assert_eq!(machine.processes("ostler-shop-g2.scope").len(), 1);
}

#[test]
fn an_ostlerd_whose_loop_stands_still_is_replaced_and_no_worker_notices() {
    let machine = Machine::boot();
    drop_in(&machine, "WatchdogSec=10s\nTimeoutAbortSec=1s");
    put_shop(&machine, "workers = 3");
    start(&machine);
    let workers = machine.processes("ostler-shop-g1.scope");
    let load = Load::on(&target(&machine)).connections(4).start();
    load.more(50);
    for time in 1..=3 {
        let before = machine.property("ostler", "MainPID");
        machine.tell(&format!("kill -STOP {before}"));
        until("another ostlerd serves", || {
            let now = machine.property("ostler", "MainPID");
            (now != "0" && now != before && machine.property("ostler", "ActiveState") == "active")
                .then_some(())
        });
        assert_eq!(machine.journal("ostler").matches("Watchdog timeout").count(), time);
        assert_eq!(shop(&machine).workers.len(), 3);
        load.more(50);
    }
    let tally = load.stop();
    eprintln!("{tally}");
    tally.lost_nothing();
    assert_eq!(machine.processes("ostler-shop-g1.scope"), workers);
}
