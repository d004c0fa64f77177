//! Laws about migrations and their watchdog.

use std::collections::BTreeSet;
use std::time::Duration;

use ostler::supervise::{
    Action, AppEvent, AppEventKind, AppState, Cause, Command, MigrationOrder, Moment, PhaseView,
    ProcessChange, ProcessEvent, Role, Start, StopSignal, VerdictKind,
};

use super::{Step, Verdict, seconds};
use crate::book::Book;
use crate::ledger::Ledger;

/// Beyond the drain of its workers, a stop waits no longer than this: the ladder, the rollback, a look, the history.
const LONGEST_STOP: Duration = Duration::from_secs(110);
/// From a start without its databases until they are asked, something else for the app may come between.
const LONGEST_UNASKED: Duration = Duration::from_secs(90);
/// With small budgets, no run takes longer than this: two databases, each waited for, rolled back and looked at.
const LONGEST_RUN: Duration = Duration::from_secs(2400);

fn order<'a>(ledger: &'a Ledger, action: &'a Action) -> Option<(&'a Book, &'a MigrationOrder)> {
    let Action::Migrate { run, order, .. } = action else { return None };
    Some((ledger.books.get(run)?, order))
}

/// One run at a time is under way for an app, and its number is used once.
pub(super) fn one_migration_at_a_time(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::Migrate { app, run, order: MigrationOrder::Open(_) } = action else { return Ok(()) };
    if ledger.books.contains_key(run) {
        return Err(format!("{run:?} is used again"));
    }
    match ledger.books.iter().find(|(_, book)| book.app == *app && book.open) {
        Some((other, _)) => Err(format!("{run:?} of {app} begins while {other:?} is under way")),
        None => Ok(()),
    }
}

/// Nothing is told of a run that is closed.
pub(super) fn the_closed_are_left_alone(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    match order(ledger, action) {
        Some((book, order)) if !book.open => Err(format!("{} is closed and told {order:?}", book.app)),
        _ => Ok(()),
    }
}

/// The command runs with the lock, and when the history holds that it does.
pub(super) fn nothing_runs_unlocked(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Some((book, MigrationOrder::RunMigration { attempt, .. })) = order(ledger, action) else {
        return Ok(());
    };
    let wrong = |what: &str| Err(format!("try {attempt} of {} runs, and {what}", book.app));
    match book {
        _ if book.command => wrong("the one before has not ended"),
        _ if book.database && !book.locked => wrong("the lock is not ours"),
        _ if !book.written => wrong("the history does not know"),
        _ => Ok(()),
    }
}

/// What hangs on the command is done for code that is new; but a start is tried again without it, if it has failed in that database.
pub(super) fn what_is_owed_is_done(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::Announce(AppEvent { app, kind: AppEventKind::MigrationEnded { verdict, .. } }) = action
    else {
        return Ok(());
    };
    let mut books = ledger.books.values().rev().filter(|it| it.app == *app);
    let Some(book) = books.next().filter(|it| !it.dirty && verdict.kind.is_good()) else { return Ok(()) };
    let before = books.filter(|it| it.well.is_some()).take_while(|it| it.well == Some(false));
    let failed: BTreeSet<_> = before.flat_map(|it| &it.failed_for).collect();
    match book.owes.iter().any(|it| !failed.contains(it)) {
        true => Err(format!("{app} is {}, and `migrate` has not run for its code", verdict.kind)),
        false => Ok(()),
    }
}

/// Backends are ended when the client is dead, never before.
pub(super) fn backends_outlive_the_command(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    match order(ledger, action) {
        Some((book, MigrationOrder::Abort(StopSignal::EndBackends))) if book.command => {
            Err(format!("{}: the command lives", book.app))
        }
        _ => Ok(()),
    }
}

/// A generation is brought in when the databases are as it needs them.
pub(super) fn no_worker_before_its_migration(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Action::StartProcess(Start { role: Role::Web, generation, blueprint, .. }) = action else {
        return Ok(());
    };
    let Some(entry) = ledger.apps.get(&blueprint.app).filter(|entry| entry.migrates) else { return Ok(()) };
    if entry.generations.contains_key(generation) || entry.migrated.contains(blueprint) {
        return Ok(());
    }
    Err(format!("{generation} of {} is started, and its migration is not good", blueprint.app))
}

/// What serves although its databases were not asked is not forgotten: they are asked.
pub(super) fn the_unasked_are_asked(step: &Step<'_>) -> Verdict {
    for (app, entry) in &step.ledger.apps {
        let Some(waited) = entry.unasked.map(|since| step.now.since(since)) else { continue };
        let view = step.view.apps.iter().find(|view| view.name == *app);
        let runs = view.is_some_and(|view| !matches!(view.state, AppState::Stopping | AppState::Stopped));
        let asks = step.ledger.books.values().any(|book| book.app == *app && book.open);
        // Somebody may not want them to be asked again.
        let unwanted = Some(Command::AbortMigration { app: app.clone() });
        let given_up = step.ledger.asked.values().any(|asked| asked.request == unwanted);
        if runs && !asks && !given_up && waited > LONGEST_UNASKED {
            return Err(format!("the databases of {app} have not been asked for {}", seconds(waited)));
        }
    }
    Ok(())
}

/// While a migration is under way, no serving worker goes for the sake of the rollout that may follow.
pub(super) fn migrations_touch_no_worker(step: &Step<'_>) -> Verdict {
    for action in step.actions {
        let Action::Announce(AppEvent { app, kind }) = action else { continue };
        let AppEventKind::Process(ProcessEvent {
            process: worker,
            role: Role::Web,
            generation,
            change: ProcessChange::Draining { cause: Cause::Rollout },
        }) = kind
        else {
            continue;
        };
        let before = step.ledger.apps.get(app).and_then(|entry| entry.view.as_ref());
        let after = step.view.apps.iter().find(|view| view.name == *app);
        let phase = |view: &ostler::supervise::AppView| view.rollout.as_ref().map(|it| it.phase);
        let migrating = before.and_then(phase) == Some(PhaseView::Migrating)
            && after.and_then(phase) == Some(PhaseView::Migrating);
        if migrating && before.and_then(|view| view.generation) == Some(*generation) {
            return Err(format!("{worker} of {app} drains in a migration"));
        }
    }
    Ok(())
}

/// What is tried again was seen to be clean.
pub(super) fn retries_start_clean(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    match order(ledger, action) {
        Some((book, MigrationOrder::RunMigration { attempt, .. }))
            if *attempt > 1 && book.seen != Some(true) =>
        {
            Err(format!("try {attempt} of {} begins, and nobody saw it clean: {:?}", book.app, book.seen))
        }
        _ => Ok(()),
    }
}

/// Where something is half done, nothing is run.
pub(super) fn the_dirty_run_nothing(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    match order(ledger, action) {
        Some((book, order @ (MigrationOrder::LockDatabase | MigrationOrder::RunMigration { .. })))
            if book.dirty =>
        {
            Err(format!("{} is dirty, and {order:?} is ordered", book.app))
        }
        _ => Ok(()),
    }
}

/// When the command has run, the database is looked at before anything is said of it; or nobody can tell.
pub(super) fn verdicts_come_after_a_look(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let Some((book, MigrationOrder::RecordMigration(record))) = order(ledger, action) else { return Ok(()) };
    let Some(verdict) = &record.verdict else { return Ok(()) };
    if verdict.kind == VerdictKind::Unknown || !book.ran || !book.database {
        return Ok(());
    }
    match (book.command, book.seen) {
        (true, _) => Err(format!("{} is {}, and the command lives", book.app, verdict.kind)),
        (false, None) => Err(format!("{} is {}, and nobody has looked", book.app, verdict.kind)),
        _ => Ok(()),
    }
}

/// What the history has begun, it ends; only a daemon that leaves at once leaves it to the next.
pub(super) fn the_history_ends_what_it_begins(ledger: &Ledger, _: Moment, action: &Action) -> Verdict {
    let at_once = ledger.asked.values().any(|asked| asked.request == Some(Command::ShutdownNow));
    match order(ledger, action) {
        Some((book, MigrationOrder::Close)) if book.begun && !at_once => {
            Err(format!("a run of {} is closed, and the history has no end for it", book.app))
        }
        _ => Ok(()),
    }
}

/// A run ends.
pub(super) fn runs_end(step: &Step<'_>) -> Verdict {
    for (run, book) in step.ledger.books.iter().rev().take(4) {
        let age = step.now.since(book.began);
        if book.open && age > LONGEST_RUN {
            return Err(format!("{run:?} of {} is open for {}", book.app, seconds(age)));
        }
        let shown = step.view.apps.iter().any(|it| it.migration.as_ref().is_some_and(|it| it.run == *run));
        if shown != book.open && book.database {
            return Err(format!("{run:?} of {}: open is {}, and shown is {shown}", book.app, book.open));
        }
        if book.open && !step.view.apps.iter().any(|it| it.name == book.app) {
            return Err(format!("{run:?} of {} outlives its app", book.app));
        }
    }
    Ok(())
}

/// A stop of an app ends, whatever its migration does.
pub(super) fn a_stop_is_bounded(step: &Step<'_>) -> Verdict {
    for (id, asked) in step.ledger.asked.iter().rev().take(8) {
        let Some(Command::Stop { app }) = &asked.request else { continue };
        let Some(entry) = step.ledger.apps.get(app) else { continue };
        let waited = step.now.since(asked.at);
        if asked.answers == 0 && waited > entry.policy.drain_timeout + LONGEST_STOP {
            return Err(format!("{id:?}: {app} has been stopping for {}", seconds(waited)));
        }
    }
    Ok(())
}
