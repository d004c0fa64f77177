//! Who of all processes belongs to a command, as /proc has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::time::Duration;

/// More than this of an environment is not looked at; the kernel takes little more.
const ENVIRON_MOST: u64 = 4 * 1024 * 1024;
/// The kernel shows hundredths of a second to every program, whatever it counts in itself.
const TICK: Duration = Duration::from_millis(10);

/// A process that belongs to the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) struct Found {
    pub(in crate::run) pid: i32,
    /// In ticks since the machine's start: with the number, its identity.
    pub(super) start: u64,
    pub(in crate::run) session: i32,
    /// Of the processor, with the children that it has seen end.
    pub(super) used: Duration,
    /// `pid 4711 (sleep)`.
    pub(super) words: String,
}

#[derive(Debug)]
struct Stat {
    name: String,
    state: u8,
    parent: i32,
    group: i32,
    session: i32,
    used: Duration,
    start: u64,
}

/// All that live of the command whose first process is `first`: its group and session, those with `mark` in their
/// environment, those `known` from before, and the descendants of all of these.
pub(super) fn take(first: i32, mark: &str, known: &BTreeMap<i32, u64>) -> Vec<Found> {
    let all = everybody();
    // Nobody who is older than the first process is of its making; where it is gone, nothing is known of that.
    let since = all.get(&first).map_or(0, |stat| stat.start);
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut inside: BTreeSet<i32> = BTreeSet::new();
    for (&pid, stat) in &all {
        let is_known = known.get(&pid) == Some(&stat.start);
        let is_near = pid == first || stat.group == first || stat.session == first;
        if pid != own
            && pid != 1
            && stat.start >= since
            && (is_known || is_near || carries(pid, |it| it == mark.as_bytes()))
        {
            inside.insert(pid);
        }
    }
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

fn living(all: &BTreeMap<i32, Stat>, pids: BTreeSet<i32>) -> Vec<Found> {
    let found = |pid: i32| {
        let stat = all.get(&pid).filter(|stat| stat.lives())?;
        Some(Found {
            pid,
            start: stat.start,
            session: stat.session,
            used: stat.used,
            words: named(pid, stat),
        })
    };
    pids.into_iter().filter_map(found).collect()
}

/// All that live and carry the mark, started `until` then or in one of these sessions; and the children of this process of
/// whom `is_orphan` says that they belong with those; and the descendants of all of these.
pub(in crate::run) fn left_behind(
    mark: &str,
    until: u64,
    sessions: &BTreeSet<i32>,
    is_orphan: impl Fn(i32) -> bool,
) -> Vec<Found> {
    let all = everybody();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let is_one = |pid: i32, stat: &Stat| {
        let is_old = stat.start <= until;
        let is_orphan = || is_old && stat.parent == own && is_orphan(pid);
        let may_be = pid != own && pid != 1 && (is_old || sessions.contains(&stat.session));
        may_be && (carries(pid, |it| it == mark.as_bytes()) || is_orphan())
    };
    let inside = all.iter().filter(|(pid, stat)| is_one(**pid, stat)).map(|(&pid, _)| pid).collect();
    living(&all, with_descendants(&all, inside))
}

/// All that live and have such a variable in their environment, and the descendants of these.
pub(super) fn marked(is_mark: impl Fn(&[u8]) -> bool) -> Vec<Found> {
    let all = everybody();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let others = all.keys().copied().filter(|&pid| pid != own && pid != 1);
    let inside = others.filter(|&pid| carries(pid, &is_mark)).collect();
    living(&all, with_descendants(&all, inside))
}

/// Now, as the start of a process is counted.
pub(in crate::run) fn now() -> u64 {
    let Ok(text) = fs::read_to_string("/proc/uptime") else { return 0 };
    let seconds: f64 = text.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or_default();
    (seconds / TICK.as_secs_f64()) as u64
}

/// A process that lives, in words.
pub(super) fn words(pid: i32) -> Option<String> {
    stat(pid).filter(Stat::lives).map(|stat| named(pid, &stat))
}

fn named(pid: i32, stat: &Stat) -> String {
    format!("pid {pid} ({})", super::super::messages::shown(&stat.name, 64))
}

/// Whether the number is still that process's, and it lives.
pub(super) fn is_still(found: &Found) -> bool {
    stat(found.pid).is_some_and(|stat| stat.start == found.start && stat.lives())
}

impl Stat {
    fn lives(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

fn everybody() -> BTreeMap<i32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| Some((pid, stat(pid)?))).collect()
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The name may hold anything, brackets too.
    let (head, rest) = text.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<i32>().ok();
    Some(Stat {
        name,
        state: *fields.first()?.as_bytes().first()?,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        used: (11..15).filter_map(|at| fields.get(at)?.parse::<u32>().ok()).map(|it| TICK * it).sum(),
        start: fields.get(19)?.parse().ok()?,
    })
}

fn carries(pid: i32, is_mark: impl Fn(&[u8]) -> bool) -> bool {
    let Ok(file) = fs::File::open(format!("/proc/{pid}/environ")) else { return false };
    let mut environ = Vec::new();
    // What could be read before an error counts.
    let _ = file.take(ENVIRON_MOST).read_to_end(&mut environ);
    environ.split(|&byte| byte == 0).any(is_mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_stat_whatever_its_name() {
        let own = stat(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.lives() && own.start > 0 && own.parent > 0, "{own:?}");
    }

    #[test]
    fn nobody_belongs_to_a_command_that_never_was() {
        assert_eq!(take(i32::MAX, "OSTLER_MIGRATION=ostler:none:none:0", &BTreeMap::new()), []);
    }
}
