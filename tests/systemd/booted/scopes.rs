//! Scopes: where the workers are, that nothing gets out, and that whatever happens to ostlerd does not reach them.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use ostler::run::scope::ControlGroup;

use super::unit::drop_in;
use crate::harness::until;
use crate::load::Load;
use crate::machine::Machine;
use crate::site::{nobodys, put_shop, start, status, target, visit, wait_for, write_shop};

/// Processes that slip away as well as processes can: a session of their own, and no parent.
const ESCAPEES: &str = "setsid sh -c 'setsid sleep 1000 & setsid sleep 1000 & exit' & \
                        (setsid sh -c 'trap \"\" TERM INT HUP; while :; do sleep 0.1; done' &) ; sleep 1000";

pub fn units(machine: &Machine) -> String {
    machine.tell("systemctl list-units --all --plain --no-legend 'ostler-*' ostler.slice")
}

#[test]
fn workers_are_in_the_scope_of_their_generation() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 4");
    start(&machine);
    assert_eq!(machine.processes("ostler-shop-g1.scope").len(), 4, "{}", machine.journal("ostler"));
    assert_eq!(machine.property("ostler-shop-g1.scope", "Slice"), "ostler-shop.slice");
    assert!(machine.property("ostler-shop-g1.scope", "Before").contains("ostler.service"));
    assert_eq!(machine.property("ostler-shop-g1.scope", "Delegate"), "yes");
    let main: i32 = machine.property("ostler", "MainPID").parse().expect("a number");
    assert_eq!(machine.processes("ostler.service"), [main]);
    machine.run(&["ostler", "restart", "shop"]).exits(0);
    assert_eq!(machine.processes("ostler-shop-g2.scope").len(), 4);
    until("the scope of the old generation is gone", || (!units(&machine).contains("g1")).then_some(()));
}

#[test]
fn an_app_with_a_dash_in_its_name_has_a_slice_of_its_own() {
    let machine = Machine::boot();
    put_shop(&machine, "");
    machine.tell("mv /etc/ostler/apps.d/shop.toml /etc/ostler/apps.d/shop-api.toml");
    start(&machine);
    let group = "/ostler.slice/ostler-shop\\x2dapi.slice/ostler-shop\\x2dapi-g1.scope";
    assert_eq!(machine.processes_in(group).len(), 1, "{}", units(&machine));
}

#[test]
fn workers_that_crash_all_at_once_come_back_in_a_scope() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 3");
    start(&machine);
    let before = machine.processes("ostler-shop-g1.scope");
    ControlGroup::new(machine.cgroup("ostler.slice/ostler-shop.slice/ostler-shop-g1.scope"))
        .kill()
        .expect("it is there");
    until("three others serve", || {
        let now = machine.processes("ostler-shop-g1.scope");
        let serves = machine.property("ostler", "StatusText") == "1 app serves";
        (serves && now.len() == 3 && now.iter().all(|pid| !before.contains(pid))).then_some(())
    });
    assert!(!machine.journal("ostler").contains("cannot enter"));
}

#[test]
fn workers_go_on_serving_when_ostlerd_is_killed_and_the_next_one_adopts_them() {
    let machine = Machine::boot();
    drop_in(&machine, "RestartSec=2s");
    put_shop(&machine, "workers = 2");
    start(&machine);
    let before = machine.processes("ostler-shop-g1.scope");
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    wait_for(&machine, "ostler", "SubState", "auto-restart");
    assert!(visit(&machine).contains("200 OK"));
    assert_eq!(machine.processes("ostler-shop-g1.scope"), before);
    wait_for(&machine, "ostler", "ActiveState", "active");
    assert!(visit(&machine).contains("200 OK"));
    let after = machine.processes("ostler-shop-g1.scope");
    assert_eq!(after, before);
    // It is in charge of them: a rollout replaces them.
    machine.run(&["ostler", "restart", "shop"]).exits(0);
    until("only the next generation is left", || {
        let old = machine.processes("ostler-shop-g1.scope").is_empty();
        (old && machine.processes("ostler-shop-g2.scope").len() == 2).then_some(())
    });
}

#[test]
fn a_restart_of_the_unit_rolls_the_apps_out_while_the_old_workers_serve() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 2");
    start(&machine);
    let before = machine.processes("ostler-shop-g1.scope");
    let load = Load::on(&target(&machine)).connections(3).start();
    load.more(20);
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    // It returns when the new code serves.
    let after = machine.processes("ostler-shop-g2.scope");
    let fresh = after.len() == 2 && after.iter().all(|pid| !before.contains(pid));
    assert!(fresh, "{before:?} {after:?} {}", machine.journal("ostler"));
    assert_eq!(machine.property("ostler", "ActiveState"), "active");
    machine.run(&["ostler", "wait"]).exits(0);
    load.more(20);
    let tally = load.stop();
    eprintln!("{tally}");
    tally.lost_nothing();
    until("the old generation is gone", || {
        machine.processes("ostler-shop-g1.scope").is_empty().then_some(())
    });
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    assert!(!units(&machine).contains(".scope"));
}

#[test]
fn a_restart_with_a_release_that_does_not_boot_changes_nothing_for_clients() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 2");
    start(&machine);
    let before = machine.processes("ostler-shop-g1.scope");
    machine.write("/srv/shop/app.py", "import nothing_of_that_name\n");
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    assert_eq!(machine.property("ostler", "ActiveState"), "active");
    assert!(machine.property("ostler", "StatusText").contains("rolled back"));
    let journal = machine.journal("ostler");
    assert!(journal.contains("nothing_of_that_name"), "{journal}");
    machine.run(&["ostler", "wait"]).exits(1).says(&["nothing_of_that_name"]);
    assert!(visit(&machine).contains("200 OK"));
    assert_eq!(machine.processes("ostler-shop-g1.scope"), before);
}

#[tokio::test]
async fn nothing_gets_out_of_a_scope_and_its_end_is_the_end_of_all() {
    let machine = Machine::boot();
    machine.write("/srv/escape.sh", ESCAPEES);
    let scope = "systemd-run --scope --quiet --collect --slice=ostler-shop.slice -p Delegate=yes \
                 --unit=ostler-shop-migrate.scope sh /srv/escape.sh";
    let mut first = machine.command(&["sh", "-c", scope]).spawn().expect("sh starts");
    let group = ControlGroup::new(machine.cgroup("ostler.slice/ostler-shop.slice/ostler-shop-migrate.scope"));
    until("all have slipped away", || (group.members().len() >= 5).then_some(()));
    assert_eq!(
        machine.sh("cat /proc/[0-9]*/comm 2>/dev/null | grep -x sleep").exits(0).out.lines().count(),
        4
    );
    assert!(!group.wait_empty(tokio::time::Instant::now() + Duration::from_millis(200)).await);
    let began = Instant::now();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    assert!(group.kill_all(deadline).await.expect("it is there"), "{:?}", group.members());
    let took = began.elapsed();
    eprintln!("ended in {took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    first.wait().expect("the child is ours");
    assert_eq!(machine.sh("cat /proc/[0-9]*/comm 2>/dev/null | grep -x sleep").exits(1).out, "");
    until("the scope is collected", || (!units(&machine).contains(".scope")).then_some(()));
    assert!(group.is_empty() && group.kill_all(deadline).await.expect("it is gone"));
}

#[test]
fn a_stop_ends_what_workers_have_left_and_leaves_neither_scope_nor_slice() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 2");
    machine.write("/srv/escape.sh", ESCAPEES);
    let app = "import subprocess\nsubprocess.Popen(['sh', '/srv/escape.sh'], start_new_session=True)\n";
    let rest = machine.read("/srv/shop/app.py").expect("it is there");
    machine.write("/srv/shop/app.py", &format!("{app}{rest}"));
    start(&machine);
    let scope = "ostler-shop-g1.scope";
    until("all have slipped away", || (machine.processes(scope).len() >= 12).then_some(()));
    let began = Instant::now();
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    eprintln!("stopped in {:?}", began.elapsed());
    assert_eq!(machine.tell("find /proc -maxdepth 1 -user nobody"), "");
    until(format_args!("no unit is left"), || units(&machine).is_empty().then_some(()));
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    assert!(visit(&machine).contains("200 OK"));
}

#[test]
fn a_migration_is_ended_with_all_that_slipped_away_from_it() {
    let machine = Machine::boot();
    put_shop(&machine, "");
    machine.write("/srv/escape.sh", ESCAPEES);
    start(&machine);
    write_shop(&machine, "[migrate]\ncommand = [\"/bin/sh\", \"/srv/escape.sh\"]\ntimeout_total = \"5s\"");
    machine.run(&["ostler", "reload"]).exits(0);
    let mut restart = machine.command(&["ostler", "restart", "shop"]).spawn().expect("sh starts");
    let scope = "ostler-shop-migrate.scope";
    until("all have slipped away", || (machine.processes(scope).len() >= 5).then_some(()));
    assert_eq!(machine.processes("ostler-shop-g1.scope").len(), 1);
    let ended = restart.wait().expect("the child is ours");
    assert!(!ended.success(), "{}", machine.journal("ostler"));
    assert_eq!(machine.sh("cat /proc/[0-9]*/comm 2>/dev/null | grep -x sleep").exits(1).out, "");
    assert_eq!(machine.processes(scope), [0; 0]);
    assert!(visit(&machine).contains("200 OK"));
}

/// One request from outside of the machine.
fn ask(machine: &Machine) -> String {
    let mut client = UnixStream::connect(machine.path("/run/shop.sock")).expect("the app listens");
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("the app reads");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_power_off_stops_ostlerd_first_and_workers_serve_for_the_edges_delay() {
    let mut machine = Machine::boot();
    put_shop(&machine, "");
    machine.write("/etc/ostler/ostler.toml", "[edge]\ndelay = \"3s\"\n");
    start(&machine);
    machine.run(&["systemctl", "poweroff", "--no-block"]).exits(0);
    until("ostlerd drains", || status(&machine).draining.then_some(()));
    // Whatever else stops at a power-off has been told by now.
    until("the edge is about to be done", || {
        let drain = status(&machine).drain?;
        (drain.edge_wait_seconds < 2.0).then_some(())
    });
    assert!(ask(&machine).contains("200 OK"));
    let (_, took) = machine.power_off();
    assert!(took < Duration::from_secs(30), "{took:?}");
}

/// A helper that a worker has started in a session of its own outlives it, but not its generation, nor the app.
#[test]
fn what_workers_have_left_in_their_scope_ends_with_the_generation_and_with_the_stop() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 2");
    let app = machine.tell("cat /srv/shop/app.py");
    let helper = "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '7200'])\n";
    machine.write("/srv/shop/app.py", &format!("{helper}{app}"));
    start(&machine);
    let all = |scope: &str| machine.processes(scope).len();
    until("each worker has its helper", || (all("ostler-shop-g1.scope") == 4).then_some(()));
    machine.run(&["ostler", "restart", "shop"]).exits(0);
    until("the scope of the old generation is gone", || (!units(&machine).contains("g1")).then_some(()));
    assert_eq!(all("ostler-shop-g2.scope"), 4, "the workers that serve have theirs still");
    machine.run(&["ostler", "stop", "shop"]).exits(0);
    until("nothing is left of the app", || nobodys(&machine).is_empty().then_some(()));
    assert!(machine.journal("ostler").contains("left by its workers, and ended"));
}
