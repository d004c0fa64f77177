//! Why systemd ends ostlerd: for good, or to start it again.

use std::path::Path;
use std::time::Duration;

use super::captured::captured;
use super::process::Children;
use super::state::cgroup_of;

/// How long systemd may take to say.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether ostlerd is ended to be started again at once. False where nothing says so, as without systemd.
pub(super) async fn is_restart(children: &Children) -> bool {
    let Some(unit) = unit() else { return false };
    let argv = ["systemctl", "list-jobs", "--plain", "--no-legend", "--no-pager"].map(str::to_owned);
    match captured(children, Path::new("/usr/bin/systemctl"), argv.to_vec(), PATIENCE).await {
        Ok((_, said)) => restarts(&said, &unit),
        Err(error) => {
            tracing::warn!(
                "systemd does not say whether this is a restart: {error}; the workers are stopped"
            );
            false
        }
    }
}

/// The unit that this process belongs to, where systemd started it as a service.
fn unit() -> Option<String> {
    std::env::var_os("INVOCATION_ID")?;
    let group = cgroup_of(std::process::id() as i32)?;
    group.rsplit('/').find(|part| part.ends_with(".service")).map(str::to_owned)
}

/// Whether a list of jobs has one that starts the unit again.
fn restarts(jobs: &str, unit: &str) -> bool {
    jobs.lines().any(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        matches!(fields.as_slice(), [_, name, "restart" | "start" | "try-restart", ..] if *name == unit)
    })
}

#[cfg(test)]
mod tests {
    use super::restarts;

    #[test]
    fn a_restart_is_told_from_a_stop() {
        let unit = "ostler.service";
        assert!(restarts("  812 ostler.service restart running\n", unit));
        assert!(!restarts("  812 ostler.service stop running\n", unit));
        assert!(!restarts("812 other.service restart running\n812 ostler.socket restart waiting", unit));
        assert!(!restarts("No jobs running.\n", unit));
        assert!(!restarts("", unit));
    }
}
