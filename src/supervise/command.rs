//! What people and programs may ask for: the same type from the command over the control socket to the core.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::{AppName, WORKERS_MOST};

/// The longest drain that ends by itself.
pub const LONGEST_DRAIN: Duration = Duration::from_secs(30 * 24 * 3600);

/// The longest path that the kernel takes.
const LONGEST_PATH: usize = 4095;

/// What is asked for. [`COMMANDS`](super::COMMANDS) has a row for each that goes over the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Roll the app out anew from what is on disk now.
    Restart {
        /// The app.
        app: AppName,
        /// Have the app's link lead to this release first; where it does not commit, the link leads back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<PathBuf>,
        /// Run a migration that breaks the code that serves all the same.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        accept_breakage: bool,
    },
    /// The same with the release that ran before.
    Rollback {
        /// The app.
        app: AppName,
        /// As of `Restart`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        accept_breakage: bool,
    },
    /// Bring the app's databases up to date with the release that is on disk now, and roll nothing out.
    Migrate {
        /// The app.
        app: AppName,
        /// As of `Restart`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        accept_breakage: bool,
    },
    /// End the migration of the app that is under way.
    AbortMigration {
        /// The app.
        app: AppName,
    },
    /// A person says that what the last migration left half done is resolved.
    ResolveMigration {
        /// The app.
        app: AppName,
    },
    /// Say what a migration of the app would apply, and apply nothing.
    MigrationPlan {
        /// The app.
        app: AppName,
    },
    /// Say what the history of the app's migrations holds.
    MigrationHistory {
        /// The app.
        app: AppName,
    },
    /// Keep so many workers.
    Scale {
        /// The app.
        app: AppName,
        /// How many.
        workers: ScaleTo,
    },
    /// Drain the app and close its listeners.
    Stop {
        /// The app.
        app: AppName,
    },
    /// Start a stopped app.
    Start {
        /// The app.
        app: AppName,
    },
    /// Fail readiness, so that the edge takes the machine out; nothing stops.
    Drain {
        /// How long after the edge has noticed; until `Undrain` without it.
        #[serde(default, rename = "for_seconds", with = "seconds", skip_serializing_if = "Option::is_none")]
        length: Option<Duration>,
    },
    /// End the drain.
    Undrain,
    /// Read the configuration's files again and put them in force.
    Reload,
    /// Say what that would change, and change nothing.
    DryRun,
    /// As `Reload`, with the releases as they are now: SIGHUP.
    #[serde(skip)]
    Hangup,
    /// Have ostlerd re-execute its binary from disk, with everything running on.
    Reexec,
    /// Say what this machine serves, for who configures the edge.
    Served,
    /// Add (or take) so many workers: TTIN and TTOU.
    #[serde(skip)]
    ScaleBy {
        /// The app.
        app: AppName,
        /// How many.
        step: i32,
    },
    /// Fail readiness for the edge's delay, then drain every worker and exit.
    #[serde(skip)]
    Shutdown,
    /// End everything at once and exit.
    #[serde(skip)]
    ShutdownNow,
}

/// How many workers: a number, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ScaleTo {
    /// So many, until the configuration says otherwise.
    Count(i64),
    /// What was asked for before is taken back: the configuration decides again, or the load.
    Auto(Auto),
}

/// The word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// `"auto"`.
    Auto,
}

impl std::str::FromStr for ScaleTo {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count) => Ok(ScaleTo::Count(count)),
            Err(_) if text == "auto" => Ok(ScaleTo::Auto(Auto::Auto)),
            Err(_) => Err("it must be a number of workers, or `auto`".to_owned()),
        }
    }
}

impl Command {
    /// Rolls the app out from what is on disk, and accepts no breakage.
    pub fn restart(app: AppName) -> Command {
        Command::Restart { app, release: None, accept_breakage: false }
    }

    /// The app that it is about.
    pub fn app(&self) -> Option<&AppName> {
        match self {
            Command::Restart { app, .. }
            | Command::Rollback { app, .. }
            | Command::Migrate { app, .. }
            | Command::AbortMigration { app }
            | Command::ResolveMigration { app }
            | Command::MigrationPlan { app }
            | Command::MigrationHistory { app }
            | Command::Scale { app, .. }
            | Command::ScaleBy { app, .. }
            | Command::Stop { app }
            | Command::Start { app } => Some(app),
            Command::Drain { .. }
            | Command::Undrain
            | Command::Hangup
            | Command::Reload
            | Command::DryRun
            | Command::Reexec
            | Command::Served
            | Command::Shutdown
            | Command::ShutdownNow => None,
        }
    }

    /// Whether a migration that breaks the code that serves is run all the same.
    pub fn accepts_breakage(&self) -> bool {
        match self {
            Command::Restart { accept_breakage, .. }
            | Command::Rollback { accept_breakage, .. }
            | Command::Migrate { accept_breakage, .. } => *accept_breakage,
            _ => false,
        }
    }

    /// Why nobody can do it, whatever runs.
    ///
    /// # Errors
    ///
    /// The value, the rule, the remedy.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Command::Restart { release: Some(release), .. } => {
                let text = release.to_string_lossy();
                if release.is_absolute() && !text.contains('\0') && text.len() <= LONGEST_PATH {
                    return Ok(());
                }
                Err(format!("{text:.100?} is no absolute path of at most {LONGEST_PATH} bytes"))
            }
            Command::Drain { length: Some(length) } if length.is_zero() || *length > LONGEST_DRAIN => {
                let most = LONGEST_DRAIN.as_secs();
                Err(format!("such a drain is not possible: it lasts more than 0 and at most {most} s"))
            }
            Command::Scale { app, workers: ScaleTo::Count(0) } => {
                Err(format!("scale to 0 is not possible: `ostler stop {app}`"))
            }
            Command::Scale { workers: ScaleTo::Count(count), .. }
                if !(1..=i64::from(WORKERS_MOST)).contains(count) =>
            {
                Err(format!("{count} workers are not possible: give a number from 1 to {WORKERS_MOST}"))
            }
            _ => Ok(()),
        }
    }
}

/// A duration as a number of seconds. What no duration can hold is none, or the longest: `Command::check` refuses both.
mod seconds {
    use super::*;

    pub(super) fn serialize<S: Serializer>(length: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        length.map(|length| length.as_secs_f64()).serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        let nearest = |it: f64| if it > 0.0 { Duration::MAX } else { Duration::ZERO };
        Ok(seconds.map(|it| Duration::try_from_secs_f64(it).unwrap_or(nearest(it))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> AppName {
        "shop".parse().expect("it is a name")
    }

    #[test]
    fn as_many_workers_are_possible_as_may_be_configured_and_one_at_least() {
        let most = i64::from(WORKERS_MOST);
        for (count, possible) in
            [(-1, false), (0, false), (1, true), (most, true), (most + 1, false), (i64::MAX, false)]
        {
            let scale = Command::Scale { app: shop(), workers: ScaleTo::Count(count) };
            assert_eq!(scale.check().is_ok(), possible, "{count}");
        }
    }

    #[test]
    fn a_drain_lasts_thirty_days_at_most() {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        for (length, possible) in [
            (Duration::ZERO, false),
            (Duration::from_nanos(1), true),
            (days(30), true),
            (days(30) + Duration::from_nanos(1), false),
        ] {
            assert_eq!(Command::Drain { length: Some(length) }.check().is_ok(), possible, "{length:?}");
        }
        assert!(Command::Drain { length: None }.check().is_ok(), "until somebody ends it");
    }
}
