//! The status page over HTTP: who gets it in a browser, what the browser may do with it, and the stream of new ones.

use http_body_util::Either;
use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

use super::Sources;
use super::answer::{Answer, Form};
use super::serve::{Reply, response};
use super::timed::Phase;
use crate::observe::page::{Frames, POLICY};

/// A body that goes on; each picture that is taken is an answer, so that who takes none is overdue some time.
pub(super) type Live = Frames<Box<dyn Fn() + Send>>;

const FULL: &str =
    "fail: too many watch this page already; it can be read all the same, and tries again by itself\n";

/// What a browser has to keep to.
pub(super) fn guard(headers: &mut HeaderMap) {
    let rules = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, rule) in rules {
        headers.insert(name, HeaderValue::from_static(rule));
    }
}

/// The page again and again, where there is room for one more who watches.
pub(super) fn stream(sources: &Sources, phase: &Phase) -> Reply {
    let phase = phase.clone();
    let shown: Box<dyn Fn() + Send> = Box::new(move || phase.answered());
    let answer =
        |code, form, body: &'static str| Answer { code, form, body: body.into(), leave_at_once: false };
    match sources.viewers.enter(shown) {
        Some(frames) => response(answer(200, Form::Events, "")).map(|_| Either::Right(frames)),
        None => response(answer(503, Form::Text, FULL)).map(Either::Left),
    }
}
