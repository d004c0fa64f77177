//! Workers of an earlier ostlerd of which nothing is known any more.

use std::net::{SocketAddr, TcpStream};

use crate::harness::{ASGI, Proc, Site, WSGI, free_address, is_root, until};
use crate::health::ask;
use crate::load::{Load, Target};

#[test]
fn workers_that_nobody_knows_finish_what_they_have_and_no_client_is_lost() {
    let site = Site::new();
    let app = site.app("shop").tcp().unix().workers(2).with("app.py", WSGI).write();
    let other = site.app("blog").tcp().workers(1).with("app.py", ASGI);
    let other = other.args(&["-k", "uvicorn_worker.UvicornWorker"]).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    let before = [ostlerd.pids("shop"), ostlerd.pids("blog")].concat();
    let unix = Target::Unix(site.path("shop.sock"));
    let loads = [app.target(), unix, other.target()].map(|target| Load::on(&target).connections(3).start());
    loads.iter().for_each(|load| load.more(20));
    ostlerd.crash();
    std::fs::remove_file(site.path("run/state.json")).expect("it is there");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    ostlerd.logs("3 workers are left of which nothing is known");
    assert!(before.iter().all(|pid| !Proc(*pid).lives()), "one has two owners");
    loads.iter().for_each(|load| load.more(20));
    for load in loads {
        let tally = load.stop();
        println!("{tally}");
        tally.lost_nothing();
    }
}

#[test]
fn one_that_does_not_end_is_killed() {
    let site = Site::new();
    let stubborn =
        format!("import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n{WSGI}");
    site.app("shop").tcp().workers(1).with("app.py", &stubborn).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop")[0];
    ostlerd.crash();
    std::fs::write(site.path("run/state.json"), "").expect("it is ours");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.logs(&format!("process {before} has not finished in time and is killed"));
    until("it is gone", || (!Proc(before).lives()).then_some(()));
}

/// Somebody who has nothing to do with ostler, with a user namespace of his own or without.
const STRANGER: &[&str] = &["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--"];

/// Looks in /proc as a worker of this runtime directory does: a scoreboard at the worker's number, by its name, and a
/// socket that listens where the app would.
const POSER: &str = r#"
import os, socket, sys
directory, mark, app, host, port = sys.argv[1:]
if os.geteuid() == 0:
    if os.system(f"mount -t tmpfs tmpfs {directory}"):
        sys.exit("no tmpfs")
else:
    directory = os.path.join(os.getcwd(), "posed")
os.makedirs(f"{directory}/scoreboards")
board = os.open(f"{directory}/scoreboards/{app}", os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(board, 1 << 20)
held = socket.create_server((host, int(port)))
os.dup2(board, 6)
held.listen()
open("poses", "w").close()
while True:
    held.accept()[0].sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")
"#;

/// A process of the test's, ended with it.
struct Poser(std::process::Child);

impl Drop for Poser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody of this command poses as a worker of the shop.
fn pose(site: &Site, as_whom: &[&str], held: SocketAddr) -> Poser {
    let place = site.path("logs");
    std::fs::create_dir_all(site.path("run")).expect("the site's folder is ours");
    let _ = std::fs::remove_file(place.join("poses"));
    let _ = std::fs::remove_dir_all(place.join("posed"));
    let run = site.path("run").display().to_string();
    let (mark, host, port) =
        (format!("OSTLER_APP={run}:shop"), held.ip().to_string(), held.port().to_string());
    let mut command = std::process::Command::new(as_whom[0]);
    command.args(&as_whom[1..]).args(["/usr/bin/python3", "-c", POSER, &run, &mark, "shop", &host, &port]);
    command.current_dir(&place).env(mark.split_once('=').expect("it has one").0, format!("{run}:shop"));
    let poser = Poser(command.spawn().expect("setpriv is installed"));
    until("somebody poses as a worker", || place.join("poses").exists().then_some(()));
    poser
}

/// The port is his, and ostlerd neither takes it from him nor ends him.
#[track_caller]
fn is_let_alone(site: &Site, as_whom: &[&str], user: &str) {
    let app = site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    let Target::Tcp(held) = app.target() else { unreachable!("it listens on TCP") };
    let mut poser = pose(site, as_whom, held);
    let ostlerd = site.start();
    ostlerd.serving("blog");
    ostlerd.logs(&format!("the port is in use by python3 (pid {}) of {user}", poser.0.id()));
    assert!(!ostlerd.log().contains("of which nothing is known"), "he is believed:\n{}", ostlerd.log());
    assert_eq!(poser.0.try_wait().expect("he is the test's child"), None, "he was ended");
    let shared = ostlerd.process().descriptors().into_values().any(|it| {
        let sockets = Proc(poser.0.id() as i32).descriptors();
        it.starts_with("socket:") && sockets.into_values().any(|his| his == it)
    });
    assert!(!shared, "ostlerd has a socket of his");
    drop(poser);
    assert_eq!(ostlerd.ostler(&["reload"]).code, Some(0));
    ostlerd.serving("shop");
}

#[test]
fn a_stranger_who_looks_like_a_worker_keeps_his_port_to_himself_and_is_named() {
    if !is_root() {
        return;
    }
    is_let_alone(&Site::new(), STRANGER, "the user 12345");
}

#[test]
fn nor_is_one_believed_who_makes_names_in_a_user_namespace_of_his_own() {
    if !is_root() {
        return;
    }
    let in_a_namespace = [STRANGER, &["unshare", "--user", "--map-root-user", "--mount"]].concat();
    is_let_alone(&Site::new(), &in_a_namespace, "the user 12345");
    // Nor the app's own user.
    let user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"];
    let as_its_user = [&user[..], &["unshare", "--user", "--map-root-user", "--mount"]].concat();
    is_let_alone(&Site::new(), &as_its_user, "nobody");
}

#[test]
fn a_stranger_who_looks_like_a_worker_gets_no_port_of_healths() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    let held = free_address();
    std::fs::write(site.config(), format!("[health]\nlisten = [\"{held}\"]\n")).expect("it is ours");
    let in_a_namespace = [STRANGER, &["unshare", "--user", "--map-root-user", "--mount"]].concat();
    let poser = pose(&site, &in_a_namespace, held);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.logs(&format!("the port is in use by python3 (pid {}) of the user 12345", poser.0.id()));
    assert!(TcpStream::connect(held).is_ok(), "it is still his");
    drop(poser);
    until("health is answered", || ostlerd.status().config.unanswered.is_empty().then_some(()));
}

#[test]
fn workers_of_a_directory_that_is_gone_are_known_all_the_same() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(2).with("app.py", WSGI).write();
    for how in ["removed", "moved"] {
        let ostlerd = site.start();
        ostlerd.serving("shop");
        let before = ostlerd.pids("shop");
        let load = Load::on(&app.target()).connections(3).start();
        load.more(20);
        match how {
            "removed" => std::fs::remove_dir_all(site.path("run")),
            _ => std::fs::rename(site.path("run"), site.path("away")),
        }
        .expect("it is ours");
        ostlerd.crash();
        let ostlerd = site.start();
        ostlerd.serving("shop");
        assert!(before.iter().all(|pid| !Proc(*pid).lives()), "{how}: one has two owners");
        load.more(20);
        load.stop().lost_nothing();
    }
}

/// Its first worker takes a port as soon as it is free, and says so.
const SEIZES: &str = r#"
import os, socket, threading, time
def seize():
    while True:
        try:
            held = socket.create_server((os.environ["SEIZES_HOST"], int(os.environ["SEIZES_PORT"])))
            break
        except OSError:
            time.sleep(0.001)
    open(os.environ["NOTES"] + "/seized", "w").close()
    held.listen()
    threading.Event().wait()
try:
    os.close(os.open(os.environ["NOTES"] + "/once", os.O_CREAT | os.O_EXCL))
    threading.Thread(target=seize, daemon=True).start()
except FileExistsError:
    pass
"#;

#[test]
fn a_worker_that_took_healths_port_while_ostlerd_was_dead_shares_it_with_nobody() {
    let site = Site::new();
    let (health, notes) = (free_address(), site.path("logs"));
    std::fs::write(site.config(), format!("[health]\nlisten = [\"{health}\"]\n")).expect("it is ours");
    let app = site.app("shop").tcp().workers(1).env("NOTES", &notes.display().to_string());
    let app = app.env("SEIZES_HOST", &health.ip().to_string()).env("SEIZES_PORT", &health.port().to_string());
    app.with("app.py", &format!("{SEIZES}{WSGI}")).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let worker = ostlerd.pids("shop")[0];
    ostlerd.crash();
    until("its port is taken", || notes.join("seized").exists().then_some(()));
    std::fs::remove_file(site.path("run/state.json")).expect("it is there");
    let ostlerd = site.start();
    ostlerd.logs(&format!("health is not answered: cannot listen on {health}: the port is in use by "));
    ostlerd.logs(&format!("(pid {worker}) of "));
    ostlerd.serving("shop");
    assert!(!Proc(worker).lives(), "one has two owners");
    until("health is answered", || ostlerd.status().config.unanswered.is_empty().then_some(()));
    assert_eq!(ask(health, "/livez"), (200, "ok\n".to_owned()));
}
