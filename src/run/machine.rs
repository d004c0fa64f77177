//! What the machine allows this process.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

/// How many CPUs this process may use, at least 1.
pub(super) fn cpus() -> u32 {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return 1 };
    let usable = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).count();
    u32::try_from(usable).unwrap_or(1).max(1)
}

/// The first port that every user may bind.
pub(super) fn unprivileged_port() -> u16 {
    let set = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    set.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_cpu() {
        assert!((1..=8192).contains(&cpus()));
    }
}
