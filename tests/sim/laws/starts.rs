//! Laws about starts of ostlerd, and about reading the configuration.

use ostler::supervise::{Action, AppState, Command, HandoverBy, Moment, Outcome, ReadPurpose};

use super::{Step, Verdict};
use crate::entry::AppEntry;
use crate::ledger::Ledger;
use crate::start::name;

/// After a restart every app that ran is rolled out before ostlerd is ready.
pub(super) fn a_restart_deploys(step: &Step<'_>) -> Verdict {
    if !step.actions.iter().any(|it| matches!(it, Action::TellReady)) {
        return Ok(());
    }
    let mut start = step.ledger.start.clone();
    start.see(step.view);
    match start.owed.first() {
        Some(app) => Err(format!("ostlerd is ready, and the restart has not rolled {app} out")),
        None => Ok(()),
    }
}

/// An app is looked at for a rollout once for a restart, once for each who asks, and again while nothing of it serves; so after
/// a crash nothing is deployed by itself.
pub(super) fn nothing_is_deployed_unasked(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::Prepare { app } = action else { return Ok(()) };
    let start = &ledger.start;
    let asked = start.owed.contains(app) || start.asked.get(app).is_some_and(|count| *count > 0);
    if asked || !ledger.apps.get(app).is_some_and(AppEntry::serves) {
        return Ok(());
    }
    Err(format!("{app} is looked at, and nobody has asked"))
}

/// It is said that ostlerd is ready when each app serves or is known not to, and what a restart rolls out has come to its end;
/// never while it stops.
pub(super) fn readiness_waits_for_the_outcome(step: &Step<'_>) -> Verdict {
    if !step.actions.iter().any(|it| matches!(it, Action::TellReady)) {
        return Ok(());
    }
    if step.ledger.machine.shutdown {
        return Err("ostlerd is ready, and stops".to_owned());
    }
    for app in &step.view.apps {
        let unproven = step.ledger.start.unproven.contains(&app.name) && app.rollout.is_some();
        if unproven || app.state == AppState::Starting {
            return Err(format!("ostlerd is ready, and {} is {:?}", app.name, app.state));
        }
    }
    Ok(())
}

/// That is said once.
pub(super) fn readiness_is_told_once(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    match action {
        Action::TellReady if ledger.start.ready => Err("it is told again".to_owned()),
        _ => Ok(()),
    }
}

/// Room is made as it was asked for: for a restart if systemd says so, by the binary on disk if that can take over, nobody has
/// asked for an end, and no migration would be left alone.
pub(super) fn room_is_made_as_asked(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::Leave(way) = action else { return Ok(()) };
    match way {
        HandoverBy::Restart if ledger.start.restarts => Ok(()),
        HandoverBy::Restart => Err("systemd has not said that it starts ostlerd again".to_owned()),
        HandoverBy::Reexec { .. } if !ledger.start.checked => Err("the binary cannot take over".to_owned()),
        HandoverBy::Reexec { .. } if ledger.machine.shutdown => Err("ostlerd is being stopped".to_owned()),
        HandoverBy::Reexec { .. } => match ledger.books.values().find(|book| book.open) {
            Some(book) => Err(format!("a migration of {} is under way", book.app)),
            None => Ok(()),
        },
    }
}

/// Nothing is decided any more when room is to be made.
pub(super) fn leaving_decides_nothing(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    match &ledger.start.left {
        Some(way) => Err(format!("{action:?}, and {way:?} is ordered")),
        None => Ok(()),
    }
}

/// The configuration is read by one at a time, and no app is looked at meanwhile.
pub(super) fn looks_take_turns(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let start = &ledger.start;
    match action {
        Action::ReadConfig { .. } | Action::Prepare { .. } if start.reading.is_some() => {
            Err(format!("{action:?}, and the configuration is being read"))
        }
        Action::ReadConfig { .. } if !start.looking.is_empty() => {
            Err(format!("the configuration is read, and these are looked at: {:?}", start.looking))
        }
        _ => Ok(()),
    }
}

/// Whoever asks for a reload is answered by what was read after he asked.
pub(super) fn reloads_are_read_after_they_are_asked_for(
    ledger: &Ledger,
    _: Moment,
    action: &Action,
) -> Verdict {
    let Action::Answer { id, outcome: outcome @ (Outcome::Done { .. } | Outcome::Planned { .. }) } = action
    else {
        return Ok(());
    };
    let Some(asked) = ledger.asked.get(id) else { return Ok(()) };
    let purpose = match asked.request {
        Some(Command::Reload) => ReadPurpose::Reload,
        Some(Command::Hangup) => ReadPurpose::Hangup,
        Some(Command::DryRun) => ReadPurpose::DryRun,
        _ => return Ok(()),
    };
    match ledger.start.read.get(name(purpose)) {
        Some(read) if *read >= asked.at => Ok(()),
        read => Err(format!("{id:?} is answered ({outcome}); asked at {}, read at {read:?}", asked.at)),
    }
}

/// Who asks what would change is told that, and nothing is put in force.
pub(super) fn a_dry_run_is_only_told(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::Answer { id, outcome } = action else { return Ok(()) };
    let request = ledger.asked.get(id).and_then(|asked| asked.request.as_ref());
    match (request, outcome) {
        (Some(Command::DryRun), Outcome::Done { message, .. }) => Err(message.clone()),
        _ => Ok(()),
    }
}
