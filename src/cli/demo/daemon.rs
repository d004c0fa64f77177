//! The `ostlerd` of the demonstration: a child in a process group of its own, so that Ctrl-C reaches only us.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::task::JoinHandle;

use super::error::DemoError;
use super::files::DemoFiles;
use crate::cli::client::{Client, ClientError};
use crate::observe::AppStatus;
use crate::supervise::AppState;

const BOOT: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(45);
const LOOK: Duration = Duration::from_millis(100);

/// Where its log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogTarget {
    Terminal,
    LogFile,
}

/// A running ostlerd.
#[derive(Debug)]
pub(super) struct Ostlerd {
    pidfd: OwnedFd,
    exit: JoinHandle<std::io::Result<ExitStatus>>,
    ended: Option<String>,
}

impl Ostlerd {
    pub(super) fn start(files: &DemoFiles, output: LogTarget) -> Result<Ostlerd, DemoError> {
        let path = beside();
        let failed = |source| DemoError::NoDaemon { path: path.clone(), source };
        let mut command = Command::new(&path);
        command.arg("--config").arg(files.config_file());
        command.arg("--runtime-dir").arg(files.runtime_dir());
        command.arg("--state-dir").arg(files.state_dir());
        command.stdin(Stdio::null()).process_group(0);
        if output == LogTarget::LogFile {
            let log = files.log_file();
            let file =
                File::create(&log).map_err(|source| DemoError::File { what: "make", path: log, source })?;
            command.stdout(file.try_clone().map_err(failed)?).stderr(file);
        }
        let mut child = command.spawn().map_err(failed)?;
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| failed(errno.into()))?;
        let exit = tokio::task::spawn_blocking(move || child.wait());
        Ok(Ostlerd { pidfd, exit, ended: None })
    }

    /// Until the shop serves; the app's own words where it will not.
    pub(super) async fn until_serving(&mut self, client: &Client) -> Result<(), DemoError> {
        let begun = Instant::now();
        loop {
            if self.exit.is_finished() {
                return self.until_ended().await;
            }
            let app = match client.status().await {
                Ok((status, _)) => status.apps.into_iter().next(),
                Err(ClientError::Unreachable { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            match app {
                Some(app) if app.state == AppState::Serving => return Ok(()),
                Some(app) if app.state == AppState::Failed || begun.elapsed() > BOOT => {
                    return Err(DemoError::Play(trouble(&app)));
                }
                None if begun.elapsed() > BOOT => {
                    return Err(DemoError::Play(format!("ostlerd shows no app after {BOOT:?}")));
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Until it ends by itself, which is an error here.
    pub(super) async fn until_ended(&mut self) -> Result<(), DemoError> {
        let how = match (&mut self.exit).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.ended = Some(how.clone());
        Err(DemoError::Play(format!("ostlerd ended by itself ({how})")))
    }

    /// Asks it to end, and waits; nothing to do where it has ended before.
    pub(super) async fn stop(&mut self) -> Result<(), DemoError> {
        if self.ended.is_some() {
            return Ok(());
        }
        self.signal(Signal::TERM);
        match tokio::time::timeout(STOP, &mut self.exit).await {
            Ok(Ok(Ok(status))) => {
                self.ended = Some(status.to_string());
                if status.success() {
                    return Ok(());
                }
                Err(DemoError::Play(format!("ostlerd did not end well when asked to ({status})")))
            }
            Ok(Ok(Err(error))) => Err(DemoError::Output(error)),
            Ok(Err(error)) => Err(DemoError::Play(error.to_string())),
            Err(_) => {
                self.signal(Signal::KILL);
                Err(DemoError::Play(format!("ostlerd did not end within {STOP:?} and was killed")))
            }
        }
    }

    fn signal(&self, signal: Signal) {
        // It may have ended meanwhile.
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }
}

impl Drop for Ostlerd {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.signal(Signal::TERM);
        }
    }
}

/// Whether there is an ostlerd to start: better known before a virtual environment is made.
pub(super) fn is_there() -> Result<(), DemoError> {
    let path = beside();
    path.metadata().map(drop).map_err(|source| DemoError::NoDaemon { path, source })
}

fn beside() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name("ostlerd")
}

fn trouble(app: &AppStatus) -> String {
    let problem = app.problem.as_deref().unwrap_or("it does not get ready");
    let words = app.last_words.as_ref().map(|words| format!("\n{}\n{}", words.message, words.traceback));
    format!("the shop does not serve: {problem}{}", words.unwrap_or_default())
}
