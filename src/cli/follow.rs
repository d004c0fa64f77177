//! Giving a command and staying with it to its end: on a terminal a live picture, elsewhere a line per step.

use std::io;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::AppName;
use crate::observe::Status;
use crate::observe::traceback::brief;
use crate::supervise::{Command, LastWords, Outcome, Verdict, interrupted};

use super::client::{Client, ClientError, Feed};
use super::difference;
use super::error::VerbError;
use super::live::Picture;
use super::screen::{Colour, Screen, complain, one_line, plain, say};
use super::screen::{How, set_off};
use super::sentence::sentence;
use super::verdict;
use crate::control::protocol::{StreamLine, exit};

/// How often a live picture of a migration is taken: its progress is in no event.
const GLANCE: Duration = Duration::from_millis(500);

/// How steps are shown.
enum Show {
    Json,
    Lines { screen: Screen, begun: Instant },
    Live { screen: Screen, picture: Picture },
}

/// Gives a command and shows what happens; the exit status is the outcome's. What was begun goes on when the wait for
/// it is interrupted.
pub(super) async fn follow(client: &Client, command: &Command, how: How) -> Result<u8, VerbError> {
    let outcome = outcome(client, command, how).await?;
    Ok(outcome.map_or(exit::INTERRUPTED, |outcome| outcome.exit_status()))
}

/// The same, with the outcome itself; `None` where the command was interrupted.
pub(super) async fn outcome(
    client: &Client,
    command: &Command,
    how: How,
) -> Result<Option<Outcome>, VerbError> {
    let screen = Screen::stdout();
    let mut show = match (how.json, screen.live) {
        (true, _) => Show::Json,
        (false, true) => Show::Live { screen, picture: Picture::new(screen) },
        (false, false) => Show::Lines { screen, begun: Instant::now() },
    };
    tokio::select! {
        biased;
        signalled = tokio::signal::ctrl_c() => {
            signalled?;
            show.end();
            complain(&format!("ostler: {}", interrupted(command)));
            Ok(None)
        }
        ended = to_the_end(client, command, &mut show, how.verbose) => {
            show.end();
            ended.map(Some)
        }
    }
}

async fn to_the_end(
    client: &Client,
    command: &Command,
    show: &mut Show,
    verbose: bool,
) -> Result<Outcome, VerbError> {
    let mut feed = client.command(command).await?;
    let (_looking, mut glances) = glances(client, show);
    loop {
        let text = tokio::select! {
            text = next(&mut feed) => text?,
            Some(status) = glances.recv() => {
                show.glance(command, &status);
                continue;
            }
        };
        let Some(text) = text else {
            return Err(VerbError::said(
                exit::UNREACHABLE,
                "ostlerd went away before it said how this went; look with `ostler status`",
            ));
        };
        let line = StreamLine::parse(&text);
        still_read(show.step(&text, &line))?;
        match line {
            StreamLine::Outcome(outcome) => {
                show.end();
                still_read(show.outcome(&outcome, command.app(), verbose))?;
                return Ok(outcome);
            }
            StreamLine::Error(message, exit) => return Err(VerbError::said(exit, message)),
            StreamLine::Event(_) | StreamLine::Lagged(_) | StreamLine::Unknown(_) => {}
        }
    }
}

/// Pictures, for as long as the set is kept, where they would be shown.
fn glances(client: &Client, show: &Show) -> (JoinSet<()>, mpsc::Receiver<Status>) {
    let (taken, glances) = mpsc::channel(1);
    let mut looking = JoinSet::new();
    if let Show::Live { .. } = show {
        let client = client.clone();
        looking.spawn(async move {
            while let Ok(status) = client.glance().await {
                if taken.send(status).await.is_err() {
                    return;
                }
                tokio::time::sleep(GLANCE).await;
            }
        });
    }
    (looking, glances)
}

/// A connection that breaks is ostlerd gone, as is the end of the stream.
pub(super) async fn next(feed: &mut Feed) -> Result<Option<String>, VerbError> {
    match feed.next().await {
        Ok(line) => Ok(line),
        Err(ClientError::Broken { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Nobody reads the steps any more: the exit status still has to be right, so the command stays to the end.
pub(super) fn still_read(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

impl Show {
    fn step(&mut self, text: &str, line: &StreamLine) -> io::Result<()> {
        match (self, line) {
            (Show::Json, _) => say(text),
            (Show::Lines { screen, begun }, StreamLine::Event(event)) => {
                let seconds = format!("{:6.1}s", begun.elapsed().as_secs_f64());
                say(&format!("{}  {}", screen.paint(Colour::Faint, &seconds), sentence(*screen, event)))
            }
            (Show::Live { picture, .. }, StreamLine::Event(event)) => {
                picture.follow(event);
                Ok(())
            }
            (Show::Lines { .. }, StreamLine::Lagged(missed)) => say(&missed_words(*missed)),
            (Show::Live { picture, .. }, StreamLine::Lagged(missed)) => {
                picture.note(&missed_words(*missed));
                Ok(())
            }
            (_, StreamLine::Outcome(_) | StreamLine::Error(..) | StreamLine::Unknown(_)) => Ok(()),
        }
    }

    fn glance(&mut self, command: &Command, status: &Status) {
        if let Show::Live { picture, .. } = self {
            let concerned = status.apps.iter().filter(|app| command.app().is_none_or(|it| *it == app.name));
            for app in concerned {
                picture.migration(&app.name, app.migration.as_ref());
            }
        }
    }

    fn end(&mut self) {
        if let Show::Live { picture, .. } = self {
            picture.end();
        }
    }

    /// The last line: on standard output where it is as asked, else on standard error with all that is known.
    fn outcome(&self, outcome: &Outcome, app: Option<&AppName>, verbose: bool) -> io::Result<()> {
        let screen = match self {
            Show::Json => {
                if outcome.exit_status() != 0 {
                    complain(&explanation(outcome, app, verbose));
                }
                return Ok(());
            }
            Show::Lines { screen, .. } | Show::Live { screen, .. } => screen,
        };
        if let Outcome::Done { message, .. } = outcome {
            return say(&screen.paint(Colour::Green, &one_line(message)));
        }
        if let Outcome::Planned { changes, needs_restart } = outcome {
            for key in needs_restart {
                say(&format!("{}: needs a restart of ostlerd", one_line(key)))?;
            }
            return say(&difference::render(changes, *screen));
        }
        complain(&explanation(outcome, app, verbose));
        Ok(())
    }
}

fn missed_words(missed: u64) -> String {
    format!("({missed} steps are not shown: this terminal was too slow)")
}

/// The sentence, and below it the app's own words and what to do about it. A traceback is short where it is not to be whole.
pub(super) fn explanation(outcome: &Outcome, app: Option<&AppName>, whole: bool) -> String {
    let sentence = format!("ostler: {}", plain(&outcome.to_string()));
    let shown = |text: &str| {
        let text = plain(text);
        if whole { text.into_owned() } else { brief(&text) }
    };
    let words = match outcome {
        Outcome::RolledBack { last_words, reason, .. } => {
            set_off(&last_words_text(last_words, reason, shown))
        }
        Outcome::Misconfigured { detail, .. } => set_off(&shown(detail)),
        Outcome::NotMigrated { verdict, .. } => {
            let verdict = Verdict { detail: shown(&verdict.detail), ..verdict.clone() };
            verdict::explanation(app.map_or("APP", AppName::as_str), &verdict)
        }
        _ => String::new(),
    };
    if words.is_empty() { sentence } else { format!("{sentence}\n\n{}", words.trim_end()) }
}

fn last_words_text(words: &LastWords, reason: &str, shown: impl Fn(&str) -> String) -> String {
    let traceback = shown(&words.traceback);
    let said = traceback.contains(&words.message) || reason.contains(&words.message);
    if said { traceback } else { format!("{}\n{traceback}", plain(&words.message)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::GenerationId;

    #[test]
    fn a_rollback_is_explained_with_the_workers_own_words_once() {
        let last_words = LastWords {
            message: "ModuleNotFoundError: No module named 'nope'".into(),
            traceback: "Traceback (most recent call last):\n  File \"views.py\"\nModuleNotFoundError: No module named 'nope'\n".into(),
        };
        let outcome = Outcome::RolledBack {
            reason: "2 of its workers did not boot".into(),
            last_words,
            serving: Some(GenerationId(7)),
        };
        let text = explanation(&outcome, None, false);
        assert!(text.starts_with(
            "ostler: rolled back: 2 of its workers did not boot; generation g7 goes on serving"
        ));
        assert_eq!(text.matches("ModuleNotFoundError").count(), 1);
        assert!(text.contains("\n\n    Traceback"));
    }

    #[test]
    fn a_refusal_is_one_sentence() {
        let outcome = Outcome::Refused { reason: "a rollout is under way".into() };
        assert_eq!(explanation(&outcome, None, false), "ostler: refused: a rollout is under way");
    }
}
