//! What skopeo and umoci say when they fail: what it means for who has asked, and with which exit status.

use crate::cli::screen::one_line;
use crate::control::protocol::exit;

/// More of somebody else's words is shown to nobody.
const LONGEST: usize = 600;

/// What a failure amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The registry has no such image.
    Unknown,
    /// It wants another password.
    Denied,
    /// It may pass.
    Away,
    /// Its certificate is not trusted.
    Untrusted,
    /// It speaks no TLS.
    Plain,
    /// What came is not what was promised.
    Corrupt,
    /// The disk is full.
    Full,
    Other,
}

/// What tells each kind, in small letters. The first row that fits counts: a name that does not exist is told with the words
/// of its registry, which may be any.
const KINDS: &[(Kind, &[&str])] = &[
    (Kind::Plain, &["server gave http response to https client"]),
    (Kind::Untrusted, &["x509:", "certificate signed by unknown", "tls: failed to verify"]),
    (
        Kind::Denied,
        &[
            "unauthorized",
            "authentication required",
            "access denied",
            "access to the resource is denied",
            "denied:",
            "403 (forbidden)",
            "403 forbidden",
            "401 (unauthorized)",
            "permission denied",
        ],
    ),
    (
        Kind::Unknown,
        &[
            "manifest unknown",
            "name unknown",
            "repository name not known",
            "404 (not found)",
            "404 not found",
            "invalid reference format",
            "no such manifest",
        ],
    ),
    (
        Kind::Corrupt,
        &[
            "digest did not match",
            "does not match",
            "verification failed",
            "unexpected eof in layer",
            "digest mismatch",
            "corrupt",
            "invalid checksum",
            "size mismatch",
            "content was not verified",
        ],
    ),
    (Kind::Full, &["no space left on device", "disk quota exceeded"]),
    (
        Kind::Away,
        &[
            "no such host",
            "connection refused",
            "connection reset",
            "i/o timeout",
            "tls handshake timeout",
            "context deadline exceeded",
            "client.timeout",
            "no route to host",
            "network is unreachable",
            "server misbehaving",
            "temporary failure",
            "toomanyrequests",
            "too many requests",
            "unexpected eof",
            ": eof",
            "broken pipe",
            "500 ",
            "502 ",
            "503 ",
            "504 ",
            "internal server error",
            "bad gateway",
            "service unavailable",
            "gateway timeout",
        ],
    ),
];

/// The kind of what was said.
pub(super) fn kind(words: &str) -> Kind {
    let small = words.to_lowercase();
    let row = KINDS.iter().find(|(_, marks)| marks.iter().any(|mark| small.contains(mark)));
    row.map_or(Kind::Other, |(kind, _)| *kind)
}

impl Kind {
    pub(super) fn exit(self) -> u8 {
        match self {
            Kind::Unknown => exit::USAGE,
            Kind::Denied => exit::NOT_ALLOWED,
            Kind::Away => exit::TRY_AGAIN,
            Kind::Untrusted | Kind::Plain | Kind::Corrupt | Kind::Full | Kind::Other => exit::FAILED,
        }
    }
}

/// The last that was said before the end, on one line: skopeo's `msg="…"`, umoci's line behind its cross.
pub(super) fn last_words(stderr: &str) -> String {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let fatal = lines().rev().find(|line| line.contains("level=fatal") || line.starts_with('⨯'));
    let line = fatal.or_else(|| lines().next_back()).unwrap_or("it gave no reason");
    let words = match line.split_once("msg=") {
        Some((_, quoted)) => {
            serde_json::from_str::<String>(quoted).unwrap_or_else(|_| quoted.trim_matches('"').to_owned())
        }
        None => line.trim_start_matches(['⨯', ' ']).to_owned(),
    };
    // The name is known to who has typed it.
    let words =
        match words.strip_prefix("Error parsing image name \"").and_then(|rest| rest.split_once("\": ")) {
            Some((_, words)) => one_line(words),
            None => one_line(&words),
        };
    match words.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_skopeo_says_has_a_kind_and_an_exit_status() {
        for (words, kind_of_it, status) in [
            ("reading manifest 1 in r.io/nope: manifest unknown: manifest unknown", Kind::Unknown, 64),
            (
                "reading manifest 1 in r.io/nope: name unknown: repository name not known to registry",
                Kind::Unknown,
                64,
            ),
            ("reading manifest 1 in r.io/shop: unauthorized: authentication required", Kind::Denied, 77),
            ("requested access to the resource is denied", Kind::Denied, 77),
            (
                "error reading JSON file \"/x/auth.json\": open /x/auth.json: permission denied",
                Kind::Denied,
                77,
            ),
            (
                "Get \"https://r.io/v2/\": dial tcp 127.0.0.1:5999: connect: connection refused",
                Kind::Away,
                75,
            ),
            ("dial tcp: lookup nohost.invalid on 10.0.0.1:53: no such host", Kind::Away, 75),
            ("received unexpected HTTP status: 503 Service Unavailable", Kind::Away, 75),
            ("Get \"https://r.io/v2/\": x509: certificate signed by unknown authority", Kind::Untrusted, 1),
            ("http: server gave HTTP response to HTTPS client", Kind::Plain, 1),
            ("writing blob: Digest did not match, expected sha256:1, got sha256:2", Kind::Corrupt, 1),
            ("writing blob: write /srv/x: no space left on device", Kind::Full, 1),
            ("what nobody has thought of", Kind::Other, 1),
        ] {
            assert_eq!((kind(words), kind(words).exit()), (kind_of_it, status), "{words}");
        }
    }

    #[test]
    fn the_last_words_are_those_of_the_failure() {
        let skopeo = "time=\"2026\" level=warning msg=\"retrying\"\ntime=\"2026\" level=fatal msg=\"Error parsing image name \\\"docker://x\\\": no\"\n";
        assert_eq!(last_words(skopeo), "no");
        assert_eq!(
            last_words("   • rootless{d} creating empty file\n   ⨯ create runtime bundle: no\n"),
            "create runtime bundle: no"
        );
        assert_eq!(last_words("\n"), "it gave no reason");
        assert_eq!(last_words("a\u{1b}[31m\u{7}"), last_words("a\u{1b}[31m\u{7}\n"));
        assert!(!last_words("a\u{1b}[31m").contains('\u{1b}'));
        assert!(last_words(&"n".repeat(5000)).chars().count() <= LONGEST + 1);
    }
}
