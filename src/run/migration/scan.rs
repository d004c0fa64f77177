//! Who of all processes belongs to a command, as /proc has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use crate::run::environ;
use crate::run::proc::{self, Stat};

/// Who shows no environment is looked at so often, with this in between.
const LOOKS: usize = 5;
const BETWEEN_PROGRAMS: Duration = Duration::from_millis(10);
/// A process that belongs to the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) struct ScannedProcess {
    pub(in crate::run) pid: i32,
    /// In ticks since the machine's start: with the number, its identity.
    pub(super) start: u64,
    pub(in crate::run) session: i32,
    /// Of the processor, with the children that it has seen end.
    pub(super) used: Duration,
    /// `pid 4711 (sleep)`.
    pub(super) words: String,
}

/// All that live of the command of `user` whose first process is `first`: its group and session, those with `mark` in their
/// environment, those `known` from before, and the descendants of all of these.
pub(super) fn take(first: i32, (user, mark): (u32, &str), known: &BTreeMap<i32, u64>) -> Vec<ScannedProcess> {
    let all = everybody();
    // Nobody who is older than the first process is of its making; where it is gone, nothing is known of that.
    let since = all.get(&first).map_or(0, |stat| stat.start);
    let is_one = |pid: i32, stat: &Stat| {
        let is_near = pid == first || stat.group == first || stat.session == first;
        known.get(&pid) == Some(&stat.start) || is_near
    };
    let young = others(&all).filter(|(_, stat)| stat.start >= since);
    let (mut inside, rest): (BTreeSet<i32>, BTreeSet<i32>) = split(young, is_one);
    inside.extend(carriers(user, rest, |it| it == mark.as_bytes()));
    living(&all, with_descendants(&all, inside))
}

fn with_descendants(all: &BTreeMap<i32, Stat>, mut inside: BTreeSet<i32>) -> BTreeSet<i32> {
    loop {
        let children =
            all.iter().filter(|(pid, stat)| inside.contains(&stat.parent) && !inside.contains(pid));
        let more: Vec<i32> = children.map(|(&pid, _)| pid).collect();
        if more.is_empty() {
            return inside;
        }
        inside.extend(more);
    }
}

fn living(all: &BTreeMap<i32, Stat>, pids: BTreeSet<i32>) -> Vec<ScannedProcess> {
    let found = |pid: i32| {
        let stat = all.get(&pid).filter(|stat| stat.lives)?;
        Some(ScannedProcess {
            pid,
            start: stat.start,
            session: stat.session,
            used: stat.used,
            words: named(pid, stat),
        })
    };
    pids.into_iter().filter_map(found).collect()
}

/// All that live and carry the mark of this user's, started `until` then or in one of these sessions; and the children of this process of
/// whom `is_orphan` says that they belong with those; and the descendants of all of these.
pub(in crate::run) fn left_behind(
    (user, mark): (u32, &str),
    until: u64,
    sessions: &BTreeSet<i32>,
    is_orphan: impl Fn(i32) -> bool,
) -> Vec<ScannedProcess> {
    let all = everybody();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let may_be = others(&all).filter(|(_, stat)| stat.start <= until || sessions.contains(&stat.session));
    let is_one = |pid: i32, stat: &Stat| stat.start <= until && stat.parent == own && is_orphan(pid);
    let (mut inside, rest): (BTreeSet<i32>, BTreeSet<i32>) = split(may_be, is_one);
    inside.extend(carriers(user, rest, |it| it == mark.as_bytes()));
    living(&all, with_descendants(&all, inside))
}

/// All of this user's that live and have such a variable in their environment, and the descendants of these.
pub(super) fn marked(user: u32, is_mark: impl Fn(&[u8]) -> bool) -> Vec<ScannedProcess> {
    let all = everybody();
    let inside = carriers(user, others(&all).map(|(pid, _)| pid).collect(), is_mark);
    living(&all, with_descendants(&all, inside))
}

/// A process that lives, in words.
pub(super) fn words(pid: i32) -> Option<String> {
    Stat::of(pid).filter(|stat| stat.lives).map(|stat| named(pid, &stat))
}

fn named(pid: i32, stat: &Stat) -> String {
    format!("pid {pid} ({})", super::super::messages::shown(&stat.name, 64))
}

/// Whether the number is still that process's, and it lives.
pub(super) fn is_still(found: &ScannedProcess) -> bool {
    Stat::of(found.pid).is_some_and(|stat| stat.start == found.start && stat.lives)
}

fn everybody() -> BTreeMap<i32, Stat> {
    proc::pids().filter_map(|pid| Some((pid, Stat::of(pid)?))).collect()
}

/// Everybody but this process and the first of all.
fn others(all: &BTreeMap<i32, Stat>) -> impl Iterator<Item = (i32, &Stat)> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    all.iter().map(|(&pid, stat)| (pid, stat)).filter(move |(pid, _)| *pid != own && *pid != 1)
}

/// Those of whom it holds, and the rest.
fn split<'a>(
    them: impl Iterator<Item = (i32, &'a Stat)>,
    holds: impl Fn(i32, &Stat) -> bool,
) -> (BTreeSet<i32>, BTreeSet<i32>) {
    let (are, rest): (Vec<_>, Vec<_>) = them.partition(|(pid, stat)| holds(*pid, stat));
    let pids = |of: Vec<(i32, &Stat)>| of.into_iter().map(|(pid, _)| pid).collect();
    (pids(are), pids(rest))
}

/// Those of `pids` with such a variable in their environment. A process that is just becoming another program shows none, and
/// is looked at again.
fn carriers(user: u32, mut pids: BTreeSet<i32>, is_mark: impl Fn(&[u8]) -> bool) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    for look in 0..LOOKS {
        if look > 0 {
            std::thread::sleep(BETWEEN_PROGRAMS);
        }
        let mut bare = BTreeSet::new();
        environ::each(user, pids, |pid, environ| {
            if environ.split(|&byte| byte == 0).any(&is_mark) {
                found.insert(pid);
            }
            // The kernel's own have no program.
            if environ.is_empty() && fs::read_link(format!("/proc/{pid}/exe")).is_ok() {
                bare.insert(pid);
            }
        });
        pids = bare;
        if pids.is_empty() {
            break;
        }
    }
    found
}

/// Law of how a process is spoken of: whatever it calls itself, it is a few harmless words.
#[cfg(any(test, fuzzing))]
pub(in crate::run) fn law_of_names(bytes: &[u8]) {
    let whole = [b"7 (", bytes, b") S 1 7 7 0 -1 4194560 1 1 1 1 30 4 5 6 20 0 1 0 4242 1 1 1"].concat();
    let words = named(7, &Stat::in_text(&whole).expect("it is whole"));
    assert!(words.len() < 100 && crate::config::fuzzing::is_harmless(&words), "{words:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_belongs_to_a_command_that_never_was() {
        assert_eq!(take(i32::MAX, (0, "OSTLER_MIGRATION=ostler:none:none:0"), &BTreeMap::new()), []);
    }
}
