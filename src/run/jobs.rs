//! Why systemd ends ostlerd, or has ended it: for good, or to start it again.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::captured::captured;
use super::children::Children;
use super::proc::cgroup_of;

/// How long systemd may take to say.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether ostlerd is ended to be started again at once. False where nothing says so, as without systemd.
pub(super) async fn is_restart(children: &Children) -> bool {
    match job(children).await {
        Ok(job) => matches!(job.as_deref(), Some("restart" | "start" | "try-restart")),
        Err(error) => {
            tracing::warn!(
                "systemd does not say whether this is a restart: {error}; the workers are stopped"
            );
            false
        }
    }
}

/// Whether ostlerd is ended for good. False where nothing says so: workers that go on can still be ended, and not
/// the other way round.
pub(super) async fn is_stop(children: &Children) -> bool {
    match job(children).await {
        Ok(job) => job.as_deref() == Some("stop"),
        Err(error) => {
            tracing::warn!("systemd does not say whether this is a stop: {error}; what is left goes on");
            false
        }
    }
}

/// Whether ostlerd is about to be ended, for good or not. False where nothing says so.
pub(super) async fn is_end(children: &Children) -> bool {
    job(children).await.is_ok_and(|job| matches!(job.as_deref(), Some("stop" | "restart" | "try-restart")))
}

/// What systemd is about to do with the unit that this process belongs to.
async fn job(children: &Children) -> io::Result<Option<String>> {
    let Some(unit) = unit() else { return Ok(None) };
    let argv = ["systemctl", "list-jobs", "--plain", "--no-legend", "--no-pager"].map(str::to_owned);
    let (_, output) = captured(children, Path::new("/usr/bin/systemctl"), argv.to_vec(), PATIENCE).await?;
    Ok(job_of(&output, &unit).map(str::to_owned))
}

/// The unit that this process belongs to, where systemd started it as a service.
fn unit() -> Option<String> {
    std::env::var_os("INVOCATION_ID")?;
    let group = cgroup_of(std::process::id() as i32)?;
    group.rsplit('/').find(|part| part.ends_with(".service")).map(str::to_owned)
}

/// The kind of job that a list has for the unit.
fn job_of<'a>(jobs: &'a str, unit: &str) -> Option<&'a str> {
    jobs.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match fields.as_slice() {
            [_, name, kind, ..] if *name == unit => Some(*kind),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::job_of;

    #[test]
    fn a_job_is_of_one_unit_alone() {
        let unit = "ostler.service";
        assert_eq!(job_of("  812 ostler.service restart running\n", unit), Some("restart"));
        assert_eq!(job_of("  812 ostler.service stop running\n", unit), Some("stop"));
        let others = "812 other.service restart running\n813 ostler.socket restart waiting";
        assert_eq!(job_of(others, unit), None);
        assert_eq!(job_of("No jobs running.\n", unit), None);
        assert_eq!(job_of("", unit), None);
    }
}
