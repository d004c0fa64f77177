//! A change that was asked for: carried out beside the picture, and told of.

use tokio::sync::mpsc;

use crate::cli::client::Client;
use crate::cli::follow::{explanation, next};
use crate::cli::screen::one_line;
use crate::config::AppName;
use crate::control::protocol::StreamLine;
use crate::observe::words::Tone;
use crate::supervise::{AppEvent, Command, Outcome};

/// How a change went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChangeEnd {
    /// How it is to be taken.
    pub(super) tone: Tone,
    /// In one sentence.
    pub(super) words: String,
    /// All that is known, where there is more.
    pub(super) more: Option<String>,
}

/// What is heard of a change; the number is the one that it was given.
#[derive(Debug)]
pub(super) enum ChangeUpdate {
    /// A step of it.
    Step(u64, AppEvent),
    /// Its end.
    End(u64, ChangeEnd),
}

/// Asks for `change` and tells what happens, up to the end.
pub(super) async fn run(number: u64, client: Client, change: Command, heard: mpsc::Sender<ChangeUpdate>) {
    let ending = match to_the_end(number, &client, &change, &heard).await {
        Ok(outcome) => of(&outcome, change.app()),
        Err(words) => ChangeEnd { tone: Tone::Bad, words, more: None },
    };
    // Where nobody listens any more, nobody wants to know.
    let _ = heard.send(ChangeUpdate::End(number, ending)).await;
}

async fn to_the_end(
    number: u64,
    client: &Client,
    change: &Command,
    heard: &mpsc::Sender<ChangeUpdate>,
) -> Result<Outcome, String> {
    let mut feed = client.command(change).await.map_err(|error| one_line(&error.to_string()))?;
    loop {
        let text = next(&mut feed).await.map_err(|error| one_line(&error.to_string()))?;
        let Some(text) = text else {
            return Err(
                "ostlerd went away before it said how this went; it is below as soon as it is back".into()
            );
        };
        match StreamLine::parse(&text) {
            StreamLine::Event(event) => {
                let _ = heard.send(ChangeUpdate::Step(number, event)).await;
            }
            StreamLine::Outcome(outcome) => return Ok(outcome),
            StreamLine::Error(message, _) => return Err(one_line(&message)),
            StreamLine::Lagged(_) | StreamLine::Unknown(_) => {}
        }
    }
}

fn of(outcome: &Outcome, app: Option<&AppName>) -> ChangeEnd {
    if let Outcome::Done { message, .. } = outcome {
        return ChangeEnd { tone: Tone::Good, words: one_line(message), more: None };
    }
    let all = explanation(outcome, app, false);
    let all = all.strip_prefix("ostler: ").unwrap_or(&all);
    let more = all.contains("\n\n").then(|| all.to_owned());
    ChangeEnd { tone: Tone::Bad, words: one_line(all.lines().next().unwrap_or_default()), more }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::{GenerationId, LastWords};

    #[test]
    fn a_rollback_is_a_sentence_and_more_on_demand() {
        let last_words = LastWords { message: "E: no".into(), traceback: "Traceback\n  x\nE: no\n".into() };
        let outcome = Outcome::RolledBack {
            reason: "2 did not boot".into(),
            last_words,
            serving: Some(GenerationId(7)),
        };
        let ending = of(&outcome, None);
        assert_eq!(ending.tone, Tone::Bad);
        assert!(ending.words.starts_with("rolled back: 2 did not boot"), "{ending:?}");
        assert!(ending.more.is_some_and(|more| more.ends_with("\n\n    Traceback\n      x\n    E: no")));
        let refused = of(&Outcome::Refused { reason: "busy".into() }, None);
        assert_eq!((refused.words.as_str(), refused.more), ("refused: busy", None));
    }
}
