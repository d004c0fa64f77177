//! What the next ostlerd finds: whatever it is, a right state follows, with a line in the log.

use std::collections::BTreeSet;

use crate::harness::until;
use crate::load::Load;
use crate::machine::Machine;
use crate::site::{nobodys, put_shop, shop, start, status, target, visit, wait_for, write_shop};

use super::unit::drop_in;

const SCOPE: &str = "ostler-shop-g1.scope";
const STATE: &str = "/run/ostler/state.json";

/// Kills ostlerd, does something while nobody is there, and waits for the next one.
#[track_caller]
fn meanwhile(machine: &Machine, what: impl FnOnce()) {
    let before = machine.property("ostler", "MainPID");
    machine.run(&["systemctl", "kill", "--kill-who=main", "--signal=KILL", "ostler"]).exits(0);
    until("ostlerd is dead", || (machine.property("ostler", "MainPID") != before).then_some(()));
    what();
    wait_for(machine, "ostler", "ActiveState", "active");
}

/// A machine on which it takes a while until the next ostlerd is there.
fn slow_to_come_back() -> Machine {
    let machine = Machine::boot();
    drop_in(&machine, "RestartSec=2s");
    put_shop(&machine, "workers = 2");
    start(&machine);
    machine
}

#[test]
fn a_restart_whose_migration_is_ended_leaves_the_old_workers_serving_and_says_so() {
    let machine = Machine::boot();
    put_shop(&machine, "");
    start(&machine);
    write_shop(&machine, "[migrate]\ncommand = [\"/bin/sleep\", \"1000\"]\nstall = \"5s\"");
    machine.run(&["ostler", "reload"]).exits(0);
    let before = machine.processes(SCOPE);
    let load = Load::on(&target(&machine)).connections(2).start();
    // It returns when it is sure that the new code will not serve.
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    assert_eq!(machine.property("ostler", "ActiveState"), "active");
    let line = machine.property("ostler", "StatusText");
    assert!(line.contains("migration"), "{line}");
    machine.run(&["ostler", "wait"]).exits(1).says(&["migration", "generation g1 goes on serving"]);
    machine.run(&["ostler", "status"]).exits(1);
    assert_eq!(machine.processes(SCOPE), before);
    load.more(20);
    load.stop().lost_nothing();
    // Until the next good rollout.
    write_shop(&machine, "[migrate]\ncommand = [\"/bin/true\"]");
    machine.run(&["systemctl", "reload", "ostler"]).exits(0);
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    machine.run(&["ostler", "wait"]).exits(0);
    machine.run(&["ostler", "status"]).exits(0);
}

#[test]
fn a_state_that_is_of_no_use_leads_to_new_workers_and_to_no_second_owner_and_loses_nothing() {
    let machine = slow_to_come_back();
    let spoil: &[(&str, &str)] = &[
        ("rm -f FILE", "ostlerd runs 1 app"),
        ("truncate --size=100 FILE", "it is cut off or damaged"),
        ("sed -i 's/\"version\":[0-9]*/\"version\":999/' FILE", "it has the format 999"),
        ("chown nobody FILE", "alone can write"),
    ];
    let load = Load::on(&target(&machine)).connections(3).start();
    for (how, says) in spoil {
        let before: BTreeSet<i32> = nobodys(&machine);
        meanwhile(&machine, || drop(machine.tell(&how.replace("FILE", STATE))));
        let ours: BTreeSet<i32> = shop(&machine).workers.iter().filter_map(|it| it.pid).collect();
        assert!(ours.is_disjoint(&before), "{how}: {ours:?} {before:?}");
        until(format!("after `{how}` nobody is left whom nobody owns"), || {
            let all: BTreeSet<i32> = nobodys(&machine);
            (all == ours).then_some(())
        });
        assert!(machine.journal("ostler").contains(says), "{how}: {}", machine.journal("ostler"));
        assert!(visit(&machine).contains("200 OK"), "{how}");
    }
    load.stop().lost_nothing();
}

#[test]
fn sockets_come_from_the_workers_where_systemds_store_is_empty() {
    let machine = slow_to_come_back();
    drop_in(&machine, "RestartSec=2s\nFileDescriptorStoreMax=0");
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    assert_eq!(machine.property("ostler", "NFileDescriptorStore"), "0");
    let load = Load::on(&target(&machine)).connections(2).start();
    load.more(20);
    let before = status(&machine).apps[0].workers.iter().filter_map(|it| it.pid).collect::<Vec<_>>();
    meanwhile(&machine, || {});
    assert_eq!(status(&machine).apps[0].workers.iter().filter_map(|it| it.pid).collect::<Vec<_>>(), before);
    machine.run(&["ostler", "restart", "shop"]).exits(0);
    load.more(20);
    load.stop().lost_nothing();
}

#[test]
fn a_worker_that_dies_while_nobody_looks_is_replaced_and_said() {
    let machine = slow_to_come_back();
    let before = machine.processes(SCOPE);
    meanwhile(&machine, || drop(machine.tell(&format!("kill -9 {}", before[0]))));
    until("there are two workers again, one of them the old one", || {
        let now = machine.processes(SCOPE);
        (now.len() == 2 && now.contains(&before[1]) && !now.contains(&before[0])).then_some(())
    });
    assert!(machine.journal("ostler").contains("gone, exit status unknown"), "{}", machine.journal("ostler"));
}

#[test]
fn a_process_that_never_was_a_worker_is_none_also_in_an_apps_scope() {
    let machine = slow_to_come_back();
    let before = machine.processes(SCOPE);
    let group = machine.property(SCOPE, "ControlGroup");
    let enter =
        format!("sh -c 'echo $$ >/sys/fs/cgroup{group}/cgroup.procs; exec sleep 1000' >/dev/null 2>&1 &");
    meanwhile(&machine, || {
        machine.tell(&enter);
        until("a stranger is in the scope", || (machine.processes(SCOPE).len() == 3).then_some(()));
    });
    let ours: Vec<i32> = shop(&machine).workers.iter().filter_map(|it| it.pid).collect();
    assert_eq!(ours.iter().collect::<BTreeSet<_>>(), before.iter().collect());
    assert!(visit(&machine).contains("200 OK"));
    // What is in an app's scope ends with ostler.
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    assert_eq!(machine.sh("cat /proc/[0-9]*/comm 2>/dev/null | grep -x sleep").exits(1).out, "");
}
