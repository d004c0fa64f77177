//! The machines themselves: what every other test counts on.

use std::fs;
use std::time::{Duration, Instant};

use crate::machine::Machine;

/// Some 0.5 s alone; this is for a machine of two cores with many others at work.
const BOOT: Duration = Duration::from_secs(20);

#[test]
fn a_machine_boots_at_once_and_is_sound() {
    let began = Instant::now();
    let machine = Machine::boot();
    let took = began.elapsed();
    eprintln!("booted in {took:?}");
    assert!(took < BOOT, "a machine took {took:?} to boot");
    assert_eq!(machine.tell("systemctl --failed --plain --no-legend"), "");
    assert_eq!(machine.tell("cat /proc/1/comm"), "systemd");
    assert!(machine.path("/sys/fs/cgroup/init.scope/cgroup.kill").exists());
}

#[test]
fn a_machine_writes_in_nobody_elses_files() {
    let (one, other) = (Machine::boot(), Machine::boot());
    one.write("/etc/ostler-was-here", "one");
    assert_eq!(one.read("/etc/ostler-was-here").as_deref(), Some("one"));
    assert_eq!(other.read("/etc/ostler-was-here"), None);
    drop(one);
    assert_eq!(Machine::boot().read("/etc/ostler-was-here"), None);
}

#[test]
fn a_machine_that_is_dropped_leaves_nothing() {
    let machine = Machine::boot();
    let mut stubborn = machine.command(&["setsid", "sleep", "1000"]).spawn().expect("sh starts");
    drop(machine);
    let ended = stubborn.wait().expect("the child is ours");
    assert!(!ended.success(), "it ended by itself: {ended}");
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    assert!(!mounts.contains("nspawn"), "{mounts}");
}

#[test]
fn a_machine_can_be_powered_off() {
    let mut machine = Machine::boot();
    let (status, took) = machine.power_off();
    assert!(status.success(), "{status}: {}", machine.console());
    eprintln!("powered off in {took:?}");
}
