//! A rollout loses nothing: every worker class, connections that close and that stay, TCP and Unix.

use ostler::supervise::GenerationId;

use crate::harness::{ASGI, AppFile, DJANGO, Gunicorn, Site, WSGI, newest_is_too_new};
use crate::load::{Connection, Load, Target};

const ROLLOUTS: u64 = 3;
const GTHREAD: &[&str] = &["-k", "gthread", "--threads", "4"];
const UVICORN: &[&str] = &["-k", "uvicorn_worker.UvicornWorker"];

/// Restarts the app thrice under load; every request of the load has to be answered well.
fn three_rollouts_lose_nothing(args: &[&str], version: Gunicorn, keep_alive: bool, unix: bool) {
    if version == Gunicorn::Newest && newest_is_too_new() {
        return; // its laws are tried by tests/shim/run.py
    }
    let site = Site::new();
    let asgi = args.iter().any(|arg| arg.contains("asgi") || arg.contains("uvicorn"));
    let app = site.app("shop").gunicorn(version).args(args).workers(2);
    let app = if unix { app.unix() } else { app.tcp() };
    let app = app.with("app.py", if asgi { ASGI } else { WSGI }).write();
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");

    let load = Load::on(&app.target()).keep_alive(keep_alive).start();
    for _ in 0..ROLLOUTS {
        load.more(40);
        ostlerd.restart("shop");
    }
    load.more(40);
    let tally = load.stop();

    tally.lost_nothing();
    let after = ostlerd.serving("shop");
    let generation = |id: Option<GenerationId>| id.expect("it serves").0;
    assert_eq!(generation(after.generation), generation(before.generation) + ROLLOUTS, "{after:#?}");
    // Not each generation: a connection that is slow to be closed can outlast one.
    assert!(tally.bodies().len() > 1, "the new generations answer: {tally}");
    let closes_always = args.contains(&"sync");
    if keep_alive && !closes_always {
        assert!(tally.reused() > tally.samples.len() / 2, "connections should be used again: {tally}");
    }
}

macro_rules! loses_nothing {
    ($($name:ident: $args:expr, $version:ident, $keep_alive:ident, $transport:ident;)*) => {$(
        #[test]
        fn $name() {
            let unix = stringify!($transport) == "unix";
            let keep_alive = stringify!($keep_alive) == "keepalive";
            three_rollouts_lose_nothing($args, Gunicorn::$version, keep_alive, unix);
        }
    )*};
}

// All of them together with the gunicorn that most have; with the older ones each kind of connection and of socket once.
loses_nothing! {
    sync_27_closing_tcp_loses_nothing: &["-k", "sync"], V27, closing, tcp;
    sync_27_closing_unix_loses_nothing: &["-k", "sync"], V27, closing, unix;
    sync_27_keepalive_tcp_loses_nothing: &["-k", "sync"], V27, keepalive, tcp;
    sync_27_keepalive_unix_loses_nothing: &["-k", "sync"], V27, keepalive, unix;
    gthread_27_closing_tcp_loses_nothing: GTHREAD, V27, closing, tcp;
    gthread_27_closing_unix_loses_nothing: GTHREAD, V27, closing, unix;
    gthread_27_keepalive_tcp_loses_nothing: GTHREAD, V27, keepalive, tcp;
    gthread_27_keepalive_unix_loses_nothing: GTHREAD, V27, keepalive, unix;
    gevent_27_closing_tcp_loses_nothing: &["-k", "gevent"], V27, closing, tcp;
    gevent_27_closing_unix_loses_nothing: &["-k", "gevent"], V27, closing, unix;
    gevent_27_keepalive_tcp_loses_nothing: &["-k", "gevent"], V27, keepalive, tcp;
    gevent_27_keepalive_unix_loses_nothing: &["-k", "gevent"], V27, keepalive, unix;
    tornado_27_closing_tcp_loses_nothing: &["-k", "tornado"], V27, closing, tcp;
    tornado_27_closing_unix_loses_nothing: &["-k", "tornado"], V27, closing, unix;
    tornado_27_keepalive_tcp_loses_nothing: &["-k", "tornado"], V27, keepalive, tcp;
    tornado_27_keepalive_unix_loses_nothing: &["-k", "tornado"], V27, keepalive, unix;
    asgi_27_closing_tcp_loses_nothing: &["-k", "asgi"], V27, closing, tcp;
    asgi_27_closing_unix_loses_nothing: &["-k", "asgi"], V27, closing, unix;
    asgi_27_keepalive_tcp_loses_nothing: &["-k", "asgi"], V27, keepalive, tcp;
    asgi_27_keepalive_unix_loses_nothing: &["-k", "asgi"], V27, keepalive, unix;
    uvicorn_27_closing_tcp_loses_nothing: UVICORN, V27, closing, tcp;
    uvicorn_27_closing_unix_loses_nothing: UVICORN, V27, closing, unix;
    uvicorn_27_keepalive_tcp_loses_nothing: UVICORN, V27, keepalive, tcp;
    uvicorn_27_keepalive_unix_loses_nothing: UVICORN, V27, keepalive, unix;

    sync_newest_closing_tcp_loses_nothing: &["-k", "sync"], Newest, closing, tcp;
    gthread_newest_keepalive_tcp_loses_nothing: GTHREAD, Newest, keepalive, tcp;
    gevent_newest_keepalive_unix_loses_nothing: &["-k", "gevent"], Newest, keepalive, unix;
    tornado_newest_keepalive_tcp_loses_nothing: &["-k", "tornado"], Newest, keepalive, tcp;
    asgi_newest_closing_tcp_loses_nothing: &["-k", "asgi"], Newest, closing, tcp;
    uvicorn_newest_keepalive_tcp_loses_nothing: UVICORN, Newest, keepalive, tcp;

    sync_23_closing_tcp_loses_nothing: &["-k", "sync"], V23, closing, tcp;
    sync_23_keepalive_unix_loses_nothing: &["-k", "sync"], V23, keepalive, unix;
    gthread_23_closing_tcp_loses_nothing: GTHREAD, V23, closing, tcp;
    gthread_23_keepalive_unix_loses_nothing: GTHREAD, V23, keepalive, unix;
    uvicorn_23_closing_tcp_loses_nothing: UVICORN, V23, closing, tcp;
    uvicorn_23_keepalive_unix_loses_nothing: UVICORN, V23, keepalive, unix;

    sync_20_closing_unix_loses_nothing: &["-k", "sync"], V20, closing, unix;
    sync_20_keepalive_tcp_loses_nothing: &["-k", "sync"], V20, keepalive, tcp;
    gthread_20_closing_unix_loses_nothing: GTHREAD, V20, closing, unix;
    gthread_20_keepalive_tcp_loses_nothing: GTHREAD, V20, keepalive, tcp;
    uvicorn_20_closing_unix_loses_nothing: UVICORN, V20, closing, unix;
    uvicorn_20_keepalive_tcp_loses_nothing: UVICORN, V20, keepalive, tcp;
}

/// A site with `[probe]`: HTTPS only, one host only.
fn django(site: &Site) -> AppFile {
    let probe = "[probe]\npath = \"/healthz\"\nhost = \"shop.example.com\"\nscheme = \"https\"";
    site.app("shop").args(GTHREAD).tcp().workers(2).with("app.py", DJANGO).table(probe).write()
}

#[test]
fn a_django_site_behind_https_passes_its_probe_and_loses_nothing() {
    let site = Site::new();
    let app = django(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.restart("shop");
    let mut connection =
        Connection::open(&app.target(), std::time::Duration::from_secs(10)).expect("it listens");
    connection.send(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nX-Forwarded-Proto: https\r\n\r\n");
    assert_eq!(connection.response().expect("it answers").status, 200);
}

#[test]
fn requests_over_two_listeners_of_one_app_are_all_answered() {
    let site = Site::new();
    let app = site.app("shop").args(GTHREAD).tcp().unix().workers(2).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let tcp = Load::on(&app.target()).keep_alive(true).start();
    let unix = Load::on(&Target::Unix(site.path("shop.sock"))).start();
    tcp.more(40);
    ostlerd.restart("shop");
    unix.more(40);
    tcp.stop().lost_nothing();
    unix.stop().lost_nothing();
}
