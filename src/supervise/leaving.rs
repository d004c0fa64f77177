//! How ostlerd makes room for the next one, with everything running on.
//!
//! ```text
//! Command::Reexec ─► CheckSuccessor ─► SuccessorChecked ─┬─► it cannot take over: refused, and why
//!                                                        └─► Leave(Reexec) ──┬─► this process is the next ostlerd
//! SIGTERM ─► EndExplained ─┬─ systemd starts it again ─► Leave(Restart) ─────┤
//!                          └─ for good ─► the shutdown (`drain`)             └─► Stayed: refused, or the shutdown
//! ```
//!
//! From `Leave` on nothing is decided any more: the next ostlerd finds what has become of it all. What happens meanwhile is
//! kept, and taken up where this one stays after all.

use std::path::PathBuf;

use super::action::Action;
use super::event::Event;
use super::handover::{HandoverBy, Stayed};
use super::request::{Outcome, RequestId};
use super::state::{Effects, Leaving, Supervisor};

/// Why there is no re-execution any more.
const STOPPED: &str = "ostlerd is being stopped or started again; the next start runs the binary on disk";

impl Supervisor {
    /// Whether nothing is decided any more. Keeps the event if so.
    pub(super) fn is_leaving(&mut self, event: &Event) -> bool {
        match (&mut self.leaving, event) {
            (Some(Leaving::Due { .. }), Event::Stayed { .. }) => false,
            (Some(Leaving::Due { .. }), Event::TimePassed) => true,
            (Some(Leaving::Due { since, .. }), event) => {
                since.push(event.clone());
                true
            }
            _ => false,
        }
    }

    /// Whether the shell was told to make room.
    pub(super) fn has_left(&self) -> bool {
        matches!(self.leaving, Some(Leaving::Due { .. }))
    }

    /// Whether the next ostlerd rolls every app out.
    pub(super) fn leaves_for_a_restart(&self) -> bool {
        matches!(self.leaving, Some(Leaving::Due { way: HandoverBy::Restart, .. }))
    }

    /// Somebody wants the binary on disk to take over.
    pub(super) fn reexec(&mut self, id: RequestId, effects: &mut Effects) {
        match self.cannot_be_left() {
            _ if self.leaving.is_some() => {
                let reason = "ostlerd is being re-executed already".to_owned();
                refuse(id, reason, effects);
            }
            Some(reason) => refuse(id, reason, effects),
            None => {
                self.leaving = Some(Leaving::Checking { id });
                effects.actions.push(Action::CheckSuccessor);
            }
        }
    }

    /// Why nobody may take over as things are: of an end the next ostlerd would know nothing, and a migration is watched by
    /// the one that has begun it.
    fn cannot_be_left(&self) -> Option<String> {
        if self.shutdown.is_some() {
            return Some(STOPPED.to_owned());
        }
        let migrates = self.apps.values().find(|app| !app.databases.is_idle())?;
        Some(format!("{} migrates its databases; try again when that has ended", migrates.name))
    }

    /// The binary on disk has been asked.
    pub(super) fn successor_checked(&mut self, checked: Result<PathBuf, String>, effects: &mut Effects) {
        let Some(Leaving::Checking { id }) = self.leaving.take() else { return };
        match checked {
            Ok(program) => self.leave(HandoverBy::Reexec { id, program }),
            Err(reason) => refuse(id, format!("{reason}; this ostlerd goes on"), effects),
        }
    }

    /// systemd was asked why it ends ostlerd.
    pub(super) fn end_explained(&mut self, restart: bool, effects: &mut Effects) {
        if !restart {
            let id = self.own_request();
            return self.shut_down(id, false, effects);
        }
        if let Some(Leaving::Checking { id }) = self.leaving.take() {
            refuse(id, STOPPED.to_owned(), effects);
        }
        self.leave(HandoverBy::Restart);
    }

    fn leave(&mut self, way: HandoverBy) {
        self.leaving = Some(Leaving::Due { way, told: false, since: Vec::new() });
    }

    /// Has the shell make room, if that is still possible. Comes after all other decisions.
    pub(super) fn tell_to_leave(&mut self, effects: &mut Effects) {
        let reason = self.cannot_be_left();
        match (&mut self.leaving, reason) {
            (Some(Leaving::Due { way: HandoverBy::Reexec { id, .. }, told: false, .. }), Some(reason)) => {
                refuse(*id, reason, effects);
                self.leaving = None;
            }
            (Some(Leaving::Due { way, told, .. }), _) if !*told => {
                *told = true;
                effects.actions.push(Action::Leave(way.clone()));
            }
            _ => {}
        }
    }

    /// It ends before the binary on disk has answered.
    pub(super) fn give_up_checking(&mut self, actions: &mut Vec<Action>) {
        if let Some(Leaving::Checking { id }) = self.leaving.take() {
            actions.push(Action::Answer { id, outcome: Outcome::Refused { reason: STOPPED.to_owned() } });
        }
    }

    /// This ostlerd is still here, and takes up what has happened.
    pub(super) fn stayed(&mut self, why: Stayed, effects: &mut Effects) {
        let Some(Leaving::Due { way, since, .. }) = self.leaving.take() else { return };
        match (way, why) {
            (HandoverBy::Reexec { id, .. }, Stayed::Ending) => refuse(id, STOPPED.to_owned(), effects),
            (HandoverBy::Reexec { id, .. }, Stayed::Unwritten(path)) => {
                let path = path.display();
                let reason =
                    format!("{path} cannot be written, and the next ostlerd needs it; this one goes on");
                refuse(id, reason, effects);
            }
            (HandoverBy::Reexec { .. }, Stayed::NotExecuted) => {}
            // Nobody would know of the workers.
            (HandoverBy::Restart, _) => {
                let id = self.own_request();
                self.shut_down(id, false, effects);
            }
        }
        for event in since {
            self.record(event, effects);
        }
    }
}

fn refuse(id: RequestId, reason: String, effects: &mut Effects) {
    effects.actions.push(Action::Answer { id, outcome: Outcome::Refused { reason } });
}
