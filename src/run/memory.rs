//! How much memory there is: of the machine, and what an app's slice takes of it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::scope;
use crate::config::AppName;
use crate::supervise::MachineMemory;

/// A longer file is none of the kernel's.
const MOST: u64 = 64 * 1024;

/// The machine's; `None` where `/proc/meminfo` does not tell.
pub(super) fn of_machine() -> Option<MachineMemory> {
    machine(&text(Path::new("/proc/meminfo"))?)
}

/// What an app's processes take, their files that are only cached left out; `None` where no group counts it.
pub(super) fn of_slice(app: &AppName) -> Option<u64> {
    slice(&scope::group_of(&crate::plan::slice_of(app)))
}

pub(super) fn machine(text: &str) -> Option<MachineMemory> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(MachineMemory { total: field("MemTotal")?, available: field("MemAvailable")? })
}

fn slice(group: &Path) -> Option<u64> {
    let taken: u64 = text(&group.join("memory.current"))?.trim().parse().ok()?;
    let stat = text(&group.join("memory.stat"))?;
    let cached =
        stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse::<u64>().ok());
    Some(taken.saturating_sub(cached.unwrap_or(0)))
}

fn text(path: &Path) -> Option<String> {
    // The kernel writes the whole file anew for each read.
    let mut text = String::with_capacity(4096);
    File::open(path).ok()?.take(MOST).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_words_for_the_machine_s_memory_are_understood() {
        let text =
            "MemTotal:       16314128 kB\nMemFree:  1 kB\nMemAvailable:    8000000 kB\nBuffers: 9 kB\n";
        let memory = MachineMemory { total: 16_314_128 * 1024, available: 8_000_000 * 1024 };
        assert_eq!(machine(text), Some(memory));
        assert_eq!(machine("MemTotal: 5 kB\n"), None);
        assert_eq!(machine("MemTotal: x kB\nMemAvailable: 5 kB\n"), None);
        let now = of_machine().expect("the kernel tells");
        assert!(now.available > 0 && now.available <= now.total, "{now:?}");
    }

    #[test]
    fn what_a_slice_takes_is_without_what_is_only_cached() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(slice(folder.path()), None);
        std::fs::write(folder.path().join("memory.current"), "5000\n").unwrap();
        std::fs::write(folder.path().join("memory.stat"), "anon 1\ninactive_file 2000\nactive_file 7\n")
            .unwrap();
        assert_eq!(slice(folder.path()), Some(3000));
        std::fs::write(folder.path().join("memory.stat"), "inactive_file 9000\n").unwrap();
        assert_eq!(slice(folder.path()), Some(0));
    }
}
