//! What an app prints where there is no journal, and how `ostler logs` shows it.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use nix::sys::signal::Signal;

use crate::harness::{Site, kill, until};
use crate::load::get;

const PRINTING: &str = "
import sys

def application(environ, start_response):
    print('one for stdout, of', environ['PATH_INFO'])
    sys.stderr.write('one for stderr\\n')
    start_response('200 OK', [])
    return [b'ok']
";

#[test]
fn without_a_journal_a_worker_prints_where_ostlerd_does() {
    let site = Site::new();
    let app = site.app("shop").unix().with("app.py", PRINTING).write();
    // Somebody's who has started it: what ostlerd itself says does not go there.
    let ostlerd = site.start_with("JOURNAL_STREAM", Path::new("8:1234"));
    until("the app serves", || get(&app.target(), "/here").ok());
    until("all is in ostlerd's own log", || {
        let log = ostlerd.log();
        (log.contains("one for stdout, of /here") && log.contains("one for stderr")).then_some(())
    });
    let worker = ostlerd.app("shop").workers[0].pid.expect("it runs");
    assert!(!crate::harness::Proc(worker).environment().contains_key("JOURNAL_STREAM"));
    drop(ostlerd);
}

#[test]
fn a_pipe_in_the_place_of_a_log_file_fails_a_start_at_once_with_what_is_there() {
    let site = Site::new();
    let file = site.path("logs").join("shop.log");
    let app = site.app("shop").tcp().workers(1).with("app.py", PRINTING);
    app.key(&format!("log_file = {file:?}")).table("[rollout]\nboot_timeout = \"10m\"").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    std::fs::remove_file(&file).expect("a worker has made it");
    let made = std::process::Command::new("mkfifo").args(["-m", "666"]).arg(&file).status();
    assert!(made.expect("mkfifo is installed").success());
    kill(ostlerd.app("shop").workers[0].pid.expect("it runs"), Signal::SIGKILL);
    ostlerd.logs("it is a named pipe (FIFO)");
    std::fs::remove_file(&file).expect("it is there");
    ostlerd.serving("shop");
}

/// Prints the path of each request, at once.
const ECHOING: &str = "
def application(environ, start_response):
    print('asked for', environ['PATH_INFO'], flush=True)
    start_response('200 OK', [])
    return [b'ok']
";

/// The command on its way, with what it has written so far.
fn following(site: &Site, args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = site.ostler_command(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ostler starts");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    (child, lines)
}

#[test]
fn ostler_logs_shows_a_log_file_and_goes_on_with_the_one_that_takes_its_place() {
    let site = Site::new();
    let file = site.path("logs").join("shop.log");
    let app = site.app("shop").unix().workers(1).with("app.py", ECHOING);
    let app = app.key(&format!("log_file = {file:?}")).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    (0..12).for_each(|number| drop(get(&app.target(), &format!("/{number}")).expect("it serves")));
    let said = ostlerd.ostler(&["logs", "shop"]).exits(0);
    let last: Vec<String> = (2..12).map(|number| format!("asked for /{number}")).collect();
    assert_eq!(said.out.lines().collect::<Vec<_>>(), last);
    assert_eq!(ostlerd.ostler(&["logs", "shop", "-n", "1"]).exits(0).out, "asked for /11\n");
    ostlerd.ostler(&["logs", "shop", "--lines=all"]).exits(0).says(&["asked for /0\n"]);

    let (mut child, mut lines) = following(&site, &["logs", "shop", "-f", "-n", "1"]);
    let mut next = || lines.next().expect("it goes on").expect("it is text");
    assert_eq!(next(), "asked for /11");
    get(&app.target(), "/more").expect("it serves");
    assert_eq!(next(), "asked for /more");
    fs::rename(&file, site.path("logs").join("shop.log.1")).expect("both are there");
    ostlerd.signal(Signal::SIGUSR1);
    until("the other file is written to", || {
        get(&app.target(), "/rotated").expect("it serves");
        fs::read_to_string(&file).ok().filter(|text| text.contains("/rotated"))
    });
    while next() != "asked for /rotated" {}
    kill(child.id() as i32, Signal::SIGINT);
    assert_eq!(child.wait().expect("it is ours").code(), Some(130));

    let (mut child, mut lines) = following(&site, &["logs", "shop", "-f"]);
    lines.next();
    drop(lines);
    until("it ends with its reader", || {
        get(&app.target(), "/unread").expect("it serves");
        child.try_wait().expect("it is ours")
    });
    assert_eq!(child.wait().expect("it is ours").code(), Some(0));
}

#[test]
fn ostler_logs_needs_no_ostlerd_and_says_what_is_missing() {
    let site = Site::new();
    let file = site.path("logs").join("shop.log");
    site.app("shop").unix().with("app.py", ECHOING).key(&format!("log_file = {file:?}")).write();
    let config = site.config();
    let config = config.to_str().expect("it is text");
    let logs = |args: &[&str]| site.ostler(&[&["logs", "--config", config], args].concat());
    logs(&["shop"]).exits(0).says(&["shop has written nothing to", "shop.log yet"]);
    fs::create_dir_all(site.path("logs")).expect("the site is ours");
    fs::write(&file, "one\ntwo\n").expect("the folder is ours");
    assert_eq!(logs(&["shop", "-n", "1"]).exits(0).out, "two\n");
    logs(&["shpo"]).exits(64).says(&["did you mean `shop`?"]);
    logs(&["no such"]).exits(64).says(&["is no app name"]);
    for option in [&["--since", "-1h"][..], &["--process", "g1"], &["--json"]] {
        logs(&[&["shop"], option].concat()).exits(64).says(&[option[0], "needs the journal", "`log_file`"]);
    }
    logs(&["shop", "--process", "web"]).exits(64).says(&["w17", "g3"]);
    logs(&["shop", "-n", "many"]).exits(64).says(&["a number of lines"]);
    site.ostler(&["logs", "shop", "--config", "/nonexistent.toml"]).exits(78).says(&["/nonexistent.toml"]);
}

#[test]
fn ostler_logs_says_where_an_app_prints_if_that_is_kept_nowhere() {
    let site = Site::new();
    site.app("shop").unix().with("app.py", ECHOING).write();
    site.app("blog").unix().with("app.py", ECHOING).key("log_file = \"/dev/null\"").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    let pid = format!("(pid {})", ostlerd.process().0);
    ostlerd.ostler(&["logs", "shop"]).exits(1).says(&["standard error", "`log_file`", &pid]);
    ostlerd.ostler(&["logs", "blog"]).exits(1).says(&["/dev/null", "a device"]);
}
