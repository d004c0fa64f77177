//! What the app's programs say, cut to what may be kept and shown: their word is not trusted to be short, or sane.

use crate::migrate::WatchMessage;
use crate::run::messages::shown;
use crate::supervise::{
    Backend, Breakage, CommandFailure, DatabaseLook, DjangoSeen, Leftover, LockNote, Marked, Marks, Opened,
    Outlook, Pending, PendingMigration, Report, Step, Trouble,
};

/// Texts of one line.
const TEXT: usize = 2000;
/// Tracebacks: their end says what happened.
const TRACEBACK: usize = 16 * 1024;
/// Names.
const NAME: usize = 300;
/// Lists that a person reads.
const LIST: usize = 200;
/// Migrations: a new database lacks all of them, and what is left out here would seem not to be there.
const MIGRATIONS: usize = 10_000;

fn text(text: &mut String) {
    *text = shown(text.trim(), TEXT);
}

fn name(text: &mut String) {
    *text = shown(text.trim(), NAME);
}

/// The end of a text of many lines.
pub(super) fn end_of(text: &str) -> String {
    let start = (text.len().saturating_sub(TRACEBACK)..text.len()).find(|&at| text.is_char_boundary(at));
    shown(text.get(start.unwrap_or(0)..).unwrap_or_default(), 2 * TRACEBACK)
}

fn seconds(value: &mut f64) {
    if !value.is_finite() || *value < 0.0 {
        *value = 0.0;
    }
}

fn list<T>(list: &mut Vec<T>, most: usize, each: impl FnMut(&mut T)) {
    list.truncate(most);
    list.iter_mut().for_each(each);
}

/// Cuts everything in a message of `watch`.
pub(super) fn watch_message(message: &mut WatchMessage) {
    match message {
        WatchMessage::Opened(it) => opened(it),
        WatchMessage::Busy { holder, .. } => text(holder),
        WatchMessage::Locked { pending: it, swept, marks: found } => {
            it.iter_mut().for_each(pending);
            list(swept, LIST, backend);
            marks(found);
        }
        WatchMessage::Look(it) => look(it),
        WatchMessage::Verified(it) => report(it),
        WatchMessage::Resolved { holder, cleared } => {
            holder.iter_mut().for_each(text);
            list(cleared, LIST, text);
        }
        WatchMessage::Failed(it) => trouble(it),
        WatchMessage::Alive | WatchMessage::Cancelled { .. } | WatchMessage::BackendsGone => {}
    }
}

fn opened(it: &mut Opened) {
    name(&mut it.version);
    it.unwatched.iter_mut().for_each(text);
    list(&mut it.guards, LIST, |(guard, value)| {
        name(guard);
        name(value);
    });
    list(&mut it.warnings, LIST, text);
    it.pending.iter_mut().for_each(pending);
    let DjangoSeen { settings, none, others } = &mut *it.seen;
    settings.iter_mut().for_each(name);
    none.iter_mut().for_each(text);
    list(others, LIST, |it| name(&mut it.name));
}

fn pending(it: &mut Pending) {
    list(&mut it.migrations, MIGRATIONS, |PendingMigration { name: it, .. }| name(it));
    list(&mut it.ahead, LIST, name);
    outlook(&mut it.outlook);
}

fn outlook(it: &mut Outlook) {
    list(&mut it.untold, LIST, text);
    list(&mut it.breaks, LIST, |it| {
        let Breakage { migration, operation, table, column, model, certain: _, what, effect, remedy } = it;
        migration.iter_mut().for_each(name);
        [operation, table, model].into_iter().chain(column).for_each(name);
        [what, effect, remedy].into_iter().for_each(text);
    });
    list(&mut it.locks, LIST, |LockNote { migration, operation, words }| {
        [migration, operation].into_iter().for_each(name);
        text(words);
    });
}

fn backend(it: &mut Backend) {
    name(&mut it.application);
    name(&mut it.state);
    text(&mut it.query);
}

fn look(it: &mut DatabaseLook) {
    list(&mut it.blockers, LIST, backend);
    list(&mut it.maintenance, LIST, backend);
    it.doing.iter_mut().for_each(text);
    it.percent = it.percent.filter(|it| it.is_finite()).map(|it| it.clamp(0.0, 100.0));
}

fn report(it: &mut Report) {
    if let Some(recorded) = &mut it.recorded {
        list(recorded, MIGRATIONS, name);
    }
    list(&mut it.leftovers, LIST, leftover);
    it.unverified.iter_mut().for_each(text);
}

fn leftover(Leftover { migration, what, remedy, .. }: &mut Leftover) {
    migration.iter_mut().for_each(name);
    text(what);
    text(remedy);
}

fn marks(Marks { dirty, owed: _, warnings }: &mut Marks) {
    list(warnings, LIST, text);
    if let Some(Marked { host, release, migration, since, what, leftovers }) = dirty {
        [host, release, migration, since].into_iter().for_each(name);
        text(what);
        list(leftovers, LIST, leftover);
    }
}

fn trouble(it: &mut Trouble) {
    text(&mut it.message);
    if it.message.is_empty() {
        "it failed and did not say why".clone_into(&mut it.message);
    }
    it.traceback = end_of(&it.traceback);
}

/// Cuts what `run` says of its failure.
pub(super) fn failure(it: &mut CommandFailure) {
    text(&mut it.message);
    if it.message.is_empty() {
        "it failed and did not say why".clone_into(&mut it.message);
    }
    it.traceback = end_of(&it.traceback);
    list(&mut it.blockers, LIST, backend);
}

/// Cuts what `run` says of its place.
pub(super) fn step(it: &mut Step) {
    match it {
        Step::Migration { name: it, .. } => name(it),
        Step::Operation { words, .. } | Step::After { words } | Step::Unseen { words } => text(words),
        Step::Applied { seconds: it } => seconds(it),
        Step::Committing | Step::Recording => {}
    }
}

/// Law of the database side: whatever it says, no text of it steers a terminal, and it is of a size that may be kept.
#[cfg(any(test, fuzzing))]
pub(in crate::run) fn law_of_database(bytes: &[u8]) {
    let Ok(mut message) = serde_json::from_slice::<WatchMessage>(bytes) else { return };
    watch_message(&mut message);
    let fact = super::database::fact(message);
    assert!(is_bounded(&format!("{fact:?}"), bytes.len()), "{fact:?}");
}

/// The same of the migration itself.
#[cfg(any(test, fuzzing))]
pub(in crate::run) fn law_of_command(bytes: &[u8]) {
    use crate::migrate::RunMessage;
    let words = match serde_json::from_slice(bytes) {
        Ok(RunMessage::Step(mut it)) => {
            step(&mut it);
            format!("{it:?}")
        }
        Ok(RunMessage::Failed(mut it)) => {
            failure(&mut it);
            format!("{it:?}")
        }
        Err(_) => return,
    };
    assert!(is_bounded(&words, bytes.len()), "{words}");
}

/// `Debug` shows what steers or hides as `\u{…}`, and a backslash that is one as two.
#[cfg(any(test, fuzzing))]
fn is_bounded(shown: &str, read: usize) -> bool {
    let plain = shown.replace("\\\\", "");
    let escaped = plain.split("\\u{").skip(1).filter_map(|rest| {
        let number = u32::from_str_radix(rest.split('}').next().unwrap_or_default(), 16).ok();
        number.and_then(char::from_u32)
    });
    let steers = plain.contains("\\r") || plain.contains("\\0");
    !steers
        && crate::config::fuzzing::is_harmless(&escaped.collect::<String>())
        && shown.len() <= (4 << 10) + 16 * read
}
