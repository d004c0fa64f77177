//! The play: a deployment and bad releases under load, each step checked by what a client gets.

use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

use super::daemon::{LogTarget, Ostlerd};
use super::error::DemoError;
use super::files::DemoFiles;
use super::load::{Load, RequestTally, fetch};
use super::project;
use super::project::Bad;
use crate::cli::client::Client;
use crate::cli::follow;
use crate::cli::screen::How;
use crate::cli::screen::{Colour, Screen, complain, say};
use crate::cli::table;
use crate::config::counted;
use crate::supervise::{Command, LastWords, Outcome};

/// So many requests are answered before the first change, and after each.
const STEADY: u64 = 150;
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// How often the page is looked at after a change: every worker must have had its turn.
const LOOKS: usize = 20;
const LAST_OLD_ANSWER: Duration = Duration::from_secs(5);

/// Plays it all; the number of requests, none of them lost.
pub(super) async fn play(files: &DemoFiles, json: bool) -> Result<u64, DemoError> {
    let mut ostlerd = Ostlerd::start(files, LogTarget::LogFile)?;
    let scenes = Scenes { files, client: Client::new(&files.socket()), json };
    let played = tokio::select! {
        biased;
        () = interrupted() => Err(DemoError::Interrupted),
        played = scenes.play(&mut ostlerd) => played,
    };
    let stopped = ostlerd.stop().await;
    let requests = played?;
    stopped?;
    Ok(requests)
}

struct Scenes<'a> {
    files: &'a DemoFiles,
    client: Client,
    json: bool,
}

impl Scenes<'_> {
    async fn play(&self, ostlerd: &mut Ostlerd) -> Result<u64, DemoError> {
        ostlerd.until_serving(&self.client).await?;
        self.title(&format!("ostlerd runs a small Django shop at {}", self.files.url()))?;
        self.page_says(project::FIRST).await?;
        self.show_status().await?;

        let load = Load::start(self.files.address());
        self.steady(&load).await?;
        self.deploy_a_new_release().await?;
        self.steady(&load).await?;
        for bad in project::bad() {
            self.deploy_a_bad_release(bad).await?;
            self.steady(&load).await?;
        }
        self.page_says(project::SECOND).await?;
        none_lost(load.stop())
    }

    async fn deploy_a_new_release(&self) -> Result<(), DemoError> {
        self.title("a new release with a migration, under load: ostler restart shop")?;
        self.files.deploy(&project::second())?;
        match self.restart().await? {
            Outcome::Done { .. } => {
                self.is_migrated().await?;
                self.page_says(project::SECOND).await
            }
            other => Err(DemoError::Play(format!("the deployment did not succeed: {other}"))),
        }
    }

    async fn deploy_a_bad_release(&self, bad: Bad) -> Result<(), DemoError> {
        self.title(&format!("{}, under load: ostler restart shop", bad.what))?;
        self.files.deploy(&bad.release)?;
        let outcome = self.restart().await;
        self.files.deploy(&project::second())?;
        match outcome? {
            Outcome::RolledBack { last_words, serving: Some(_), .. } if says(&last_words, bad.names) => {}
            Outcome::RolledBack { last_words, .. } => {
                return Err(DemoError::Play(format!("the rollback does not say why: {last_words:?}")));
            }
            other => return Err(DemoError::Play(format!("{} was not rolled back: {other}", bad.what))),
        }
        self.title("it failed with its traceback, and clients still get the release before it")?;
        self.page_says(project::SECOND).await
    }

    /// The migration of the new release was applied before its first worker started.
    async fn is_migrated(&self) -> Result<(), DemoError> {
        let (status, _) = self.client.status().await?;
        let last = status.apps.into_iter().find_map(|app| app.last_migration);
        match last.map(|last| last.verdict) {
            Some(verdict) if verdict.applied.iter().any(|name| name == project::MIGRATION) => {
                self.tell(&format!("applied {}", project::MIGRATION))
            }
            // An ostlerd that runs no migrations is no reason to fail: the page does not need the column.
            None => self.tell("no migration was run"),
            other => Err(DemoError::Play(format!("{} was not applied: {other:?}", project::MIGRATION))),
        }
    }

    async fn restart(&self) -> Result<Outcome, DemoError> {
        let shop = "shop".parse().expect("it is an app's name");
        let followed =
            follow::outcome(&self.client, &Command::restart(shop), How { json: self.json, verbose: false })
                .await?;
        followed.ok_or(DemoError::Interrupted)
    }

    /// A number of clients in a row get the page with this text; none of them is lost.
    async fn page_says(&self, text: &str) -> Result<(), DemoError> {
        let (begun, mut in_a_row) = (Instant::now(), 0);
        while in_a_row < LOOKS {
            let page = fetch(self.files.address(), "/")
                .map_err(|loss| DemoError::Play(format!("a look at the page was lost: {loss}")))?;
            if page.contains(text) {
                in_a_row += 1;
            } else if begun.elapsed() < LAST_OLD_ANSWER {
                // An old worker answers what it had accepted before it was told to drain.
                in_a_row = 0;
                tokio::time::sleep(LOOK).await;
            } else {
                return Err(DemoError::Play(format!("the page does not say {text:?}:\n{page}")));
            }
        }
        self.tell(&format!("the page says {text:?}"))
    }

    async fn show_status(&self) -> Result<(), DemoError> {
        let (status, text) = self.client.status().await?;
        if self.json {
            say(&text)?;
        } else {
            say(&format!("\n{}", table::render(&status, Screen::stdout(), false)))?;
        }
        Ok(())
    }

    /// Until the load has had a number of answers more.
    async fn steady(&self, load: &Load) -> Result<(), DemoError> {
        let (begun, goal) = (Instant::now(), load.sent() + STEADY);
        while load.sent() < goal {
            if begun.elapsed() > PATIENCE {
                return Err(DemoError::Play(format!("{STEADY} requests took longer than {PATIENCE:?}")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn title(&self, text: &str) -> Result<(), DemoError> {
        self.tell(&format!("\n{}", Screen::stdout().paint(Colour::Bold, &format!("== {text}"))))
    }

    fn tell(&self, text: &str) -> Result<(), DemoError> {
        if self.json {
            complain(text);
            return Ok(());
        }
        say(text)?;
        Ok(())
    }
}

fn says(words: &LastWords, name: &str) -> bool {
    words.traceback.contains("Traceback") && words.traceback.contains(name)
}

fn none_lost(tally: RequestTally) -> Result<u64, DemoError> {
    if tally.lost == 0 {
        return Ok(tally.requests);
    }
    let losses: Vec<String> = tally.losses.iter().map(ToString::to_string).collect();
    let (lost, requests) = (tally.lost, tally.requests);
    Err(DemoError::Play(format!("{lost} of {} lost: {}", counted(requests, "request"), losses.join(", "))))
}

/// Ctrl-C or SIGTERM.
pub(super) async fn interrupted() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
        }
        // Without handlers the default action ends the process.
        Err(_) => std::future::pending().await,
    }
}
