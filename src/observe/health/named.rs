//! By what name the machine was asked. A page of somebody else's in a browser on this machine can have its own name lead
//! here, and then reads whatever is answered: so details are for names that nobody can turn to this machine.

use std::net::IpAddr;

use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Request, Uri};

/// Whether each name in a request is one that only this machine has: of `Host`, however often it stands there, of the
/// target, where that is a whole address, and of the page that asks. Programs need not name any.
pub(super) fn names_this_machine<B>(request: &Request<B>) -> bool {
    let target = request.uri().authority().is_none_or(|authority| is_own(authority.as_str()));
    target
        && all(request.headers(), header::HOST, is_own)
        && all(request.headers(), header::ORIGIN, is_at_own)
}

fn all(headers: &HeaderMap, name: HeaderName, good: impl Fn(&str) -> bool) -> bool {
    headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(&good))
}

/// An origin is a scheme and a host, or `null`.
fn is_at_own(origin: &str) -> bool {
    origin.parse::<Uri>().is_ok_and(|it| {
        it.scheme().is_some() && it.authority().is_some_and(|authority| is_own(authority.as_str()))
    })
}

fn is_own(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str, headers: &[(&str, &str)]) -> bool {
        let request = headers.iter().fold(Request::get(target), |it, (name, value)| it.header(*name, *value));
        names_this_machine(&request.body(()).unwrap())
    }

    #[test]
    fn details_are_asked_for_by_a_name_that_nobody_can_turn_to_this_machine() {
        for own in
            ["localhost", "LocalHost:9180", "shop.localhost:1", "127.0.0.1:9180", "[::1]:9180", "10.0.0.1"]
        {
            assert!(asked("/", &[("host", own)]), "{own}");
        }
        for other in [
            "evil.example",
            "localhost.evil.example:9180",
            "127.0.0.1.evil.example",
            "",
            "[evil]:1",
            "localhost@evil.example",
        ] {
            assert!(!asked("/", &[("host", other)]), "{other}");
            assert!(!asked("/", &[("host", "localhost"), ("host", other)]), "{other}, the second");
        }
        assert!(asked("/", &[]));
    }

    #[test]
    fn a_whole_address_and_the_page_that_asks_are_names_too() {
        assert!(asked("http://127.0.0.1:9180/metrics", &[("host", "localhost")]));
        assert!(!asked("http://evil.example/metrics", &[("host", "localhost")]));
        assert!(!asked("http://localhost@evil.example/metrics", &[("host", "localhost")]));
        for page in ["http://evil.example", "https://evil.example:9180", "null", ""] {
            assert!(!asked("/metrics", &[("host", "localhost"), ("origin", page)]), "{page}");
        }
        assert!(asked("/events", &[("host", "localhost:9180"), ("origin", "http://localhost:9180")]));
    }
}
