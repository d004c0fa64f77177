//! Other processes, as /proc shows them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Whether the tests run as root, and so may become other users.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Sends a signal; a process that is gone already is fine.
pub fn kill(pid: i32, signal: Signal) {
    assert!(pid > 1, "{pid} is no process to send signals to");
    let _ = nix::sys::signal::kill(Pid::from_raw(pid), signal);
}

/// A process by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proc(pub i32);

impl Proc {
    /// Every process whose environment holds `entry` (`NAME=value`), zombies left out: they have none.
    pub fn with_env(entry: &str) -> Vec<Proc> {
        let everything = fs::read_dir("/proc").expect("/proc is mounted");
        everything
            .filter_map(|item| item.ok()?.file_name().to_str()?.parse().ok())
            .map(Proc)
            .filter(|process| process.environment_entries().iter().any(|have| have == entry))
            .collect()
    }

    /// The children of this process that nobody has waited for.
    pub fn zombie_children(self) -> Vec<i32> {
        let everything = fs::read_dir("/proc").expect("/proc is mounted");
        everything
            .filter_map(|item| item.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .filter(|&pid| {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                let after_name = stat.rsplit(')').next().unwrap_or_default().trim().to_owned();
                let mut fields = after_name.split(' ');
                fields.next() == Some("Z") && fields.next() == Some(&self.0.to_string())
            })
            .collect()
    }

    /// Whether it runs (a zombie does not).
    pub fn lives(self) -> bool {
        fs::read_to_string(self.file("stat")).is_ok_and(|stat| {
            let state = stat.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
            !matches!(state, Some('Z' | 'X') | None)
        })
    }

    /// Its environment as it was started.
    pub fn environment(self) -> BTreeMap<String, String> {
        let entries = self.environment_entries();
        entries.iter().filter_map(|entry| entry.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    }

    fn environment_entries(self) -> Vec<String> {
        let raw = fs::read(self.file("environ")).unwrap_or_default();
        raw.split(|byte| *byte == 0)
            .filter(|entry| !entry.is_empty())
            .map(|entry| String::from_utf8_lossy(entry).into_owned())
            .collect()
    }

    /// Its descriptors and what each one is, `7` → `socket:[1234]`.
    pub fn descriptors(self) -> BTreeMap<u32, String> {
        let Ok(folder) = fs::read_dir(self.file("fd")) else { return BTreeMap::new() };
        folder
            .filter_map(|item| {
                let item = item.ok()?;
                let number = item.file_name().to_str()?.parse().ok()?;
                let target = fs::read_link(item.path()).ok()?;
                Some((number, target.to_string_lossy().into_owned()))
            })
            .collect()
    }

    /// Resident memory in bytes.
    pub fn rss(self) -> u64 {
        self.status_field("VmRSS:").map_or(0, |kib| kib * 1024)
    }

    /// Its share of memory in bytes: what is its own, and its part of what it shares.
    #[allow(dead_code, reason = "for the bench")]
    pub fn pss(self) -> u64 {
        let rollup = fs::read_to_string(self.file("smaps_rollup")).unwrap_or_default();
        let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() * 1024
    }

    /// The processes that it started and that run.
    #[allow(dead_code, reason = "for the bench")]
    pub fn children(self) -> Vec<i32> {
        let task = self.file(&format!("task/{}/children", self.0));
        let children = fs::read_to_string(task).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Its effective user.
    pub fn uid(self) -> Option<u64> {
        self.status_field("Uid:")
    }

    fn status_field(self, name: &str) -> Option<u64> {
        let status = fs::read_to_string(self.file("status")).ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// What it was started as, for messages.
    pub fn command(self) -> String {
        let raw = fs::read(self.file("cmdline")).unwrap_or_default();
        let text: String = String::from_utf8_lossy(&raw).replace('\0', " ");
        format!("{} {}", self.0, text.chars().take(100).collect::<String>())
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }
}
