//! A stop that is a stop, whatever happens to ostlerd meanwhile; and what is none.

use std::process::{Child, Stdio};
use std::time::Duration;

use super::scopes::units;
use super::unit::drop_in;
use crate::harness::{eventually, until};
use crate::machine::Machine;
use crate::site::{put_shop, shop, start, status, visit, wait_for, write_shop};

/// A request of so many seconds, to its end.
fn slow_request(machine: &Machine, seconds: u32) -> Child {
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('/run/shop.sock')\n\
         s.sendall(b'GET /sleep?{seconds} HTTP/1.0\\r\\n\\r\\n')\n\
         print(b''.join(iter(lambda: s.recv(4096), b'')).decode())"
    );
    let slow =
        machine.command(&["python3", "-c", &script]).stdout(Stdio::piped()).spawn().expect("sh starts");
    until("the request is under way", || {
        shop(machine).workers.iter().any(|worker| worker.in_flight == 1).then_some(())
    });
    slow
}

#[track_caller]
fn answered(slow: Child) {
    let said = slow.wait_with_output().expect("the child is ours");
    assert!(String::from_utf8_lossy(&said.stdout).contains("200 OK"), "{said:?}");
}

/// Begins a stop, and returns once ostlerd has heard of it.
fn begin_stop(machine: &Machine) -> Child {
    let stop = machine.command(&["systemctl", "stop", "ostler"]).spawn().expect("sh starts");
    until("ostlerd drains", || status(machine).draining.then_some(()));
    stop
}

#[track_caller]
fn nothing_is_left(machine: &Machine) {
    assert_eq!(machine.tell("find /proc -maxdepth 1 -user nobody"), "");
    until("no scope and no slice is left", || units(machine).is_empty().then_some(()));
    assert_eq!(machine.processes("ostler.service"), Vec::<i32>::new());
    assert_eq!(machine.property("ostler", "NFileDescriptorStore"), "0");
    assert!(!machine.path("/run/ostler").exists(), "{}", machine.tell("find /run/ostler"));
    assert!(!machine.path("/run/shop.sock").exists(), "the socket was left behind");
}

#[test]
pub fn an_ostlerd_that_dies_while_it_drains_leaves_nothing_and_loses_no_request() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 3");
    start(&machine);
    let slow = slow_request(&machine, 3);
    let mut stop = begin_stop(&machine);
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    assert!(stop.wait().expect("the child is ours").success());
    answered(slow);
    nothing_is_left(&machine);
    let journal = machine.journal("ostler");
    assert!(journal.contains("ostlerd died while it was being stopped"), "{journal}");
    assert!(!journal.contains("could not be taken back"), "{journal}");
    start(&machine);
    assert!(visit(&machine).contains("200 OK"));
}

#[test]
fn an_ostlerd_that_dies_before_its_workers_know_of_the_stop_leaves_nothing_either() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 2");
    machine.write("/etc/ostler/ostler.toml", "[edge]\ndelay = \"1h\"\n");
    start(&machine);
    let slow = slow_request(&machine, 2);
    let mut stop = begin_stop(&machine);
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    assert!(stop.wait().expect("the child is ours").success());
    answered(slow);
    nothing_is_left(&machine);
}

#[test]
fn a_worker_that_will_not_end_is_killed_where_ostlerd_has_died_while_it_was_stopped() {
    let machine = Machine::boot();
    put_shop(&machine, "[limits]\ngraceful_timeout = \"1s\"");
    start(&machine);
    let mut slow = slow_request(&machine, 1000);
    let mut stop = begin_stop(&machine);
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    assert!(stop.wait().expect("the child is ours").success());
    slow.wait().expect("the child is ours");
    nothing_is_left(&machine);
    let journal = machine.journal("ostler");
    assert!(journal.contains("has not finished in time and is killed"), "{journal}");
}

#[test]
fn a_migration_ends_with_an_ostlerd_that_dies_while_it_is_stopped() {
    let machine = Machine::boot();
    put_shop(&machine, "");
    start(&machine);
    write_shop(
        &machine,
        "[migrate]\ncommand = [\"/bin/sh\", \"-c\", \"trap '' TERM INT; setsid sleep 1000\"]",
    );
    machine.run(&["ostler", "reload"]).exits(0);
    let mut restart = machine.command(&["ostler", "restart", "shop"]).spawn().expect("sh starts");
    let scope = "ostler-shop-migrate.scope";
    until("the migration is under way", || (machine.processes(scope).len() >= 2).then_some(()));
    let mut stop = begin_stop(&machine);
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    assert!(stop.wait().expect("the child is ours").success());
    let _ = restart.wait();
    assert_eq!(machine.sh("cat /proc/[0-9]*/comm 2>/dev/null | grep -x sleep").exits(1).out, "");
    nothing_is_left(&machine);
}

#[test]
pub fn a_crash_is_no_stop_and_leaves_everything() {
    let machine = Machine::boot();
    drop_in(&machine, "RestartSec=5s");
    put_shop(&machine, "workers = 2");
    start(&machine);
    let before = machine.processes("ostler-shop-g1.scope");
    let slow = slow_request(&machine, 8);
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    // By then what runs after the end of ostlerd has run.
    wait_for(&machine, "ostler", "SubState", "auto-restart");
    let finish = machine.property("ostler", "ExecStopPost");
    assert!(finish.contains("--finish-stop") && finish.contains("code=exited ; status=0"), "{finish}");
    assert!(visit(&machine).contains("200 OK"));
    wait_for(&machine, "ostler", "ActiveState", "active");
    answered(slow);
    assert_eq!(machine.processes("ostler-shop-g1.scope"), before);
    assert_ne!(machine.property("ostler", "NFileDescriptorStore"), "0");
}

#[test]
fn an_ostlerd_that_dies_in_a_restart_leaves_everything_to_the_next_one() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 2");
    start(&machine);
    let slow = slow_request(&machine, 3);
    // It never hears of the restart, and is killed for that.
    drop_in(&machine, "TimeoutStopSec=1s");
    machine.tell("kill -STOP $(systemctl show --value -p MainPID ostler)");
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    answered(slow);
    assert!(visit(&machine).contains("200 OK"));
    assert!(!machine.journal("ostler").contains("died while it was being stopped"));
    let journal = machine.journal("ostler");
    assert!(journal.contains("goes on with 2 of 2 workers"), "{journal}");
}

#[test]
fn a_stop_between_a_crash_and_the_next_start_leaves_workers_that_their_slice_ends() {
    let machine = Machine::boot();
    drop_in(&machine, "RestartSec=1h");
    put_shop(&machine, "workers = 2");
    start(&machine);
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    wait_for(&machine, "ostler", "SubState", "auto-restart");
    // systemd has nothing to stop, and runs nothing.
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    assert!(visit(&machine).contains("200 OK"));
    // systemd has closed what it kept: the next ostlerd has the socket from its workers. From 254 on it has taken the
    // runtime directory away as well: then all that is known is that they are ostler's.
    let kept = machine.tell("ls /run").lines().any(|name| name == "ostler");
    let before = machine.processes("ostler-shop-g1.scope");
    start(&machine);
    machine.run(&["ostler", "restart", "shop"]).exits(0);
    let journal = machine.journal("ostler");
    let words =
        if kept { "goes on with 2 of 2 workers" } else { "2 workers are left of which nothing is known" };
    assert!(journal.contains(words), "{words}: {journal}");
    until("the old workers have ended", || {
        let now = machine.tell("cat /proc/[0-9]*/stat | cut -d' ' -f1");
        (!now.lines().any(|pid| before.iter().any(|old| pid == old.to_string()))).then_some(())
    });
    assert!(visit(&machine).contains("200 OK"));
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    wait_for(&machine, "ostler", "SubState", "auto-restart");
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    machine.run(&["systemctl", "stop", "ostler.slice"]).exits(0);
    until("nothing is left", || units(&machine).is_empty().then_some(()));
    assert_eq!(machine.tell("find /proc -maxdepth 1 -user nobody"), "");
    start(&machine);
    until("others serve", || (machine.property("ostler", "StatusText") == "1 app serves").then_some(()));
    assert!(visit(&machine).contains("200 OK"));
}

#[test]
fn workers_whose_runtime_directory_is_gone_finish_what_they_have_before_others_serve() {
    let machine = Machine::boot();
    drop_in(&machine, "RestartSec=1h");
    put_shop(&machine, "workers = 2");
    start(&machine);
    let slow = slow_request(&machine, 4);
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    wait_for(&machine, "ostler", "SubState", "auto-restart");
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    // As systemd does it by itself from 254 on.
    machine.tell("rm -rf /run/ostler");
    start(&machine);
    answered(slow);
    assert!(visit(&machine).contains("200 OK"));
    let journal = machine.journal("ostler");
    assert!(journal.contains("2 workers are left of which nothing is known"), "{journal}");
    assert!(!journal.contains("they are killed"), "{journal}");
}
