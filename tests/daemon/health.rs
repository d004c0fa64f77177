//! Health as load balancers see it: the real ostlerd, asked on its own ports.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ostler::supervise::AppState;

use crate::harness::{AppFile, Site, WSGI, free_address, until};
use crate::load::Connection;

/// Writes the main file: health on an address of its own, and these lines.
pub fn listens(site: &Site, more: &str) -> SocketAddr {
    let address = free_address();
    let text =
        format!("[health]\nlisten = [\"{address}\", \"unix:{}\"]\n{more}\n", site.path("h.sock").display());
    fs::write(site.config(), text).expect("the site's folder is writable");
    address
}

fn shop(site: &Site) -> AppFile {
    site.app("shop").tcp().workers(2).with("app.py", WSGI)
}

/// What comes back for these bytes until the other end closes.
pub fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut said = Vec::new();
    // A reset after the answer is an end as well.
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// The status and the body.
pub fn ask(address: SocketAddr, path: &str) -> (u16, String) {
    let said = raw(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    let code = said.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
    (code, said.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

#[track_caller]
fn becomes(address: SocketAddr, path: &str, code: u16) {
    until(format!("{path} answers {code}"), || (ask(address, path).0 == code).then_some(()));
}

#[test]
fn every_form_of_question_gets_the_same_truth() {
    let site = Site::new();
    shop(&site).write();
    let address = listens(&site, "");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    becomes(address, "/readyz", 200);
    for path in ["/livez", "/readyz", "/readyz/shop", "/readyz?exclude=shop"] {
        assert_eq!(ask(address, path), (200, "ok\n".to_owned()), "{path}");
    }
    assert_eq!(ask(address, "/readyz?verbose").1, "ok\n[+]ostlerd ok\n[+]shop ok\n");
    for (request, begin, end) in [
        ("GET /readyz HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK", "\r\n\r\nok\n"),
        ("OPTIONS /readyz HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK", "\r\n\r\nok\n"),
        ("HEAD /readyz HTTP/1.1\r\nHost: a.b:1\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK", "\r\n\r\n"),
        ("GET /readyz HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK", "ok\n"),
        ("POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405", ""),
        ("GET /nowhere HTTP/1.0\r\n\r\n", "HTTP/1.0 404", ""),
        ("GET /readyz/none HTTP/1.0\r\n\r\n", "HTTP/1.0 404", ""),
    ] {
        let said = raw(address, request);
        assert!(said.starts_with(begin) && said.ends_with(end), "{request:?}: {said:?}");
        assert!(said.to_lowercase().contains("cache-control: no-store"), "{said}");
    }
    let json = raw(address, "GET /readyz HTTP/1.0\r\nAccept: application/health+json\r\n\r\n");
    assert!(
        json.contains("content-type: application/health+json") && json.contains("\"status\":\"pass\""),
        "{json}"
    );
    let mut unix = UnixStream::connect(site.path("h.sock")).expect("it listens");
    unix.write_all(b"GET /readyz?verbose HTTP/1.0\r\n\r\n").expect("it reads");
    let mut said = String::new();
    unix.read_to_string(&mut said).expect("it answers and closes");
    assert!(said.ends_with("ok\n[+]ostlerd ok\n[+]shop ok\n"), "{said}");
}

#[test]
fn a_name_that_somebody_has_turned_to_this_machine_is_told_no_details() {
    let site = Site::new();
    shop(&site).write();
    let address = listens(&site, "");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let told = |target: &str, headers: &str| {
        raw(address, &format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"))
    };
    let json = "Accept: application/health+json\r\n";
    let details = [
        ("/", ""),
        ("/events", ""),
        ("/metrics", ""),
        ("/readyz?verbose", ""),
        ("/livez?verbose", ""),
        ("/readyz/shop?verbose", ""),
        ("/readyz", json),
        ("/livez", json),
        ("/readyz/shop", json),
    ];
    let lies = [
        "Host: evil.example:9180\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: evil.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
        "Host: localhost\r\nOrigin: http://evil.example\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
    ];
    // How each says something that no stranger is told.
    let tells = |said: &str| {
        ["ostler_", "[+]", "ostlerd", "serviceId", "Workers of"].iter().any(|it| said.contains(it))
    };
    for (path, accept) in details {
        if path != "/events" {
            assert!(tells(&told(path, &format!("Host: localhost\r\n{accept}"))), "{path} {accept}");
        }
        let absolute = told(&format!("http://evil.example{path}"), &format!("Host: localhost\r\n{accept}"));
        for said in lies.map(|lie| told(path, &format!("{lie}{accept}"))).into_iter().chain([absolute]) {
            assert!(!tells(&said), "{path} {accept}: {said}");
            assert!(said.starts_with("HTTP/1.1 200") || said.starts_with("HTTP/1.1 403"), "{said}");
        }
    }
    // Whoever balances load is told what he needs by whatever name.
    assert!(told("/readyz", "Host: evil.example\r\n").ends_with("ok\n"));
}

#[test]
fn metrics_count_over_the_lives_of_workers() {
    let site = Site::new();
    let app = shop(&site).write();
    let address = listens(&site, "");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    for _ in 0..5 {
        crate::load::get(&app.target(), "/").expect("it serves");
    }
    let total = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("ostler_requests_total{app=\"shop\"} "));
        line.and_then(|count| count.parse::<u64>().ok()).unwrap_or(0)
    };
    until("five requests are counted", || (total(&ask(address, "/metrics").1) == 5).then_some(()));
    ostlerd.restart("shop");
    ostlerd.serving("shop");
    let (code, text) = ask(address, "/metrics");
    assert_eq!((code, total(&text)), (200, 5), "{text}");
    assert!(text.contains("ostler_rollouts_total{app=\"shop\",outcome=\"committed\"} "), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn a_rollout_does_not_touch_readiness_and_a_stop_does() {
    let site = Site::new();
    shop(&site).write();
    let address = listens(&site, "");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    becomes(address, "/readyz", 200);
    let rollout = site.ostler_command(&["restart", "shop"]).stdout(std::process::Stdio::null()).spawn();
    let mut rollout = rollout.expect("the command starts");
    until("the rollout ends", || {
        assert_eq!(ask(address, "/readyz").0, 200);
        rollout.try_wait().expect("the child is ours")
    });
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    becomes(address, "/readyz", 503);
    assert_eq!(ask(address, "/livez").0, 200);
    ostlerd.ostler(&["start", "shop"]).exits(0);
    becomes(address, "/readyz", 200);
}

#[test]
fn only_an_app_that_is_needed_fails_the_machine() {
    let site = Site::new();
    shop(&site).write();
    let blog = site.app("blog").tcp().workers(1).with("app.py", "1 / 0").key("optional = true").write();
    let address = listens(&site, "");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.wait("blog", "has failed", |app| app.state == AppState::Failed);
    assert_eq!(ask(address, "/readyz").0, 200);
    assert_eq!(ask(address, "/readyz/blog"), (503, "fail\n".to_owned()));
    let text = fs::read_to_string(&blog.file).expect("it was written");
    fs::write(&blog.file, text.replace("optional = true", "")).expect("it is ours");
    blog.release("app.py", WSGI);
    ostlerd.ostler(&["reload"]);
    ostlerd.serving("blog");
    ostlerd.ostler(&["stop", "blog"]).exits(0);
    becomes(address, "/readyz", 503);
    assert_eq!(ask(address, "/readyz?exclude=blog").0, 200);
}

#[test]
fn answers_come_at_once_while_every_worker_is_busy() {
    let site = Site::new();
    let app = shop(&site).write();
    let agent = free_address();
    let address = listens(&site, &format!("agent = \"{agent}\""));
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(raw(agent, ""), "up ready 100%\n");
    let mut busy: Vec<Connection> = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(&app.target(), Duration::from_secs(60)).expect("it listens");
        connection.send(b"GET /sleep?600 HTTP/1.1\r\nHost: x\r\n\r\n");
        busy.push(connection);
    }
    until("the saturation is seen", || {
        ask(address, "/readyz?verbose").1.contains("all workers are busy").then_some(())
    });
    let slowest = (0..50).map(|_| {
        let began = Instant::now();
        assert_eq!(ask(address, "/readyz").0, 200);
        began.elapsed()
    });
    let slowest = slowest.max().expect("fifty of them");
    assert!(slowest < Duration::from_secs(20), "a worker was waited for: {slowest:?}");
    assert_eq!(raw(agent, ""), "up ready 100%\n", "nobody asked for the weight");
    assert_eq!(raw(agent, "weight\n"), "up ready 10%\n");
    assert!(ask(address, "/metrics").1.contains("ostler_app_saturated{app=\"shop\"} 1"));
    drop(busy);
    ostlerd.ostler(&["restart", "shop"]);
}

#[test]
fn sigterm_fails_readiness_while_requests_finish() {
    let site = Site::new();
    let app = shop(&site).write();
    let agent = free_address();
    let track = site.path("keepalived");
    let address = listens(&site, &format!("agent = \"{agent}\"\ntrack_file = {track:?}"));
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    let tracked = || fs::read_to_string(&track).unwrap_or_default();
    until("keepalived is told", || (tracked() == "0\n").then_some(()));
    let mut busy = Connection::open(&app.target(), Duration::from_secs(60)).expect("it listens");
    busy.send(b"GET /sleep?4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    ostlerd.wait("shop", "has a request", |app| app.workers.iter().any(|it| it.in_flight == 1));
    ostlerd.signal(Signal::SIGTERM);
    becomes(address, "/readyz", 503);
    let said = raw(address, "GET /readyz HTTP/1.0\r\n\r\n");
    assert!(said.contains("x-envoy-immediate-health-check-fail: true"), "{said}");
    assert_eq!(ask(address, "/livez").0, 200);
    assert_eq!(raw(agent, ""), "drain\n");
    until("keepalived is told", || (tracked() == "1\n").then_some(()));
    assert_eq!(busy.response().expect("it is answered").status, 200);
    assert!(ostlerd.ends().success());
}

#[test]
fn a_port_of_healths_that_is_taken_stops_no_app_and_is_answered_as_soon_as_it_is_free() {
    let site = Site::new();
    shop(&site).write();
    let agent = free_address();
    let address = listens(&site, &format!("agent = \"{agent}\""));
    let taken = [address, agent].map(|it| TcpListener::bind(it).expect("it is free"));
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let whose = format!("(pid {}) of ", std::process::id());
    for address in [address, agent] {
        let words = format!("health is not answered: cannot listen on {address}: the port is in use by ");
        ostlerd.logs(&words);
        ostlerd.ostler(&["status"]).exits(0).says(&[&words, &whose]);
        site.ostler_check().exits(0).says(&[&words, &whose]);
    }
    assert_eq!(ostlerd.status().config.unanswered.len(), 2);
    drop(taken);
    until("the port is had again", || ostlerd.status().config.unanswered.is_empty().then_some(()));
    becomes(address, "/readyz", 200);
    let mut said = String::new();
    TcpStream::connect(agent).expect("it is answered").read_to_string(&mut said).expect("it ends");
    assert_eq!(said, "up ready 100%\n");
    site.ostler_check().exits(0);
}

#[test]
fn a_token_that_cannot_be_read_is_an_error() {
    let site = Site::new();
    shop(&site).write();
    listens(&site, "token_file = \"/nowhere/token\"");
    site.start_in_vain().exits(1).says(&["/nowhere/token cannot be read"]);
}

#[test]
fn no_port_is_opened_where_none_is_wanted() {
    let site = Site::new();
    shop(&site).write();
    fs::write(site.config(), "[health]\nlisten = []\n").expect("the site's folder is writable");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert!(!ostlerd.log().contains("health is"), "{}", ostlerd.log());
}

#[test]
fn a_change_that_takes_a_restart_of_ostlerd_is_named_and_changes_nothing() {
    let site = Site::new();
    shop(&site).write();
    listens(&site, "");
    let runs = fs::read_to_string(site.config()).expect("it was just written");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    listens(&site, "saturation = \"fail\"");
    let named = ["health.listen", "health.saturation", "restart of ostlerd"];
    ostlerd.ostler(&["reload", "--dry-run"]).exits(0).says(&named);
    ostlerd.ostler(&["reload"]).exits(0).says(&named);
    ostlerd.ostler(&["status"]).exits(0).says(&named);
    assert_eq!(ostlerd.pids("shop"), before);
    fs::write(site.config(), runs).expect("the site's folder is writable");
    ostlerd.ostler(&["reload"]).exits(0);
    assert!(ostlerd.status().config.needs_restart.is_empty(), "it runs as it is configured");
}
