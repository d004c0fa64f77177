//! What an app prints where there is no journal.

use std::path::Path;

use crate::harness::{Site, until};
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
