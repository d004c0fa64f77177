//! What /proc says of a process. A number may be another's at the next look: who must be sure compares the start as well.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// The kernel shows hundredths of a second to every program, whatever it counts in itself.
const TICK: Duration = Duration::from_millis(10);

/// The line of a process in `/proc/PID/stat`.
#[derive(Debug)]
pub(super) struct Stat {
    /// As it calls itself, which may be anything.
    pub(super) name: String,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// Of the processor, with the children that it has seen end.
    pub(super) used: Duration,
    /// In ticks since the machine's start: with the number, its identity.
    pub(super) start: u64,
    /// Whether it has not ended; one that nobody has reaped yet has.
    pub(super) lives: bool,
}

impl Stat {
    /// Of a process, if there is one.
    pub(super) fn of(pid: i32) -> Option<Stat> {
        Stat::in_text(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Of what stands in that file.
    pub(super) fn in_text(text: &[u8]) -> Option<Stat> {
        let text = String::from_utf8_lossy(text);
        // The name may hold anything, brackets too.
        let (head, rest) = text.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<i32>().ok();
        Some(Stat {
            name,
            lives: !matches!(*fields.first()?, "Z" | "X" | "x"),
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            used: (11..15).filter_map(|at| fields.get(at)?.parse::<u32>().ok()).map(|it| TICK * it).sum(),
            start: fields.get(19)?.parse().ok()?,
        })
    }
}

/// The numbers of all processes.
pub(super) fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Now, as the start of a process is counted.
pub(super) fn now() -> u64 {
    let Ok(text) = fs::read_to_string("/proc/uptime") else { return 0 };
    let seconds: f64 = text.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or_default();
    (seconds / TICK.as_secs_f64()) as u64
}

/// Whose it is, as its folder tells: its effective user, or root if it may not be looked into.
pub(super) fn owner_of(pid: i32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|meta| meta.uid())
}

/// The users of a process: real, effective, saved, and for files.
pub(super) fn users_of(pid: i32) -> Option<Vec<u32>> {
    status(pid, "Uid:")?.split_ascii_whitespace().map(|uid| uid.parse().ok()).collect()
}

/// Whether a process has a handler for a signal.
pub(super) fn catches(pid: i32, signal: i32) -> bool {
    let mask = status(pid, "SigCgt:").and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0) >> (signal - 1) & 1 == 1
}

fn status(pid: i32, field: &str) -> Option<String> {
    // A name that a process has given itself need not be text.
    let status = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/status")).ok()?).into_owned();
    status.lines().find_map(|line| line.strip_prefix(field)).map(str::to_owned)
}

/// The control group of a process in the unified hierarchy.
pub(super) fn cgroup_of(pid: i32) -> Option<String> {
    cgroup_in(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// The same of what stands in that file.
pub(super) fn cgroup_in(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// Whether it has one of these sockets open, which are known by their numbers.
pub(super) fn holds_any(pid: i32, sockets: &BTreeSet<u64>) -> bool {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    fds.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|target| {
        let number = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
        number.and_then(|number| number.parse().ok()).is_some_and(|number| sockets.contains(&number))
    })
}

/// Resident memory of a process in bytes.
pub(super) fn rss(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten()?;
    pages.checked_mul(u64::try_from(page).ok()?)
}

/// For how long a process could have run and did not get a processor, as the kernel counts it; nothing if it does not.
pub(super) fn waited_for_a_processor(pid: i32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let nanoseconds = text.split_ascii_whitespace().nth(1).and_then(|it| it.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Law of `/proc/PID/stat`: a name of a process's own choice changes nothing else of it.
#[cfg(any(test, fuzzing))]
pub(super) fn law_of_stat(bytes: &[u8]) {
    Stat::in_text(bytes);
    let whole = [b"7 (", bytes, b") S 1 7 7 0 -1 4194560 1 1 1 1 30 4 5 6 20 0 1 0 4242 1 1 1"].concat();
    let stat = Stat::in_text(&whole).expect("it is whole");
    assert!(stat.lives && stat.parent == 1 && stat.start == 4242 && stat.used == TICK * 45, "{stat:?}");
    let ended = [b"7 (", bytes, b") Z 1 7 7 0 -1 4194560 1 1 1 1 30 4 5 6 20 0 1 0 4242 1 1 1"].concat();
    assert!(Stat::in_text(&ended).is_some_and(|stat| !stat.lives));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_stat_whatever_its_name() {
        let own = Stat::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.lives && own.start > 0 && own.parent > 0, "{own:?}");
        assert!(own.start <= now());
    }

    #[test]
    fn memory_is_read_in_bytes_and_only_of_the_living() {
        assert!(rss(i32::try_from(std::process::id()).unwrap()).unwrap() > 1 << 20);
        assert_eq!(rss(i32::MAX), None);
    }
}
