//! Where the lines of a command go: to ostlerd's log, or to the app's own log file.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use crate::plan::{Blueprint, ProcessLimits};
use crate::run::children::Children;
use crate::run::launch_spec::LaunchSpec;
use crate::run::scope::{Alone, ScopePurpose};

/// So many lines may come at once, and so many a second in the long run.
const BURST: u32 = 500;
const PER_SECOND: u32 = 50;

/// The sink of one command.
#[derive(Debug)]
pub(super) struct Log {
    app: String,
    what: &'static str,
    to: To,
    left: u32,
    since: Instant,
    left_out: u64,
}

#[derive(Debug)]
enum To {
    /// ostlerd's own, at the level info.
    Info,
    /// ostlerd's own, for whoever searches for an error.
    Debug,
    /// The app's file. ostlerd must not open it: the app's user decides what its name leads to.
    File(io::PipeWriter),
    #[cfg(any(test, fuzzing))]
    Nowhere,
}

impl Log {
    /// For a command of the app: where the output of its workers goes.
    pub(super) fn of_command(children: &Children, blueprint: &Blueprint, what: &'static str) -> Log {
        let to = blueprint.log_file.as_ref().and_then(|file| match appender(children, blueprint, file) {
            Ok(pipe) => Some(To::File(pipe)),
            Err(error) => {
                let app = blueprint.app.as_str();
                tracing::warn!(
                    app,
                    "the output of {what} goes to ostlerd's log: {}: {error}",
                    file.display()
                );
                None
            }
        });
        Log::new(blueprint.app.as_str(), what, to.unwrap_or(To::Info))
    }

    /// For what is of interest only where something fails.
    pub(super) fn quiet(app: &str, what: &'static str) -> Log {
        Log::new(app, what, To::Debug)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn nowhere() -> Log {
        Log::new("shop", "a test", To::Nowhere)
    }

    fn new(app: &str, what: &'static str, to: To) -> Log {
        Log { app: app.to_owned(), what, to, left: BURST, since: Instant::now(), left_out: 0 }
    }

    pub(super) fn line(&mut self, line: &str) {
        if matches!(self.to, To::Info) && !self.may() {
            self.left_out += 1;
            return;
        }
        match &mut self.to {
            To::File(pipe) => {
                // A disk that hangs must not hold the migration up: what does not fit is left out.
                let line = format!("{line}\n");
                let whole = pipe.write(line.as_bytes()).is_ok_and(|count| count == line.len());
                self.left_out += u64::from(!whole);
            }
            To::Debug => tracing::debug!(app = self.app.as_str(), "{}: {line}", self.what),
            To::Info => {
                self.tell_left_out();
                tracing::info!(app = self.app.as_str(), "{}: {line}", self.what);
            }
            #[cfg(any(test, fuzzing))]
            To::Nowhere => {}
        }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        self.tell_left_out();
    }

    fn may(&mut self) -> bool {
        let now = Instant::now();
        let earned = (now - self.since).as_secs_f64() * f64::from(PER_SECOND);
        if earned >= 1.0 {
            self.left = BURST.min(self.left.saturating_add(earned as u32));
            self.since += Duration::from_secs_f64(f64::from(earned as u32) / f64::from(PER_SECOND));
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    fn tell_left_out(&mut self) {
        let count = std::mem::take(&mut self.left_out);
        if count > 0 {
            tracing::info!(
                app = self.app.as_str(),
                "{}: {count} more lines came too fast and are left out of the log",
                self.what
            );
        }
    }
}

/// What `cat` does.
const COPIES: &str = "import os\nwhile data := os.read(0, 65536):\n    os.write(1, data)";

/// A process of the app's user that appends what it reads to the file.
fn appender(
    children: &Children,
    blueprint: &Blueprint,
    file: &std::path::Path,
) -> io::Result<io::PipeWriter> {
    // An image may have no cat.
    let (program, argv) = match &blueprint.image {
        Some(_) => (blueprint.python.clone(), ["python", "-ISc", COPIES].map(str::to_owned).into()),
        None => (PathBuf::from("/bin/cat"), vec!["cat".to_owned()]),
    };
    let spec = LaunchSpec {
        program,
        argv,
        env: [("LANG".to_owned(), "C.UTF-8".to_owned())].into(),
        directory: PathBuf::from("/"),
        umask: blueprint.umask,
        limits: ProcessLimits::default(),
        account: blueprint.account.clone(),
        log_file: Some(file.to_owned()),
        no_new_privs: true,
        image: blueprint.image.clone(),
        scope: Alone::of(children, &blueprint.app, ScopePurpose::Log).place(),
    };
    let (theirs, ours) = io::pipe()?;
    let flags = nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(&ours, nix::fcntl::FcntlArg::F_SETFL(flags))?;
    let process = children.spawn(&spec, &[(theirs.as_fd(), 0)])?;
    // It ends when the pipe does.
    tokio::spawn(async move { process.wait().await });
    Ok(ours)
}
