//! The socket itself, spoken to byte by byte: whatever comes in, there is an answer or a close, and the next one is served.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use ostler::control::StreamLine;
use ostler::supervise::{AppEventKind, Command, Outcome, ScaleTo};
use serde_json::Value;

use crate::fake::{Fake, PATIENCE, event, name, ready, wait_until};

impl Fake {
    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The whole answer to these bytes; empty where the connection was closed without one.
    fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // The other end may close before it has read all.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        parsed(&self.exchange(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()))
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        parsed(&self.exchange(format!("{head}{body}").as_bytes()))
    }

    fn still_answers(&self) {
        assert_eq!(self.get("/v1/status").0, 200);
    }
}

fn parsed(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {body:?}")))
}

#[test]
fn status_is_the_latest_picture() {
    let fake = Fake::start();
    let (code, body) = fake.get("/v1/status");
    assert_eq!(code, 200);
    assert_eq!(body["apps"][2]["name"], "shop");
    assert_eq!(body["apps"][2]["state"], "serving");
}

#[test]
fn garbage_is_answered_or_closed_and_costs_nothing() {
    let fake = Fake::start();
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET /v1/status HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(5000));
    let inputs: [&[u8]; 12] = [
        b"",
        b"\0\0\0\0\xff\xfe",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v1/status HTTP/9.9\r\n\r\n",
        b"POST /v1/apps/shop/scale HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/apps/shop/scale HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 9\r\n\r\nabc",
        b"POST /v1/apps/shop/scale HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"GET http://[::1/v1/status HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ];
    for input in inputs {
        let mut stream = fake.connect();
        let _ = stream.write_all(input);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:?}");
        fake.still_answers();
    }
}

#[test]
fn a_request_that_stays_half_holds_up_nobody() {
    let fake = Fake::start();
    let mut half = fake.connect();
    half.write_all(b"GET /v1/sta").unwrap();
    let mut silent = fake.connect();
    silent
        .write_all(b"POST /v1/apps/shop/scale HTTP/1.1\r\nhost: x\r\ncontent-length: 15\r\n\r\n{\"work")
        .unwrap();
    fake.still_answers();
}

#[test]
fn a_wrong_path_or_method_is_said_in_words() {
    let fake = Fake::start();
    for path in
        ["/", "/v1", "/v2/status", "/v1/apps/shop", "/v1/apps/shop/dance", "//v1/status", "/v1/status/"]
    {
        let (code, body) = fake.get(path);
        assert_eq!((code, &body["exit"]), (404, &Value::from(64)), "{path}");
    }
    for (code, body) in
        [fake.post("/v1/status", ""), fake.get("/v1/reload"), fake.get("/v1/apps/shop/restart")]
    {
        assert_eq!((code, &body["exit"]), (405, &Value::from(64)));
    }
}

#[test]
fn an_unknown_app_is_answered_with_those_that_are() {
    let fake = Fake::start();
    let (code, body) = fake.post("/v1/apps/shpo/restart", "");
    assert_eq!((code, &body["exit"]), (404, &Value::from(64)));
    let expected = "no app named `shpo`; did you mean `shop`? (apps: broken, busy, shop, slow, torn, vanish)";
    assert_eq!(body["error"], expected);
    assert_eq!(fake.post("/v1/apps/%2e%2e/restart", "").0, 404);
    assert_eq!(fake.post(&format!("/v1/apps/{}/restart", "x".repeat(5000)), "").0, 404);
}

#[test]
fn a_number_of_workers_that_makes_no_sense_changes_nothing() {
    let fake = Fake::start();
    let cases = [
        (r#"{"workers": 0}"#, "`ostler stop shop`"),
        (r#"{"workers": -3}"#, "from 1 to 1000"),
        (r#"{"workers": 1001}"#, "from 1 to 1000"),
        (r#"{"workers": 99999999999999999999}"#, "must be like"),
        (r#"{"workers": 2.5}"#, "must be like"),
        (r#"{"workers": "2"}"#, "must be like"),
        (r#"{"wrkers": 2}"#, "must be like"),
        ("", "must be like"),
        ("[[[[", "must be like"),
    ];
    for (body, expected) in cases {
        let (code, answer) = fake.post("/v1/apps/shop/scale", body);
        assert_eq!((code, &answer["exit"]), (400, &Value::from(64)), "{body}");
        assert!(answer["error"].as_str().unwrap().contains(expected), "{body}: {answer}");
    }
    fake.exchange(
        b"POST /v1/apps/shop/scale HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n{\"workers\": 7}",
    );
    assert_eq!(fake.next_command(), Command::Scale { app: name("shop"), workers: ScaleTo::Count(7) });
}

#[test]
fn a_release_that_makes_no_sense_changes_nothing() {
    let fake = Fake::start();
    let long = format!(r#"{{"release": "/{}"}}"#, "x".repeat(4095));
    let cases = [
        (r#"{"release": "releases/2"}"#, "no absolute path"),
        (r#"{"release": ""}"#, "no absolute path"),
        (r#"{"release": "/srv/\u0000"}"#, "no absolute path"),
        (&long, "no absolute path"),
        (r#"{"release": 2}"#, "must be empty or like"),
        (r#"{"relase": "/srv"}"#, "must be empty or like"),
        ("[[[[", "must be empty or like"),
    ];
    for (body, expected) in cases {
        let (code, answer) = fake.post("/v1/apps/shop/restart", body);
        assert_eq!((code, &answer["exit"]), (400, &Value::from(64)), "{body}");
        assert!(answer["error"].as_str().unwrap().contains(expected), "{body}: {answer}");
    }
    let asks = |body: &str| {
        let length = body.len();
        fake.exchange(
            format!(
                "POST /v1/apps/shop/restart HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .as_bytes(),
        );
        fake.next_command()
    };
    let (app, release) = (name("shop"), Some("/srv/2".into()));
    assert_eq!(asks(r#"{"release": "/srv/2"}"#), Command::Restart { app, release, accept_breakage: false });
    assert_eq!(asks("{}"), Command::restart(name("shop")));
    fake.exchange(b"POST /v1/apps/shop/rollback HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(fake.next_command(), Command::Rollback { app: name("shop"), accept_breakage: false });
}

#[test]
fn a_body_over_its_limit_is_refused() {
    let fake = Fake::start();
    let (code, body) = fake.post("/v1/apps/shop/scale", &" ".repeat(65 * 1024));
    assert_eq!((code, &body["exit"]), (413, &Value::from(64)));
}

#[test]
fn a_change_is_told_in_order_and_about_its_own_app_alone() {
    let fake = Fake::start();
    let answer = fake.exchange(b"POST /v1/apps/shop/restart HTTP/1.0\r\n\r\n");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let lines: Vec<StreamLine> = body.lines().map(StreamLine::parse).collect();
    assert!(matches!(&lines[0], StreamLine::Event(first) if first.app == name("shop")));
    assert_eq!(lines[1..3], [StreamLine::Event(ready("shop", 1)), StreamLine::Event(ready("shop", 2))]);
    assert!(matches!(&lines[3], StreamLine::Outcome(Outcome::Done { .. })));
    assert_eq!(lines.len(), 4);
}

#[test]
fn a_listener_that_leaves_is_forgotten() {
    let fake = Fake::start();
    let mut stream = fake.connect();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    wait_until("somebody listens", || fake.events.receiver_count() == 1);
    drop(stream);
    wait_until("nobody listens", || fake.events.receiver_count() == 0);
}

#[test]
fn a_change_goes_on_when_who_asked_for_it_leaves() {
    let fake = Fake::start();
    let mut stream = fake.connect();
    stream.write_all(b"POST /v1/apps/slow/restart HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").unwrap();
    let held = fake.next_held();
    drop(stream);
    wait_until("nobody listens", || fake.events.receiver_count() == 0);
    assert!(held.send(Outcome::Refused { reason: "nobody hears this".into() }).is_err());
    fake.still_answers();
}

#[test]
fn a_slow_reader_is_told_how_much_it_missed() {
    let fake = Fake::start();
    let mut stream = fake.connect();
    stream.write_all(b"GET /v1/events HTTP/1.0\r\n\r\n").unwrap();
    wait_until("somebody listens", || fake.events.receiver_count() == 1);
    let reason = "x".repeat(1000);
    for _ in 0..5000 {
        let kind = AppEventKind::PrepareFailed { reason: reason.clone(), detail: String::new() };
        fake.events.send(event("shop", kind)).unwrap();
    }
    let lines = BufReader::new(stream).lines().map(|line| StreamLine::parse(&line.unwrap()));
    let missed = lines.into_iter().find_map(|line| match line {
        StreamLine::Lagged(missed) => Some(missed),
        _ => None,
    });
    assert!(missed.unwrap() > 0);
}

#[test]
fn connections_are_bounded_and_come_free_again() {
    let fake = Fake::start();
    let mut streams: Vec<UnixStream> = (0..16).map(|_| fake.connect()).collect();
    for stream in &mut streams {
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    }
    wait_until("all listen", || fake.events.receiver_count() == 16);
    let (code, body) = fake.get("/v1/status");
    assert_eq!((code, &body["exit"]), (503, &Value::from(75)));
    drop(streams);
    wait_until("nobody listens", || fake.events.receiver_count() == 0);
    wait_until("a place is free", || fake.get("/v1/status").0 == 200);
}
