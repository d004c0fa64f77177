//! What clouds ask and tell: their balancers' health checks, as documented, and their notices that a machine goes.
//!
//! The metadata service is a stand-in: the real one is there on a machine of the cloud only.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::harness::{AppFile, Said, Site, WSGI, free_address, until};
use crate::health::{ask, listens, raw};
use crate::load::get;

fn shop(site: &Site) -> AppFile {
    site.app("shop").tcp().workers(1).with("app.py", WSGI)
}

/// Each balancer's check: the request, and how its documentation judges the answer.
fn checks(at: SocketAddr) -> [(&'static str, String); 6] {
    let lines = |lines: &[&str]| lines.iter().map(|line| format!("{line}\r\n")).collect::<String>() + "\r\n";
    let (host, port) = (at.ip().to_string(), at.port());
    let target = format!("Host: {host}:{port}");
    // An NLB names itself and its listener's port, not the target's.
    let listener = "Host: 10.0.3.7:443";
    let elb = "User-Agent: ELB-HealthChecker/2.0";
    [
        (
            "alb",
            lines(&[
                "GET /readyz HTTP/1.1",
                &target,
                "Connection: close",
                elb,
                "Accept-Encoding: gzip, compressed",
            ]),
        ),
        ("nlb", lines(&["GET /readyz HTTP/1.1", listener, "Connection: close", elb])),
        (
            "classic elb",
            lines(&[
                "GET /readyz HTTP/1.1",
                &target,
                "User-Agent: ELB-HealthChecker/1.0",
                "Accept: */*",
                "Connection: keep-alive",
                "Connection: close",
            ]),
        ),
        (
            "gcp",
            lines(&[
                "GET /readyz HTTP/1.1",
                &format!("Host: {host}"),
                "User-Agent: GoogleHC/1.0",
                "Connection: close",
            ]),
        ),
        (
            "gcp, snapshot",
            lines(&["GET /readyz HTTP/1.0", &format!("Host: {host}"), "User-Agent: GoogleHC/1.0"]),
        ),
        (
            "azure",
            lines(&["GET /readyz HTTP/1.1", &target, "User-Agent: Load Balancer Agent", "Connection: Close"]),
        ),
    ]
}

#[test]
fn every_clouds_checker_is_told_the_truth_as_it_asks() {
    let site = Site::new();
    let app = shop(&site).write();
    let address = listens(&site, "");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    until("it is ready", || (ask(address, "/readyz").0 == 200).then_some(()));
    for (checker, request) in checks(address) {
        let said = raw(address, &request);
        let head = said.lines().next().unwrap_or_default();
        assert!(head.ends_with(" 200 OK") && said.ends_with("\r\n\r\nok\n"), "{checker}: {said}");
        // GCP looks for its expected text in the first 1024 bytes of the body; nobody follows a redirect.
        assert!(!said.to_lowercase().contains("location:"), "{checker}: {said}");
    }
    ostlerd.ostler(&["drain"]).exits(0);
    for (checker, request) in checks(address) {
        let said = raw(address, &request);
        assert!(said.lines().next().unwrap_or_default().contains(" 503 "), "{checker}: {said}");
    }
    assert_eq!(get(&app.target(), "/").expect("it goes on serving").status, 200);
}

/// A metadata service: paths with their answers, each asked with this header; a token may be taken back.
#[derive(Clone, Default)]
struct Metadata(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: Vec<(String, String)>,
    tokens: u32,
    asked: u32,
}

impl Metadata {
    fn start() -> (Metadata, String) {
        let metadata = Metadata::default();
        let listener = TcpListener::bind(free_address()).expect("it is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let answering = metadata.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answering.answer(stream);
            }
        });
        (metadata, url)
    }

    fn says(&self, path: &str, answer: &str) {
        self.0.lock().expect("nobody panicked").answers.push((path.to_owned(), answer.to_owned()));
    }

    fn takes_its_tokens_back(&self) {
        self.0.lock().expect("nobody panicked").tokens += 1;
    }

    fn asked(&self) -> u32 {
        self.0.lock().expect("nobody panicked").asked
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut lines =
            BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let headers: Vec<String> = lines.map(|line| line.to_lowercase()).collect();
        let mut state = self.0.lock().expect("nobody panicked");
        state.asked += 1;
        let token = format!("token-{}", state.tokens);
        let has = |header: &str| headers.iter().any(|line| line == header);
        let allowed = has(&format!("x-aws-ec2-metadata-token: {token}")) || has("metadata-flavor: google");
        let path = first.split(' ').nth(1).unwrap_or_default();
        let known = state.answers.iter().find(|(known, _)| known == path).map(|(_, answer)| answer.clone());
        let (status, body) = match (first.starts_with("PUT /latest/api/token "), allowed, known) {
            (true, ..) if has("x-aws-ec2-metadata-token-ttl-seconds: 21600") => ("200 OK", token),
            (true, ..) => ("400 Bad Request", String::new()),
            (false, false, _) => ("401 Unauthorized", String::new()),
            (false, true, Some(answer)) => ("200 OK", answer),
            (false, true, None) => ("404 Not Found", String::new()),
        };
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
    }
}

fn watch(site: &Site, cloud: &str, url: &str) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples/ostler-termination-notice");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).args([cloud, "--every", "0.05", "--metadata", url]);
    command.args(["--ostler", env!("CARGO_BIN_EXE_ostler")]).env("OSTLER_SOCKET", site.socket());
    let (mark, value) = site.mark();
    command.env(mark, value).env("http_proxy", "http://127.0.0.1:1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("python3 starts")
}

/// The machine drains when the notice comes, and not before; the app goes on serving.
#[track_caller]
fn drains_on_notice(cloud: &str, notice: (&str, &str), reason: &str, before: impl Fn(&Metadata)) {
    let site = Site::new();
    let app = shop(&site).write();
    let address = listens(&site, "[edge]\ndelay = \"200ms\"");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let (metadata, url) = Metadata::start();
    before(&metadata);
    let mut child = watch(&site, cloud, &url);
    until("it has asked a few times", || (metadata.asked() > 6).then_some(()));
    metadata.takes_its_tokens_back();
    let asked = metadata.asked();
    until("it asks on with a new token", || (metadata.asked() > asked + 6).then_some(()));
    assert!(child.try_wait().expect("the child is ours").is_none(), "it ended without a notice");
    assert_eq!(ask(address, "/readyz").0, 200);
    metadata.says(notice.0, notice.1);
    Said::from_child(child).exits(0).says(&["this machine goes", reason, "drained"]);
    assert_eq!(ask(address, "/readyz").0, 503);
    assert_eq!(get(&app.target(), "/").expect("it goes on serving").status, 200);
}

#[test]
fn a_spot_interruption_drains_the_machine() {
    let notice = r#"{"action": "terminate", "time": "2026-01-01T00:02:00Z"}"#;
    drains_on_notice("aws", ("/latest/meta-data/spot/instance-action", notice), "spot interruption", |_| {});
}

#[test]
fn the_end_in_an_auto_scaling_group_drains_the_machine() {
    let path = "/latest/meta-data/autoscaling/target-lifecycle-state";
    // Nothing follows from where it is on its way in.
    drains_on_notice("aws", ("/latest/meta-data/spot/instance-action", "{}"), "interruption", |metadata| {
        metadata.says(path, "InService");
    });
    drains_on_notice("aws", (path, "Terminated"), "auto scaling group", |_| {});
}

#[test]
fn a_preemption_drains_the_machine() {
    drains_on_notice("gcp", ("/computeMetadata/v1/instance/preempted", "TRUE"), "a preemption", |_| {});
}
