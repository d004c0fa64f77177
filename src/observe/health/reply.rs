//! An answer over HTTP: its headers, what a browser may do with the page, and the stream of new pages.

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};

use super::answer::{Answer, Form};
use super::sources::Sources;
use super::timed::Phase;
use crate::observe::page::{Frames, POLICY};

/// What goes back: a whole body, or one that goes on.
pub(super) type Reply = Response<Either<Full<Bytes>, Live>>;

/// A body that goes on; each picture that is taken is an answer, so that who takes none is overdue some time.
type Live = Frames<Box<dyn Fn() + Send>>;

const FULL: &str =
    "fail: too many watch this page already; it can be read all the same, and tries again by itself\n";

/// An answer with its whole body.
pub(super) fn response(answer: Answer) -> Response<Full<Bytes>> {
    let body = match answer.body {
        Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
        Cow::Owned(text) => Bytes::from(text),
    };
    let form = HeaderValue::from_static(match answer.form {
        Form::Text => "text/plain; charset=utf-8",
        Form::Health => "application/health+json",
        Form::ClassicMetrics => "text/plain; version=0.0.4; charset=utf-8",
        Form::Metrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        Form::Page => "text/html; charset=utf-8",
        Form::Events => "text/event-stream",
    });
    let mut response = Response::new(Full::new(body));
    *response.status_mut() =
        StatusCode::from_u16(answer.code).expect("the codes of answers are codes of HTTP");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, form);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if answer.form == Form::Page {
        guard(headers);
    }
    if answer.code == 405 {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        // What came with such a request is not read.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if answer.leave_at_once {
        headers.insert("x-envoy-immediate-health-check-fail", HeaderValue::from_static("true"));
    }
    response
}

/// What a browser has to keep to.
fn guard(headers: &mut HeaderMap) {
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
