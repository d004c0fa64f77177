//! The status page over HTTP: who gets it in a browser, what the browser may do with it, and the stream of new ones.

use std::net::IpAddr;

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

/// Whether the machine is asked by a name that only it has. A page of somebody else's in a browser on this machine can
/// have its own name lead here, and then would read ours.
pub(super) fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_asked_for_by_a_name_that_nobody_can_turn_to_this_machine() {
        let named = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            names_this_machine(&headers)
        };
        for own in
            ["localhost", "LocalHost:9180", "shop.localhost:1", "127.0.0.1:9180", "[::1]:9180", "10.0.0.1"]
        {
            assert!(named(own), "{own}");
        }
        for other in ["evil.example", "localhost.evil.example:9180", "127.0.0.1.evil.example", "", "[evil]:1"]
        {
            assert!(!named(other), "{other}");
        }
        assert!(names_this_machine(&HeaderMap::new()));
    }
}
