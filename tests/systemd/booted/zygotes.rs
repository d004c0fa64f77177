//! `preload` under systemd: the zygote and what it forks are in the scope of their generation, and outlive ostlerd there.

use super::scopes::units;
use super::unit::drop_in;
use crate::harness::until;
use crate::load::Load;
use crate::machine::Machine;
use crate::site::{put_shop, shop, start, target, visit, wait_for};

/// The zygote's pid, as the machine has it.
#[track_caller]
fn zygote(machine: &Machine) -> i32 {
    until("there is one zygote, which forks", || match shop(machine).zygotes.as_slice() {
        [one] if one.ready => one.pid,
        _ => None,
    })
}

/// Kills a worker and waits until there is another; says which.
#[track_caller]
fn kill_a_worker(machine: &Machine) -> i32 {
    let serving = |it: &ostler::observe::WorkerStatus| it.state == ostler::supervise::WorkerState::Ready;
    let before: Vec<i32> = shop(machine).workers.iter().filter_map(|it| it.pid).collect();
    machine.tell(&format!("kill -9 {}", before[0]));
    until("another one serves", || {
        let now = shop(machine).workers;
        let all = now.len() == before.len() && now.iter().all(serving);
        let new = now.iter().filter_map(|it| it.pid).find(|pid| !before.contains(pid));
        new.filter(|_| all)
    })
}

#[test]
fn a_zygote_outlives_ostlerd_and_forks_for_the_next_one_in_its_scope() {
    let machine = Machine::boot();
    drop_in(&machine, "RestartSec=1s");
    put_shop(&machine, "workers = 2\npreload = true");
    start(&machine);
    let forks = zygote(&machine);
    assert_eq!(machine.processes("ostler-shop-g1.scope").len(), 3, "two workers and what they came of");
    let load = Load::on(&target(&machine)).start();
    load.more(20);
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    wait_for(&machine, "ostler", "SubState", "auto-restart");
    load.more(20);
    wait_for(&machine, "ostler", "ActiveState", "active");
    load.more(20);
    load.stop().lost_nothing();
    assert_eq!(zygote(&machine), forks, "adopted");
    machine.write("/srv/shop/app.py", "raise ValueError('not loaded again')");
    kill_a_worker(&machine);
    assert!(visit(&machine).contains("200 OK"));
    assert_eq!(zygote(&machine), forks, "the same has forked it");
    assert_eq!(machine.processes("ostler-shop-g1.scope").len(), 3, "in the same scope");
    let log = machine.journal("ostler");
    assert!(!log.contains("cannot be watched") && !log.contains("is none of its zygote's"), "{log}");
}

#[test]
fn a_restart_and_a_stop_leave_no_zygote() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 2\npreload = true");
    start(&machine);
    let before = zygote(&machine);
    let load = Load::on(&target(&machine)).start();
    load.more(20);
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    load.more(20);
    load.stop().lost_nothing();
    assert_ne!(zygote(&machine), before);
    until("the scope of the old generation is gone", || (!units(&machine).contains("g1")).then_some(()));
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    assert!(!units(&machine).contains(".scope"), "{}", units(&machine));
}

#[test]
fn what_a_forked_worker_prints_is_in_the_journal_with_its_own_pid() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 1\npreload = true");
    start(&machine);
    let worker = kill_a_worker(&machine);
    let entry = format!("journalctl -t shop _PID={worker} -o cat --no-pager");
    until("its line is there", || machine.tell(&entry).contains("Booting worker with pid").then_some(()));
}
