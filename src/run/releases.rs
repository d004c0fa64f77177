//! Whether releases have changed since what serves was made from them: looked at when somebody asks for the status.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::driver::Inbound;
use super::known;
use crate::config::AppName;
use crate::observe::Release;
use crate::plan::Blueprint;

/// A look reads every directory of every release: not more often than this.
const SELDOM: Duration = Duration::from_secs(10);

/// What was found, and for which blueprint.
pub type Found = BTreeMap<AppName, (Arc<Blueprint>, Release)>;

/// The last look, and who waits for the next.
#[derive(Debug, Default)]
pub struct Releases {
    found: Found,
    looked: Option<Instant>,
    under_way: bool,
    waiting: Vec<oneshot::Sender<()>>,
    done: Vec<oneshot::Sender<()>>,
}

impl Releases {
    /// Somebody wants to know; whether it takes a look.
    pub fn asked(&mut self, answer: oneshot::Sender<()>) -> bool {
        let fresh = self.looked.is_some_and(|looked| looked.elapsed() < SELDOM);
        match fresh && !self.under_way {
            true => self.done.push(answer),
            false => self.waiting.push(answer),
        }
        let begin = !fresh && !self.under_way;
        self.under_way |= begin;
        begin
    }

    /// Looks at each release: its directory as configured, and what serves from it.
    pub fn look(apps: Vec<(PathBuf, Arc<Blueprint>)>, inbox: tokio::sync::mpsc::UnboundedSender<Inbound>) {
        tokio::task::spawn_blocking(move || {
            let look = |(written, blueprint): (PathBuf, Arc<Blueprint>)| {
                let change = known::release_change(&written, &blueprint.directory, blueprint.release);
                (blueprint.app.clone(), (blueprint, change))
            };
            let _ = inbox.send(Inbound::ReleasesLooked { found: apps.into_iter().map(look).collect() });
        });
    }

    /// A look has ended.
    pub fn looked(&mut self, found: Found) {
        self.found = found;
        self.looked = Some(Instant::now());
        self.under_way = false;
        self.done.append(&mut self.waiting);
    }

    /// What was found is in the picture now.
    pub fn published(&mut self) {
        for asked in self.done.drain(..) {
            // Whoever asked may have gone.
            let _ = asked.send(());
        }
    }

    /// How the release of what serves has changed, as far as is known.
    pub fn of(&self, serving: &Arc<Blueprint>) -> Release {
        let found = self.found.get(&serving.app).filter(|(blueprint, _)| Arc::ptr_eq(blueprint, serving));
        found.map(|(_, change)| change.clone()).unwrap_or_default()
    }
}
