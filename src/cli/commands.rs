//! The verbs that give ostlerd a command: what a person types, and what is sent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::error::{VerbError, app_name};
use crate::config::Reference;
use crate::control::protocol::exit;
use crate::supervise::{Command, LONGEST_DRAIN, ScaleTo};

#[derive(Clone, Debug, Subcommand)]
pub(super) enum CommandVerb {
    /// Roll an app out anew: new workers prove themselves, then old ones drain; no request is lost
    ///
    /// Shows each step, and exits 0 when the new generation serves, 1 when it was rolled back (the reason and the
    /// worker's own last words are on standard error; the old generation goes on serving), 75 when it could not
    /// begin. Interrupting the command does not interrupt the rollout.
    Restart {
        /// The app
        app: String,
        /// Have the link that `directory` leads through (`current`) lead to this release first; back where it does not serve
        #[arg(long, value_name = "DIR")]
        release: Option<PathBuf>,
        /// Pull this image first (registry.example.com/shop:43), as `ostler images pull` does, and take its folder as --release
        #[arg(long, value_name = "REF", conflicts_with = "release")]
        image: Option<Reference>,
        /// Run migrations although they break the code that serves, which fails until the new one does
        #[arg(long)]
        accept_breakage: bool,
    },
    /// Roll an app out to the release that ran before, and have its link lead there
    ///
    /// Goes one release back, not to and fro: after it, name a release with `ostler restart APP --release DIR`. While a
    /// rollout is under way it goes back to what still serves. What migrations have done to the databases stays. Exit statuses are those of `ostler restart`, and 64 where there is no such release.
    Rollback {
        /// The app
        app: String,
        /// Roll back although the release from before does not fit the database as it is now
        #[arg(long)]
        accept_breakage: bool,
    },
    /// Bring an app's databases up to date with the release on disk, under the watchdog; roll nothing out
    ///
    /// `ostler restart` does the same before its rollout. Shows each step, and exits 0 when all is applied or nothing was
    /// pending, 1 when it did not succeed (the reason, what is left behind and what to do are on standard error), 75 when it
    /// could not begin. Interrupting the command does not interrupt the migration: --abort does.
    Migrate(MigrateArguments),
    /// Keep N workers of an app, until the configuration says otherwise; `auto` takes that back
    Scale {
        /// The app
        app: String,
        /// How many workers, 1 to 1000; or `auto`: as many as the configuration says, or the load needs
        #[arg(value_name = "N|auto", allow_negative_numbers = true)]
        workers: ScaleTo,
    },
    /// Drain an app's workers and close its listeners
    Stop {
        /// The app
        app: String,
    },
    /// Start an app that was stopped
    Start {
        /// The app
        app: String,
    },
    /// Read the configuration again and put it in force, with the smallest change that does
    ///
    /// ostlerd does so by itself when a file changes; this waits for the end of it and tells how it went. Apps that are
    /// configured as before keep their release: new code is brought in by `ostler restart APP`.
    Reload {
        /// Only say what would change, key by key, and what that would cause
        #[arg(long)]
        dry_run: bool,
    },
    /// Fail readiness, so that load balancers take this machine out; every app goes on serving
    ///
    /// Returns when the edge has had its delay (`[edge]` of the main file) and sends nothing any more. Nothing is
    /// stopped, and apps can be restarted meanwhile. Interrupting the command does not end the drain.
    Drain {
        /// End it by itself, so long after the edge has noticed (`10m`); without it, `ostler undrain` ends it
        #[arg(long = "for", value_name = "DURATION", value_parser = length)]
        length: Option<Duration>,
    },
    /// End a drain: readiness follows the apps again
    Undrain,
    /// Have ostlerd run its binary from disk anew, as after an upgrade: no worker is restarted, no request is lost
    ///
    /// The new binary is asked first whether it can take over; where it cannot, the old one goes on and says why.
    Reexec,
}

#[derive(Clone, Debug, Args)]
pub(super) struct MigrateArguments {
    /// The app
    pub(super) app: String,
    /// Only say what is pending, and change nothing
    #[arg(long, group = "instead")]
    pub(super) plan: bool,
    /// Show the runs so far, newest last: what they did, how long it took, whom they blocked
    #[arg(long, group = "instead")]
    pub(super) history: bool,
    /// End the migration that is under way
    #[arg(long, group = "instead")]
    pub(super) abort: bool,
    /// Say that what the last migration left half done is put right
    #[arg(long, group = "instead")]
    pub(super) resolve: bool,
    /// Run it although it breaks the code that serves
    #[arg(long, conflicts_with = "instead")]
    pub(super) accept_breakage: bool,
}

impl CommandVerb {
    /// What is asked for.
    pub(super) fn command(self) -> Result<Command, VerbError> {
        Ok(match self {
            CommandVerb::Restart { app, release, accept_breakage, image: _ } => {
                let release = release.as_deref().map(absolute).transpose()?;
                Command::Restart { app: app_name(&app)?, release, accept_breakage }
            }
            CommandVerb::Rollback { app, accept_breakage } => {
                Command::Rollback { app: app_name(&app)?, accept_breakage }
            }
            CommandVerb::Migrate(MigrateArguments {
                app,
                plan,
                history,
                abort,
                resolve,
                accept_breakage,
            }) => {
                let app = app_name(&app)?;
                match () {
                    () if plan => Command::MigrationPlan { app },
                    () if history => Command::MigrationHistory { app },
                    () if abort => Command::AbortMigration { app },
                    () if resolve => Command::ResolveMigration { app },
                    () => Command::Migrate { app, accept_breakage },
                }
            }
            CommandVerb::Scale { app, workers } => Command::Scale { app: app_name(&app)?, workers },
            CommandVerb::Stop { app } => Command::Stop { app: app_name(&app)? },
            CommandVerb::Start { app } => Command::Start { app: app_name(&app)? },
            CommandVerb::Reload { dry_run: true } => Command::DryRun,
            CommandVerb::Reload { dry_run: false } => Command::Reload,
            CommandVerb::Drain { length } => Command::Drain { length },
            CommandVerb::Undrain => Command::Undrain,
            CommandVerb::Reexec => Command::Reexec,
        })
    }
}

/// ostlerd has another working directory than who types this.
fn absolute(release: &Path) -> Result<PathBuf, VerbError> {
    let path = std::path::absolute(release)
        .map_err(|error| VerbError::said(exit::USAGE, format!("--release {}: {error}", release.display())))?;
    match path.to_str() {
        Some(_) => Ok(path),
        None => {
            let why = "--release: the folder's name is not UTF-8; give it another";
            Err(VerbError::said(exit::USAGE, why))
        }
    }
}

/// `10m`, or a number of seconds.
fn length(text: &str) -> Result<Duration, String> {
    match crate::config::parse_duration(text) {
        Some(length) if !length.is_zero() && length <= LONGEST_DRAIN => Ok(length),
        Some(_) => Err(format!("must be more than 0 and at most {}", crate::config::words(LONGEST_DRAIN))),
        None => Err("write for example 30s, 10m or 1h30m".to_owned()),
    }
}
