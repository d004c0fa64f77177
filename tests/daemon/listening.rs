//! Apps that take the socket apart on which they listen: it is shared, so what one worker does to it is done for all of them.

use crate::harness::{Site, WSGI, until};
use crate::load::{Target, answers, get};

/// Ends the listening for every worker, as a framework does that believes the socket to be its own.
const SHUT: &str = "
import socket
handle_well = handle
def handle(path, query):
    if path == '/shut':
        for fd in range(3, 64):
            try:
                it = socket.socket(fileno=os.dup(fd))
                if it.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    it.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
    return handle_well(path, query)
";

#[test]
fn a_tcp_listener_that_its_app_shuts_listens_again_after_a_restart() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(2).with("app.py", &format!("{WSGI}{SHUT}")).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let target: Target = app.target();
    let _ = get(&target, "/shut");
    until("nobody gets in", || get(&target, "/").is_err().then_some(()));
    ostlerd.restart("shop");
    until("everybody does again", || get(&target, "/").is_ok().then_some(()));
    answers(&target, "1");
}
