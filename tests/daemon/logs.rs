//! What an app prints where there is no journal.

use std::path::Path;

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
