//! `ostler logs` on a machine with a journal: what is shown, and to whom.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::harness::{Said, until};
use crate::load::get;
use crate::machine::Machine;
use crate::site::{put_shop, shop, start, target, wait_for};

/// Prints what it is asked for, and as whom.
const ECHOING: &str = r#"
import os

def application(environ, start_response):
    print("asked for", environ["PATH_INFO"])
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"#;

fn echoing(more: &str) -> Machine {
    let machine = Machine::boot();
    put_shop(&machine, more);
    machine.write("/srv/shop/app.py", ECHOING);
    start(&machine);
    machine
}

/// Asks the app until the journal has it; the process that has answered.
#[track_caller]
fn ask(machine: &Machine, path: &str) -> String {
    let pid = get(&target(machine), path).expect("it serves").text();
    until(format_args!("the journal has {path}"), || {
        logs(machine, &["-n", "all"]).out.contains(&format!("asked for {path}\n")).then_some(())
    });
    pid
}

fn logs(machine: &Machine, args: &[&str]) -> Said {
    machine.run(&["journalctl", "--sync"]);
    machine.run(&[&["ostler", "logs", "shop"], args].concat())
}

#[test]
fn what_the_workers_have_written_is_shown_and_nothing_else() {
    let machine = echoing("workers = 2");
    let first = ask(&machine, "/one");
    ask(&machine, "/two");
    // Another program under the app's name, and ostlerd itself.
    machine.tell("systemd-cat -t shop echo somebody-elses");
    machine.tell("logger -t shop somebody-elses");
    let all = logs(&machine, &["-n", "all"]).exits(0);
    assert!(!all.out.contains("somebody-elses") && !all.out.contains("ready after"), "{all}");
    assert!(all.out.contains(&format!("shop[{first}]: asked for /one")), "as journalctl has it: {all}");
    let last = logs(&machine, &["-n", "1"]).exits(0);
    assert!(last.out.ends_with("asked for /two\n") && last.out.lines().count() == 1, "{last}");
    logs(&machine, &["-n", "1", "--json"]).exits(0).says(&["\"MESSAGE\":\"asked for /two\""]);

    let worker =
        shop(&machine).workers.into_iter().find(|it| it.pid.is_some_and(|it| it.to_string() == first));
    let name = worker.expect("it lives").id.to_string();
    let of_one = logs(&machine, &["-n", "all", "--process", &name]).exits(0);
    assert!(of_one.out.lines().all(|line| line.contains(&format!("[{first}]"))), "{of_one}");
    of_one.says(&["asked for /one"]);
    machine.run(&["ostler", "restart", "shop"]).exits(0);
    until("only the new generation is left", || {
        shop(&machine).workers.iter().all(|it| it.generation.0 == 2).then_some(())
    });
    ask(&machine, "/three");
    let new = logs(&machine, &["-n", "all", "--process", "g2"]).exits(0).says(&["asked for /three"]);
    assert!(!new.out.contains("/one"), "{new}");
    logs(&machine, &["--process", "g1"]).exits(0).says(&["asked for /two"]);
    logs(&machine, &["--process", &name]).exits(64).says(&["has no worker", "--process gN"]);
    logs(&machine, &["--process", "g99"]).exits(0).says(&["g99 of shop has written nothing"]);
    logs(&machine, &["--since", "-1h"]).exits(0).says(&["/one", "/three"]);
    logs(&machine, &["--since", "tomorrow"]).exits(0).says(&["shop has written nothing", "since then"]);
    logs(&machine, &["--since", "some day"]).exits(64).says(&["some day"]);
    machine.run(&["ostler", "logs", "shpo"]).exits(64).says(&["did you mean `shop`?"]);
}

#[test]
fn it_goes_on_with_what_is_written_and_ends_with_its_reader() {
    let machine = echoing("");
    ask(&machine, "/one");
    let mut command = machine.command(&["ostler", "logs", "shop", "-f", "-n", "1"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("nsenter starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = || lines.next().expect("it goes on").expect("it is text");
    assert!(next().ends_with("asked for /one"));
    ask(&machine, "/two");
    assert!(next().ends_with("asked for /two"));
    drop(lines);
    until("it ends with its reader", || {
        get(&target(&machine), "/unread").expect("it serves");
        child.try_wait().expect("it is ours")
    });
    machine.sh("set -o pipefail; ostler logs shop -f -n all | head -n 1").exits(0).says(&["shop["]);
    until("no journalctl is left", || (machine.sh("pgrep -x journalctl").out.is_empty()).then_some(()));
}

#[test]
fn it_is_shown_without_ostlerd_and_to_who_may_read_the_journal() {
    let machine = echoing("");
    ask(&machine, "/one");
    let logs_of = |groups: &str| {
        let user = "setpriv --reuid=4711 --regid=$(getent group ostler | cut -d: -f3)";
        machine.sh(&format!("{user} --groups=$(getent group {groups} | cut -d: -f3) ostler logs shop"))
    };
    logs_of("systemd-journal").exits(0).says(&["asked for /one"]);
    logs_of("ostler").exits(77).says(&["may not read the journal", "systemd-journal"]);
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    wait_for(&machine, "ostler", "ActiveState", "inactive");
    logs(&machine, &[]).exits(0).says(&["asked for /one"]);
    logs(&machine, &["--process", "g1"]).exits(0).says(&["asked for /one"]);
    logs(&machine, &["--process", "w1"]).exits(69).says(&["only a running ostlerd knows"]);
    machine.run(&["ostler", "logs", "shpo"]).exits(64).says(&["did you mean `shop`?"]);
    machine.tell("mv /usr/bin/journalctl /usr/bin/journalctl.away");
    machine.run(&["ostler", "logs", "shop"]).exits(1).says(&["there is no journalctl"]);
}
