//! Laws of what shows foreign text here, for any bytes at all: `src/fuzzing.rs` says who tries them.

use std::path::Path;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf};

use super::health::{Judge, Method, Question, Vitals, hostile_request};
use super::traceback::{brief, stands_in};
use super::{Board, Status, metrics, notes, page, words};
use crate::config::Saturation;
use crate::config::fuzzing::{Law, is_harmless};

/// What holds for any bytes, by name.
pub(crate) const LAWS: &[Law] =
    &[("traceback", traceback), ("status", status), ("health_request", hostile_request), ("words", lines)];

fn traceback(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let short = brief(&text);
    let has_frame = text.contains("  File \"");
    assert!(!has_frame || short.lines().count() <= 60 || short == text.trim_end(), "{short}");
    assert!(short.len() <= text.len() * 2 + 200, "{short}");
    // Nothing is said that is not there, but for how much was left out.
    let own = ["Traceback (most", "  ... ", "It was caused by:", "That came of handling:", "... "];
    for line in short.lines().filter(|line| !line.is_empty()) {
        let made = own.iter().any(|it| line.trim_start_matches([' ', '|']).starts_with(it.trim_start()));
        assert!(made || text.contains(line), "{line:?}");
    }
    if let Some(place) = stands_in(&text, Path::new("/srv/shop")) {
        assert!(place.len() <= text.len() + 20 && !place.contains('\n'), "{place}");
    }
}

/// A picture of ostlerd's, with any words of an app's in it.
fn status(bytes: &[u8]) {
    let Ok(status) = serde_json::from_slice::<Status>(bytes) else { return };
    let written = serde_json::to_vec(&status).expect("its keys are text");
    serde_json::from_slice::<Status>(&written).expect("what is written is read");
    let vitals = Vitals::default();
    let saturation = Saturation::default();
    let judge = Judge { status: &status, vitals: &vitals, loop_age: Duration::ZERO, saturation };
    for app in &status.apps {
        for note in notes(app) {
            assert!(is_harmless(&note.text) && !note.text.contains('\n'), "{:?}", note.text);
        }
    }
    let paths = ["/", "/livez", "/readyz", "/metrics"].map(str::to_owned);
    for path in paths.into_iter().chain(status.apps.iter().map(|app| format!("/readyz/{}", app.name))) {
        for (json, trusted) in [(false, false), (false, true), (true, true)] {
            let question = Question { method: Method::Ask, path: &path, query: "verbose", json, trusted };
            let body = judge.answer(&question).body;
            assert!(!body.contains(['\u{1b}', '\0', '\u{202e}']), "{path}: {body:?}");
            match (json, path.as_str()) {
                (_, "/") | (_, "/metrics") => {}
                (true, _) => drop(serde_json::from_str::<serde_json::Value>(&body).expect("it is JSON")),
                (false, _) => assert!(body.starts_with("ok") || body.starts_with("fail"), "{body}"),
            }
        }
    }
    for text in [metrics::text(&judge), metrics::classic(&metrics::text(&judge))] {
        for line in text.lines() {
            assert!(line.starts_with("# ") || line.starts_with("ostler"), "{line:?}");
        }
    }
    let html = page::page(&Board::new(&status, vitals.trend()), &judge.machine(|_| false), "web1");
    assert!(!html.contains("<script>alert") && !html.contains("<img"), "{html}");
}

fn lines(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let line = words::one_line(&text);
    assert!(is_harmless(&line) && !line.contains(['\n', '\t']), "{line:?}");
    let block = words::indented(&text);
    assert!(is_harmless(&block), "{block:?}");
    assert!(block.lines().skip(1).all(|line| line.starts_with("    ")), "{block:?}");
    let number = f64::from_bits(bytes.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte)));
    for words in [words::duration(number), super::time(number), words::bytes(number.to_bits())] {
        assert!(words.len() < 40, "{number}: {words}");
    }
}

/// What somebody is answered who sends these bytes and no more, until nothing goes on.
pub(crate) fn conversation<F: Future<Output = ()>>(
    bytes: &[u8],
    served: impl FnOnce(DuplexStream) -> F,
) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime without descriptors");
    let _inside = runtime.enter();
    let (mut own, theirs) = tokio::io::duplex(1 << 20);
    let mut context = Context::from_waker(Waker::noop());
    {
        let sent = pin!(async {
            let _ = own.write_all(&bytes[..bytes.len().min(1 << 19)]).await;
        });
        assert!(sent.poll(&mut context).is_ready(), "the pipe is large enough");
    }
    let mut served = pin!(served(theirs));
    let (mut said, mut part) = (Vec::new(), vec![0; 1 << 16]);
    for _ in 0..64 {
        let ended = served.as_mut().poll(&mut context).is_ready();
        loop {
            let mut part = ReadBuf::new(&mut part);
            let read = Pin::new(&mut own).poll_read(&mut context, &mut part);
            if !matches!(read, Poll::Ready(Ok(()))) || part.filled().is_empty() {
                break;
            }
            said.extend_from_slice(part.filled());
        }
        if ended {
            break;
        }
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.is_empty() || said.starts_with("HTTP/1."), "{said}");
    said
}
