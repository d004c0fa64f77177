//! What stays true for the next ostlerd, and the two ways of making room for it with everything running on.

use std::path::PathBuf;
use std::time::Duration;

use super::{Driver, Inbound};
use crate::config::AppName;
use crate::observe::Status;
use crate::run::health::Ports;
use crate::run::shell::{Effect, Shell};
use crate::run::{handover, jobs};
use crate::supervise::{Command, Moment, Outcome, RequestId, View};

/// How long whoever asked may take to receive the answer.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Why there is no re-execution any more.
const STOPPED: &str = "ostlerd is being stopped or started again; the next start runs the binary on disk";

/// The next ostlerd is due.
#[derive(Debug)]
pub(super) enum Leaving {
    /// This process becomes it.
    Reexec {
        /// Who asked.
        id: RequestId,
        /// The binary.
        program: PathBuf,
    },
    /// systemd starts it when this one has ended.
    Restart,
}

impl Driver {
    /// The picture of this moment.
    pub(super) fn view(&self) -> View {
        self.supervisor.view(Moment::at(self.origin.elapsed()))
    }

    /// Writes down what has changed, and then does what follows from it. What could not be written is tried `again`
    /// with the next look, or when something has to be done.
    pub(super) fn keep(&mut self, again: bool) {
        if self.keeper.is_busy() {
            return;
        }
        let effects = self.shell.take_effects();
        if self.keeper.has_failed() && effects.is_empty() && !again {
            return;
        }
        let handover = matches!(self.leaving, Some(Leaving::Restart));
        let kept = self.shell.kept(self.origin_nanoseconds, handover, self.supervisor.legacy());
        let counters = || self.vitals.borrow().counters().into();
        let at_once = self.keeper.keep(kept, counters, effects);
        self.put_in_effect(at_once);
    }

    /// Whether nothing is left of what a restart of ostlerd rolls out.
    pub(super) fn is_proven(&mut self, status: &Status) -> bool {
        let rolls_out = |name: &AppName| {
            let app = status.apps.iter().find(|app| app.name == *name);
            app.is_some_and(|app| app.rollout.is_some())
        };
        self.unproven.retain(rolls_out);
        let to_come = self.first_reload.as_ref().is_some_and(|(_, apps)| !apps.is_empty());
        !to_come && self.unproven.is_empty()
    }

    pub(super) fn put_in_effect(&mut self, effects: Vec<Effect>) {
        effects.into_iter().for_each(|effect| self.shell.effect(effect));
    }

    /// Asks the binary on disk whether it can take over.
    pub(super) fn check_successor(&mut self, id: RequestId) {
        let refuse = |reason: String| Outcome::Refused { reason };
        if self.leaving.is_some() {
            return self.shell.answer(id, refuse("ostlerd is being re-executed already".to_owned()));
        }
        if self.is_stopping() {
            return self.shell.answer(id, refuse(STOPPED.to_owned()));
        }
        let view = self.view();
        if let Some(app) = view.apps.iter().find(|app| app.migration.is_some()) {
            let reason = format!("{} migrates its databases; try again when that has ended", app.name);
            return self.shell.answer(id, refuse(reason));
        }
        let program = match handover::program() {
            Ok(program) => program,
            Err(error) => return self.shell.answer(id, refuse(format!("cannot find the binary: {error}"))),
        };
        let (children, state) = (self.shell.children().clone(), self.keeper.path().to_owned());
        let inbox = self.shell.inbox();
        tokio::spawn(async move {
            let checked = handover::check(children, program.clone(), state).await;
            let _ = inbox.send(Inbound::SuccessorChecked { id, program, checked });
        });
    }

    /// Whether this ostlerd ends for good: the next one would know nothing of that.
    fn is_stopping(&self) -> bool {
        let view = self.view();
        view.drain.is_some_and(|drain| drain.stopping)
    }

    pub(super) fn successor_checked(&mut self, id: RequestId, program: PathBuf, checked: Result<(), String>) {
        match checked {
            Ok(()) => self.leaving = Some(Leaving::Reexec { id, program }),
            Err(reason) => {
                let reason = format!("{reason}; this ostlerd goes on");
                self.shell.answer(id, Outcome::Refused { reason });
            }
        }
    }

    /// SIGTERM: for good, unless systemd says that it starts ostlerd again.
    pub(super) fn explain_end(&mut self) {
        let (children, inbox) = (self.shell.children().clone(), self.shell.inbox());
        tokio::spawn(async move {
            let restart = jobs::is_restart(&children).await;
            let _ = inbox.send(Inbound::EndExplained { restart });
        });
    }

    pub(super) fn end_explained(&mut self, restart: bool) {
        if !restart {
            return self.request("SIGTERM", Command::Shutdown);
        }
        tracing::info!("SIGTERM received: systemd restarts ostlerd, so the workers go on");
        self.leaving = Some(Leaving::Restart);
        self.keep(true);
    }

    /// Whether all that the next one needs stands in the file, and nothing that was decided is left to be done.
    pub(super) fn may_leave(&self) -> bool {
        self.leaving.is_some() && !self.keeper.is_busy()
    }

    /// Makes room. False where that failed: then this one goes on.
    pub(super) async fn leave(&mut self) -> bool {
        let written = !self.keeper.has_failed();
        match self.leaving.take() {
            // systemd may have asked for an end meanwhile, of which nothing has arrived here yet.
            Some(Leaving::Reexec { id, .. })
                if self.is_stopping() || jobs::is_end(self.shell.children()).await =>
            {
                self.shell.answer(id, Outcome::Refused { reason: STOPPED.to_owned() });
                false
            }
            Some(Leaving::Reexec { id, .. }) if !written => {
                let path = self.keeper.path().display();
                let reason =
                    format!("{path} cannot be written, and the next ostlerd needs it; this one goes on");
                self.shell.answer(id, Outcome::Refused { reason });
                false
            }
            Some(Leaving::Reexec { id, program }) => {
                let message = format!("ostlerd becomes {}; its workers go on", program.display());
                self.shell.answer(id, Outcome::Done { message, generation: None });
                tokio::time::sleep(LAST_WORDS).await;
                let passed = self.shell.passed();
                let sockets: Vec<u64> = self.shell.sockets().into_iter().map(|(number, _)| number).collect();
                let error = handover::become_program(&program, &passed.numbers(), &sockets);
                tracing::error!("{} cannot be executed: {error}; this ostlerd goes on", program.display());
                false
            }
            Some(Leaving::Restart) if !written => {
                tracing::error!("the state cannot be handed over, so the workers are stopped");
                self.request("SIGTERM", Command::Shutdown);
                false
            }
            Some(Leaving::Restart) => {
                self.shell.leave();
                self.ports.iter_mut().for_each(Ports::leave);
                Shell::files_removed().await;
                true
            }
            None => false,
        }
    }
}
