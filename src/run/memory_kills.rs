//! What the kernel kills in the apps' slices for want of memory, from `memory.events`.
//!
//! The kernel counts before it kills, so that a worker's death is never seen before its count. It is the slice's count
//! that is read, which has those of all scopes in it: systemd takes a scope away with its last process.
//!
//! A count that nobody's death explains soon was of something that a worker has started: it is said, and no later
//! death is taken for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::scope;
use crate::config::AppName;

/// How long after the kernel has counted a worker's death it is seen at the latest.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// What was counted in the slice of each app.
#[derive(Debug, Default)]
pub(super) struct Killings(BTreeMap<AppName, KillTally>);

#[derive(Debug)]
struct KillTally {
    slice: PathBuf,
    seen: Events,
    /// Counted, and no death is known for it yet.
    unclaimed: u64,
    /// Whether the app's own limit was hit, for all the kernel says.
    own_limit: bool,
    since: Instant,
}

/// The two lines of `memory.events` that matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Events {
    /// How often the limit of the slice, or of one in it, could not be kept by anything but killing.
    oom: u64,
    /// How many processes were killed, for whatever limit, the machine's own among them.
    oom_kill: u64,
}

impl Killings {
    /// From now on kills in this app's slice are noticed; those before are not its workers' of now.
    pub(super) fn watch(&mut self, app: &AppName) {
        if !self.0.contains_key(app) {
            self.0.insert(app.clone(), KillTally::of(scope::group_of(&crate::plan::slice_of(app))));
        }
    }

    /// Looks at every app's count.
    pub(super) fn look(&mut self, now: Instant) {
        for (app, tally) in &mut self.0 {
            let others = tally.look(now);
            if others > 0 {
                tracing::warn!(
                    app = app.as_str(),
                    "{app}: out of memory: the kernel killed {others} of the processes that its workers had started"
                );
            }
        }
    }

    /// Takes a worker's death for one of those that were counted, where there is one: the app's limit, where it was that.
    pub(super) fn claim(&mut self, app: &AppName, now: Instant) -> Option<Option<u64>> {
        self.0.get_mut(app)?.claim(now)
    }
}

impl KillTally {
    fn of(slice: PathBuf) -> KillTally {
        let seen = Events::of(&slice);
        KillTally { slice, seen, unclaimed: 0, own_limit: false, since: Instant::now() }
    }

    /// Counts; what has waited too long is given up, and returned.
    fn look(&mut self, now: Instant) -> u64 {
        let before = std::mem::replace(&mut self.seen, Events::of(&self.slice));
        // A slice that was made anew counts from 0.
        let more = |new: u64, old: u64| if new < old { new } else { new - old };
        let killed = more(self.seen.oom_kill, before.oom_kill);
        if killed > 0 {
            self.unclaimed += killed;
            self.own_limit = more(self.seen.oom, before.oom) > 0;
            self.since = now;
        }
        let late = now.saturating_duration_since(self.since) > SEEN_WITHIN;
        if late { std::mem::take(&mut self.unclaimed) } else { 0 }
    }

    fn claim(&mut self, now: Instant) -> Option<Option<u64>> {
        self.look(now);
        self.unclaimed = self.unclaimed.checked_sub(1)?;
        let limit = fs::read_to_string(self.slice.join("memory.max")).ok();
        Some(limit.and_then(|limit| limit.trim().parse().ok()).filter(|_| self.own_limit))
    }
}

impl Events {
    /// Nothing is counted where there is no such group, or no controller for its memory.
    fn of(slice: &Path) -> Events {
        let text = fs::read_to_string(slice.join("memory.events")).unwrap_or_default();
        let count = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|count| count.parse().ok()).unwrap_or(0)
        };
        Events { oom: count("oom"), oom_kill: count("oom_kill") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 200 << 20;

    /// A slice's files, as the kernel would have them.
    struct Slice(tempfile::TempDir);

    impl Slice {
        fn new() -> Slice {
            let slice = Slice(tempfile::tempdir().unwrap());
            fs::write(slice.0.path().join("memory.max"), format!("{LIMIT}\n")).unwrap();
            slice.counts(0, 0);
            slice
        }

        fn counts(&self, oom: u64, kills: u64) {
            let text = format!("low 0\nhigh 7\nmax 12\noom {oom}\noom_kill {kills}\noom_group_kill 0\n");
            fs::write(self.0.path().join("memory.events"), text).unwrap();
        }

        fn tally(&self) -> KillTally {
            KillTally::of(self.0.path().to_owned())
        }
    }

    #[test]
    fn a_kill_explains_one_death() {
        let (slice, now) = (Slice::new(), Instant::now());
        slice.counts(3, 3);
        let mut tally = slice.tally();
        assert_eq!(tally.claim(now), None, "what was before is nobody's");
        slice.counts(4, 4);
        assert_eq!(tally.claim(now), Some(Some(LIMIT)));
        assert_eq!(tally.claim(now), None);
        slice.counts(6, 6);
        assert_eq!(tally.look(now), 0);
        assert_eq!(tally.claim(now), Some(Some(LIMIT)), "counted before the death was seen");
        assert_eq!(tally.claim(now), Some(Some(LIMIT)));
        assert_eq!(tally.claim(now), None);
    }

    #[test]
    fn the_machines_own_want_of_memory_is_not_the_apps_limit() {
        let (slice, now) = (Slice::new(), Instant::now());
        let mut tally = slice.tally();
        slice.counts(0, 1);
        assert_eq!(tally.claim(now), Some(None));
    }

    #[test]
    fn a_kill_that_no_death_explains_is_said_and_explains_no_later_one() {
        let (slice, now) = (Slice::new(), Instant::now());
        let mut tally = slice.tally();
        slice.counts(1, 2);
        assert_eq!(tally.look(now), 0);
        assert_eq!(tally.look(now + SEEN_WITHIN * 2), 2);
        assert_eq!(tally.claim(now + SEEN_WITHIN * 2), None);
    }

    #[test]
    fn a_slice_that_was_made_anew_counts_from_nothing() {
        let (slice, now) = (Slice::new(), Instant::now());
        slice.counts(9, 9);
        let mut tally = slice.tally();
        slice.counts(1, 1);
        assert_eq!(tally.claim(now), Some(Some(LIMIT)));
        fs::remove_file(slice.0.path().join("memory.events")).unwrap();
        assert_eq!(tally.claim(now), None);
        slice.counts(1, 1);
        assert_eq!(tally.claim(now), Some(Some(LIMIT)));
    }
}
