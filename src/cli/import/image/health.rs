//! The request of a health check, as the path of a probe.

use super::Start;

/// The path that a check asks the app for; `None` where it asks something else.
pub(super) fn path(check: &Start) -> Option<String> {
    let line = check.shown();
    let hosts = ["localhost", "127.0.0.1", "0.0.0.0", "[::1]"];
    let found = hosts.iter().filter_map(|host| Some((line.find(host)?, host.len()))).min()?;
    let (before, after) = (&line[..found.0], &line[found.0 + found.1..]);
    let requests = ["curl", "wget", "http://", "https://", "http.client", "HTTPConnection", "xh ", "httpie"];
    if !requests.iter().any(|word| before.contains(word)) {
        return None;
    }
    let after = match after.strip_prefix(':') {
        Some(port) => {
            let port = match port.strip_prefix("${") {
                Some(port) => port.split_once('}').map_or("", |it| it.1),
                None => port.trim_start_matches('$'),
            };
            port.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_')
        }
        None => after,
    };
    let end = after.find(|c: char| c.is_whitespace() || "\"'`)|;&<>\\".contains(c)).unwrap_or(after.len());
    let path = &after[..end];
    let path = if path.is_empty() { "/" } else { path };
    let good = path.starts_with('/') && path.len() <= 200 && path.bytes().all(|b| b.is_ascii_graphic());
    (good && !path.contains(['#', '$', '{'])).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_the_image_itself_is_a_probe() {
        for (line, probe) in [
            ("curl -f http://localhost:8000/healthz || exit 1", Some("/healthz")),
            ("curl --fail localhost:${PORT}/health/ready?full=1", Some("/health/ready?full=1")),
            ("wget -qO- http://127.0.0.1/ping/ > /dev/null", Some("/ping/")),
            ("curl -fsS http://localhost:8000 || exit 1", Some("/")),
            (
                "python -c \"import urllib.request; urllib.request.urlopen('http://localhost:8000/up')\"",
                Some("/up"),
            ),
            ("pg_isready -h localhost", None),
            ("python manage.py check --database default", None),
            ("curl -f http://localhost:8000/$CHECK", None),
            ("", None),
        ] {
            assert_eq!(path(&Start::Line(line.to_owned())).as_deref(), probe, "{line}");
        }
    }
}
