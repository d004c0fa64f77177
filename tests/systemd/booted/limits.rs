//! The limits of an app, as systemd keeps them. This machine has no controllers, so here they bound nothing: that they
//! do is shown by tests/vm.sh.

use super::unit::drop_in;
use crate::harness::until;
use crate::machine::Machine;
use crate::site::{put_shop, shop, start, wait_for, write_shop};

const SLICE: &str = "ostler-shop.slice";
const SET: &str = "/run/systemd/system.control";

fn pids(machine: &Machine) -> Vec<Option<i32>> {
    shop(machine).workers.into_iter().map(|worker| worker.pid).collect()
}

#[test]
fn limits_are_the_slices_change_live_and_are_taken_back_with_their_keys() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 2\n[limits]\nmemory_max = \"300MiB\"\ntasks_max = 400");
    start(&machine);
    wait_for(&machine, SLICE, "MemoryMax", &(300 << 20).to_string());
    wait_for(&machine, SLICE, "TasksMax", "400");
    let before = pids(&machine);
    let changed = "memory_high = \"200MiB\"\nmemory_max = \"400MiB\"\ncpu_weight = 50";
    write_shop(&machine, &format!("workers = 2\n[limits]\n{changed}"));
    let said = machine.run(&["ostler", "reload", "--dry-run"]).exits(0);
    // The files are watched: on a slow machine it is in force by then.
    let shown = ["changed in place, no worker restarted", "shop: nothing changes"];
    assert!(shown.iter().any(|line| said.out.contains(line)), "{said}");
    machine.run(&["ostler", "reload"]).exits(0);
    let wanted = [("MemoryHigh", 200u64 << 20), ("MemoryMax", 400 << 20), ("CPUWeight", 50)];
    for (property, value) in wanted {
        wait_for(&machine, SLICE, property, &value.to_string());
    }
    wait_for(&machine, SLICE, "TasksMax", "infinity");
    // An ostlerd that did not set them takes them back as well.
    drop_in(&machine, "RestartSec=2s");
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    wait_for(&machine, "ostler", "SubState", "auto-restart");
    assert_eq!(machine.property(SLICE, "MemoryMax"), (400 << 20).to_string());
    write_shop(&machine, "workers = 2");
    wait_for(&machine, "ostler", "ActiveState", "active");
    for property in ["MemoryHigh", "MemoryMax"] {
        wait_for(&machine, SLICE, property, "infinity");
    }
    wait_for(&machine, SLICE, "CPUWeight", "100");
    assert_eq!(pids(&machine), before, "{}", machine.journal("ostler"));
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    assert_eq!(machine.sh(&format!("ls {SET} 2>/dev/null")).out, "", "a limit was left behind");
}

#[test]
fn a_limit_that_this_machine_cannot_keep_is_named_once() {
    let machine = Machine::boot();
    put_shop(&machine, "[limits]\nmemory_max = \"300MiB\"");
    start(&machine);
    let line = "shop: [limits] not in force: MemoryMax=314572800 of ostler-shop.slice: this machine's control groups \
                lack the controller for memory_max (they have: none)";
    until("it is said", || machine.journal("ostler").contains(line).then_some(()));
    machine.run(&["ostler", "restart", "shop"]).exits(0);
    assert_eq!(machine.journal("ostler").matches("not in force").count(), 1);
}

#[test]
fn what_nobody_limits_is_left_to_the_machines_owner() {
    let machine = Machine::boot();
    machine.write(&format!("/etc/systemd/system/{SLICE}.d/own.conf"), "[Slice]\nMemoryMax=1G\n");
    machine.run(&["systemctl", "daemon-reload"]).exits(0);
    put_shop(&machine, "");
    start(&machine);
    assert_eq!(machine.property(SLICE, "MemoryMax"), (1u64 << 30).to_string());
    assert!(!machine.journal("ostler").contains("limits"));
}
