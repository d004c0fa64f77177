//! `ostler drain` and `undrain`: what is asked for, and what is no drain.

use std::time::Duration;

use ostler::supervise::Command;
use serde_json::Value;

use crate::fake::{Fake, text};

#[test]
fn a_drain_lasts_as_long_as_is_said_or_until_it_is_ended() {
    let fake = Fake::start();
    let cases: [(&[&str], Command); 4] = [
        (&["drain"], Command::Drain { length: None }),
        (&["drain", "--for", "10m"], Command::Drain { length: Some(Duration::from_secs(600)) }),
        (&["drain", "--for=90"], Command::Drain { length: Some(Duration::from_secs(90)) }),
        (&["undrain"], Command::Undrain),
    ];
    for (arguments, request) in cases {
        let shown = fake.ostler(arguments);
        assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
        assert!(text(&shown.stdout).contains("drained"), "{}", text(&shown.stdout));
        assert_eq!(fake.next_command(), request);
    }
}

#[test]
fn a_body_that_is_no_drain_is_refused_in_words() {
    let fake = Fake::start();
    for (body, words) in [
        ("{\"for_seconds\": 0}", "more than 0"),
        ("{\"for_seconds\": -5}", "more than 0"),
        ("{\"for_seconds\": 1e300}", "at most 2592000 s"),
        ("{\"for\": 600}", "like {\"for_seconds\": 600}"),
        ("10m", "like {\"for_seconds\": 600}"),
    ] {
        let (code, answer) = fake.post("/v1/drain", body);
        assert_eq!((code, &answer["exit"]), (400, &Value::from(64)), "{body}");
        assert!(answer["error"].as_str().unwrap().contains(words), "{body}: {answer}");
    }
    assert_eq!(fake.get("/v1/drain").0, 405);
    assert_eq!(fake.get("/v1/undrain").0, 405);
}
