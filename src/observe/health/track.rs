//! The file that keepalived tracks: 0 while the machine is ready, 1 while it is not.
//!
//! keepalived multiplies the number with the `weight` of its `track_file` and adds that to the priority; with
//! `weight 0` a number other than 0 is a fault.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::sources::Sources;

/// How often it is looked whether the loop still goes round, which no picture tells.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps the file true until ostlerd ends.
pub async fn keep(path: PathBuf, mut sources: Sources) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut written, mut complained) = (None, false);
    loop {
        let ready = sources.judged(|judge| judge.machine(|_| false).is_ok());
        if written != Some(ready) {
            match write(&path, ready) {
                Ok(()) => (written, complained) = (Some(ready), false),
                Err(error) if !complained => {
                    tracing::error!(%error, "failed to write {}: keepalived sees what was true before", path.display());
                    complained = true;
                }
                Err(_) => {}
            }
        }
        tokio::select! {
            changed = sources.status.changed() => if changed.is_err() { return },
            _ = look.tick() => {}
        }
    }
}

/// Puts a whole new file in place of the old one: keepalived never reads half of it.
fn write(path: &Path, ready: bool) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    std::fs::write(&new, if ready { "0\n" } else { "1\n" })?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keepalived");
        write(&path, false).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n");
        write(&path, true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
