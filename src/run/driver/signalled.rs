//! What each signal to ostlerd asks for.

use super::Driver;
use crate::run::signals::Arrived;
use crate::supervise::Command;

impl Driver {
    pub(super) fn signalled(&mut self, signal: Arrived) {
        match signal {
            Arrived::ChildEnded => drop(self.shell.children().sweep()),
            Arrived::Hangup => {
                tracing::info!("SIGHUP: reading the configuration anew");
                self.unasked(Command::Hangup);
            }
            Arrived::User1 => self.shell.reopen_logs(),
            Arrived::Terminate => self.shell.explain_end(),
            Arrived::User2 => self.request("SIGUSR2", Command::Reexec),
            Arrived::Interrupt => self.request("SIGINT", Command::Shutdown),
            Arrived::InterruptAgain => self.request("another SIGINT", Command::ShutdownNow),
            Arrived::TtyIn => self.scale_only_app("SIGTTIN", 1),
            Arrived::TtyOut => self.scale_only_app("SIGTTOU", -1),
        }
    }

    pub(super) fn request(&mut self, signal: &str, command: Command) {
        tracing::info!("{signal} received");
        self.unasked(command);
    }

    fn scale_only_app(&mut self, signal: &str, step: i32) {
        match self.shell.only_app() {
            Some(app) => self.request(signal, Command::ScaleBy { app, step }),
            None => tracing::warn!("{signal} ignored: it needs exactly one app; use `ostler scale APP N`"),
        }
    }
}
