//! What a run is called: in the history, in the database, and in its processes' environment.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::SystemTime;

use crate::config::AppName;
use crate::supervise::RunId;

/// The variable by which a run's processes are found, whatever became of their parents.
pub const MARK: &str = "OSTLER_MIGRATION";

/// PostgreSQL keeps 63 bytes of an `application_name`, and the watching connections' is 6 bytes longer than the tag.
const APP_MOST: usize = 18;
const HOST_MOST: usize = 20;

/// The names of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunName {
    /// In the history: `20261123T191502Z-1`.
    pub run: String,
    /// In the database: `ostler:shop:web1:3f2a90b1`.
    pub tag: String,
    /// The machine, as it calls itself.
    pub host: String,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
}

impl RunName {
    /// Names for a run that begins now.
    pub fn new(app: &AppName, id: RunId, now: SystemTime) -> RunName {
        let host = nix::sys::utsname::uname()
            .map_or_else(|_| "unknown".to_owned(), |names| names.nodename().to_string_lossy().into_owned());
        // Random, and not the time: machines that were started from one image may deploy in the same second.
        let unique = RandomState::new().build_hasher().finish() as u32;
        let started = humantime::format_rfc3339_millis(now).to_string();
        let compact: String = started.chars().take(19).filter(|c| c.is_ascii_alphanumeric()).collect();
        let tag = tag(app.as_str(), &host, unique);
        RunName { run: format!("{compact}Z-{}", id.0), tag, host, started }
    }
}

/// What the tag of every run of an app begins with.
pub(super) fn family(app: &str) -> String {
    format!("ostler:{}:", fitted(app, APP_MOST))
}

fn tag(app: &str, host: &str, unique: u32) -> String {
    let host: String =
        host.split('.').next().unwrap_or_default().chars().filter(char::is_ascii_graphic).collect();
    let host = host.replace(':', "");
    format!("{}{}:{unique:08x}", family(app), fitted(&host, HOST_MOST))
}

/// `text` where it is short enough, else its beginning and a mark of all of it: whatever begins with `ostler:APP:` is
/// taken for the same app's.
fn fitted(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    // FNV-1a: the same on every machine and in every version.
    let mark =
        text.bytes().fold(0x811c_9dc5_u32, |mark, byte| (mark ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let kept: String = text.chars().take(most - 7).collect();
    format!("{kept}~{:06x}", mark & 0xff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_fits_with_the_longest_names_and_tells_apps_apart() {
        let long = "shop-backend-production-eu".repeat(2);
        let one = tag(&format!("{long}-1"), &"h".repeat(64), 7);
        let other = tag(&format!("{long}-2"), &"h".repeat(64), 7);
        assert!(one.len() + "-watch".len() <= 62, "{one}");
        assert_ne!(one.split(':').nth(1), other.split(':').nth(1));
        assert_eq!(one.split(':').count(), 4);
        assert_eq!(tag("shop", "web1.example.com", 0x3f2a), "ostler:shop:web1:00003f2a");
    }

    #[test]
    fn a_run_is_named_by_its_time_and_number() {
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_798_761_599);
        let app = "shop".parse().unwrap();
        let name = RunName::new(&app, RunId(3), now);
        assert_eq!(
            (name.run.as_str(), name.started.as_str()),
            ("20261231T235959Z-3", "2026-12-31T23:59:59.000Z")
        );
        assert_ne!(name.tag, RunName::new(&app, RunId(3), now).tag);
    }
}
