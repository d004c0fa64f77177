//! The journal: what an app prints is there under the app's name, whatever becomes of ostlerd and of journald.

use std::collections::BTreeSet;

use serde_json::Value;

use super::unit::drop_in;
use crate::harness::until;
use crate::load::get;
use crate::machine::Machine;
use crate::site::{put_shop, shop, start, target, wait_for, write_shop};

/// Prints when it is asked to, without a flush of its own.
const PRINTING: &str = r#"
import os, sys
from urllib.parse import unquote

def application(environ, start_response):
    words = unquote(environ["QUERY_STRING"])
    path = environ["PATH_INFO"]
    if path == "/out":
        print(words)
    elif path == "/err":
        sys.stderr.write(words + "\n")
    elif path == "/raise":
        raise LookupError(words)
    elif path == "/much":
        for number in range(160):
            print(("%s %03d " % (words, number)).ljust(32767, "."))
    elif path == "/env":
        words = os.environ.get("JOURNAL_STREAM", "")
        status = os.fstat(2)
        words += " is %d:%d" % (status.st_dev, status.st_ino)
    start_response("200 OK", [])
    return [("%d %s" % (os.getpid(), words)).encode()]
"#;

/// The app that prints, served by workers of sync.
fn printing(more: &str) -> Machine {
    let machine = Machine::boot();
    put_shop(&machine, more);
    machine.write("/srv/shop/app.py", PRINTING);
    machine
}

/// The journal's entries that match.
#[track_caller]
fn entries(machine: &Machine, matches: &[&str]) -> Vec<Value> {
    machine.run(&["journalctl", "--sync"]);
    let said =
        machine.run(&[&["journalctl", "--quiet", "--no-pager", "--all", "--output=json"], matches].concat());
    said.out.lines().map(|line| serde_json::from_str(line).expect("journalctl speaks JSON")).collect()
}

/// Waits for the first entry among them whose message holds the words.
#[track_caller]
fn entry(machine: &Machine, matches: &[&str], words: &str) -> Value {
    until(format_args!("the journal has {words:?} for {matches:?}"), || {
        let all = entries(machine, matches);
        all.into_iter().find(|it| it["MESSAGE"].as_str().is_some_and(|it| it.contains(words)))
    })
}

/// Asks the app; its answer.
#[track_caller]
fn ask(machine: &Machine, path: &str) -> String {
    let answer = get(&target(machine), path).unwrap_or_else(|loss| panic!("{path}: {loss:?}"));
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

/// As systemd has it for services: the variable names what stderr is.
#[track_caller]
fn journal_stream_is_stderr(machine: &Machine) {
    let answer = ask(machine, "/env");
    let (told, is) = answer.split_once(' ').and_then(|(_, it)| it.split_once(" is ")).expect("both");
    assert_eq!(told, is);
}

fn stop_ostlerd(machine: &Machine) -> String {
    let pid = machine.property("ostler", "MainPID");
    machine.tell(&format!("kill -STOP {pid}"));
    until("ostlerd stands still", || {
        machine.read(&format!("/proc/{pid}/stat"))?.contains(") T ").then_some(())
    });
    pid
}

fn streams(machine: &Machine) -> usize {
    machine.tell("ls /run/systemd/journal/streams | wc -l").parse().expect("a number")
}

#[test]
fn what_a_worker_prints_is_in_the_journal_under_its_apps_name() {
    let machine = printing("");
    start(&machine);
    ask(&machine, "/out?one-for-stdout");
    ask(&machine, "/err?one-for-stderr");
    ask(&machine, "/err?%3C3%3Eone-that-is-bad");
    assert_eq!(get(&target(&machine), "/raise?no-such-shoe").expect("an answer").status, 500);
    let out = entry(&machine, &["-t", "shop"], "one-for-stdout");
    assert_eq!(out["MESSAGE"], "one-for-stdout");
    assert_eq!((&out["PRIORITY"], &out["_TRANSPORT"]), (&"6".into(), &"stdout".into()), "{out}");
    assert_eq!(out["_SYSTEMD_UNIT"], "ostler-shop-g1.scope", "{out}");
    assert_eq!(out["_UID"], machine.tell("id -u nobody"), "{out}");
    let worker = shop(&machine).workers[0].pid.expect("it runs").to_string();
    assert_eq!(out["_PID"], worker, "{out}");
    entry(&machine, &["-t", "shop"], "one-for-stderr");
    let bad = entry(&machine, &["-t", "shop"], "one-that-is-bad");
    assert_eq!((&bad["MESSAGE"], &bad["PRIORITY"]), (&"one-that-is-bad".into(), &"3".into()), "{bad}");
    entry(&machine, &["-t", "shop"], "Traceback (most recent call last)");
    entry(&machine, &["-t", "shop"], "LookupError: no-such-shoe");
    journal_stream_is_stderr(&machine);
    assert!(!machine.journal("ostler").contains("one-for-stdout"));
    assert!(machine.journal("ostler-shop-*").contains("one-for-stdout"));
}

#[test]
fn the_last_words_of_a_worker_that_does_not_boot_are_told_and_in_the_journal() {
    let machine = printing("");
    start(&machine);
    machine.write("/srv/shop/app.py", "import nothing_of_that_name\n");
    machine.run(&["ostler", "restart", "shop"]).exits(1).says(&["nothing_of_that_name", "Traceback"]);
    entry(&machine, &["-t", "shop"], "nothing_of_that_name");
    let refused = entry(&machine, &["OSTLER_EVENT=rolled_back"], "nothing_of_that_name");
    assert_eq!((&refused["OSTLER_APP"], &refused["PRIORITY"]), (&"shop".into(), &"3".into()), "{refused}");
}

#[test]
fn ostlerds_own_lines_are_found_by_app_worker_generation_and_event() {
    let machine = printing("");
    start(&machine);
    let ready = entry(&machine, &["OSTLER_APP=shop", "OSTLER_EVENT=worker_ready"], "ready");
    assert_eq!(ready["OSTLER_GENERATION"], "g1", "{ready}");
    assert_eq!(ready["SYSLOG_IDENTIFIER"], "ostlerd", "{ready}");
    assert_eq!(
        (&ready["PRIORITY"], &ready["_SYSTEMD_UNIT"]),
        (&"6".into(), &"ostler.service".into()),
        "{ready}"
    );
    let worker = ready["OSTLER_WORKER"].as_str().expect("it is a text").to_owned();
    machine.tell(&format!("kill -9 {}", shop(&machine).workers[0].pid.expect("it runs")));
    let died = entry(&machine, &[&format!("OSTLER_WORKER={worker}"), "OSTLER_EVENT=worker_died"], "died");
    assert_eq!((&died["PRIORITY"], &died["OSTLER_APP"]), (&"4".into(), &"shop".into()), "{died}");
    let events: BTreeSet<String> = entries(&machine, &["OSTLER_APP=shop", "OSTLER_GENERATION=g1"])
        .iter()
        .map(|it| it["OSTLER_EVENT"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(events.contains("rollout_started") && events.contains("worker_started"), "{events:?}");
}

#[test]
fn a_worker_that_prints_a_lot_serves_while_ostlerd_stands_still_or_is_dead() {
    let machine = printing("");
    drop_in(&machine, "RestartSec=10s");
    start(&machine);
    let ostlerd = stop_ostlerd(&machine);
    ask(&machine, "/much?stopped");
    entry(&machine, &["-t", "shop", "-n", "2"], "stopped 159");
    machine.tell(&format!("kill -9 {ostlerd}"));
    wait_for(&machine, "ostler", "SubState", "auto-restart");
    ask(&machine, "/much?dead");
    entry(&machine, &["-t", "shop", "-n", "2"], "dead 159");
    assert_eq!(machine.property("ostler", "SubState"), "auto-restart", "nobody was ostlerd all the while");
    wait_for(&machine, "ostler", "ActiveState", "active");
    // Of the worker that was adopted, and of the one that comes after it.
    ask(&machine, "/out?adopted");
    entry(&machine, &["-t", "shop"], "adopted");
    machine.run(&["ostler", "restart", "shop"]).exits(0);
    ask(&machine, "/out?after-all");
    assert_eq!(entry(&machine, &["-t", "shop"], "after-all")["_SYSTEMD_UNIT"], "ostler-shop-g2.scope");
}

#[test]
fn workers_print_on_while_journald_is_restarted_or_killed() {
    let machine = printing("workers = 2");
    start(&machine);
    let count = streams(&machine);
    for (number, done) in ["systemctl restart systemd-journald", "systemctl kill -s KILL systemd-journald"]
        .into_iter()
        .enumerate()
    {
        machine.tell(done);
        for of in 0..4 {
            ask(&machine, &format!("/out?line-{number}-{of}"));
            ask(&machine, &format!("/err?other-{number}-{of}"));
        }
        for of in 0..4 {
            entry(&machine, &["-t", "shop"], &format!("line-{number}-{of}"));
            entry(&machine, &["-t", "shop"], &format!("other-{number}-{of}"));
        }
    }
    assert!(shop(&machine).workers.iter().all(|it| it.generation.0 == 1));
    assert_eq!(streams(&machine), count);
}

#[test]
fn a_journald_that_was_stopped_costs_no_request_and_every_worker_finds_it_again() {
    let machine = printing("");
    start(&machine);
    machine.tell("systemctl stop 'systemd-journald*.socket' systemd-journald");
    let pid = ask(&machine, "/out?lost").split(' ').next().expect("a number").to_owned();
    machine.tell("systemctl start systemd-journald");
    // The one that lives connects anew, both outputs at once.
    ask(&machine, "/out?found");
    ask(&machine, "/err?other-output");
    assert_eq!(entry(&machine, &["-t", "shop"], "found")["_PID"].as_str(), Some(pid.as_str()));
    entry(&machine, &["-t", "shop"], "other-output");
    journal_stream_is_stderr(&machine);
    machine.tell(&format!("kill -9 {pid}"));
    until("another worker serves", || {
        let said = get(&target(&machine), "/env").ok()?.text();
        (!said.starts_with(&format!("{pid} "))).then_some(())
    });
    ask(&machine, "/out?here-again");
    entry(&machine, &["-t", "shop"], "here-again");
    journal_stream_is_stderr(&machine);
}

#[test]
fn a_hundred_workers_leave_neither_a_descriptor_nor_a_stream() {
    let surge = "[rollout]\nsettle = \"0s\"\nmax_surge = \"100%\"";
    let machine = printing("workers = 10");
    let file = machine.read("/etc/ostler/apps.d/shop.toml").expect("it is there");
    let file = file.replace("[rollout]\nsettle = \"300ms\"", surge);
    machine.write("/etc/ostler/apps.d/shop.toml", &file);
    let before = streams(&machine);
    start(&machine);
    let descriptors = || {
        let pid = machine.property("ostler", "MainPID");
        machine.tell(&format!("ls /proc/{pid}/fd | wc -l"))
    };
    let settled = |generation: u64| {
        until("only the new generation is left", || {
            let workers = shop(&machine).workers;
            (workers.len() == 10 && workers.iter().all(|it| it.generation.0 == generation)).then_some(())
        });
        (descriptors(), streams(&machine))
    };
    let first = settled(1);
    for generation in 2..=11 {
        machine.run(&["ostler", "restart", "shop"]).exits(0);
        assert_eq!(settled(generation), first, "descriptors and streams");
    }
    for generation in 12..=14 {
        machine.run(&["systemctl", "restart", "ostler"]).exits(0);
        assert_eq!(settled(generation).1, first.1, "streams");
    }
    eprintln!("descriptors and streams, before and after: {first:?}");
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    until("the streams are gone", || (streams(&machine) <= before).then_some(()));
}

#[test]
fn an_app_with_a_log_file_prints_there_and_nowhere_else() {
    let machine = printing("");
    machine.tell("install -d -o nobody /srv/logs");
    write_shop(&machine, "log_file = \"/srv/logs/shop.log\"");
    start(&machine);
    ask(&machine, "/out?to-the-file");
    until("the file has it", || machine.read("/srv/logs/shop.log")?.contains("to-the-file").then_some(()));
    assert!(entries(&machine, &["-t", "shop"]).is_empty());
}

#[test]
fn workers_of_every_wsgi_class_and_of_an_old_gunicorn_print_into_the_journal() {
    let machine = printing("");
    start(&machine);
    for (number, class) in ["gthread", "gevent", "tornado", "sync"].into_iter().enumerate() {
        write_shop(&machine, &format!("args = [\"-k\", \"{class}\"]"));
        if class == "sync" {
            let file = machine.read("/etc/ostler/apps.d/shop.toml").expect("it is there");
            let old = file.replace("gunicorn-27", "gunicorn-20.1");
            machine.write("/etc/ostler/apps.d/shop.toml", &old);
        }
        machine.run(&["ostler", "reload"]).exits(0);
        machine.run(&["ostler", "wait"]).exits(0);
        until("only the new generation is left", || {
            shop(&machine).workers.iter().all(|it| it.generation.0 == number as u64 + 2).then_some(())
        });
        machine.tell("systemctl stop systemd-journald");
        ask(&machine, &format!("/out?out-of-{class}-{number}"));
        ask(&machine, &format!("/err?err-of-{class}-{number}"));
        // A systemd of 256 or later keeps the streams of a journald that was stopped: nobody connects anew, and what
        // was written is read when it is started again.
        if machine.property("systemd-journald", "FileDescriptorStorePreserve") == "yes" {
            machine.tell("systemctl start systemd-journald");
        }
        entry(&machine, &["-t", "shop"], &format!("err-of-{class}-{number}"));
        ask(&machine, &format!("/out?again-{class}-{number}"));
        entry(&machine, &["-t", "shop"], &format!("again-{class}-{number}"));
    }
}
