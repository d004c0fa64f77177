//! Whether releases have changed since what serves was made from them: looked at when somebody asks for the status.
//!
//! What a look found is believed of the generation that it looked at, and of no other; of an app whose link ostlerd itself
//! moves, nothing is believed that was seen before the link rested. So what serves is never said to be on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::inbox::Inbound;
use super::{files, release_files};
use crate::config::AppName;
use crate::observe::ReleaseChange;
use crate::plan::{Blueprint, Fingerprint};

/// A look reads every directory of every release: not more often than this.
const SELDOM: Duration = Duration::from_secs(10);

/// A release that takes longer is taken for one that hangs: nobody who asks for the status waits so long.
const HANGS: Duration = Duration::from_secs(20);

/// So many are looked at side by side: one that hangs does not keep the others waiting.
const AT_ONCE: usize = 4;

/// What is looked at: the directory as it is configured, and what serves from it.
pub type ServedRelease = (PathBuf, Arc<Blueprint>);

/// What was found, and for which blueprint.
pub type ReleaseChanges = BTreeMap<AppName, (Arc<Blueprint>, ReleaseChange)>;

/// The last look, and who waits for the next.
#[derive(Debug, Default)]
pub struct Releases {
    found: ReleaseChanges,
    looked: Option<Instant>,
    under_way: bool,
    /// Apps whose link has moved since the look that is under way began.
    overtaken: BTreeSet<AppName>,
    /// Apps whose link is being moved.
    moving: BTreeSet<AppName>,
    waiting: Vec<oneshot::Sender<()>>,
    done: Vec<oneshot::Sender<()>>,
}

impl Releases {
    /// Somebody wants to know of what serves now; whether it takes a look.
    pub fn asked(&mut self, served: &[ServedRelease], answer: oneshot::Sender<()>) -> bool {
        let is_known = served.iter().all(|(_, blueprint)| self.found_of(blueprint).is_some());
        let fresh = is_known && self.looked.is_some_and(|looked| looked.elapsed() < SELDOM);
        match fresh && !self.under_way {
            true => self.done.push(answer),
            false => self.waiting.push(answer),
        }
        let begin = !fresh && !self.under_way;
        self.under_way |= begin;
        begin
    }

    /// Looks at each release.
    pub fn look(served: Vec<ServedRelease>, inbox: tokio::sync::mpsc::UnboundedSender<Inbound>) {
        let look = |(written, blueprint): ServedRelease| async move {
            let (purpose, of) = (format!("release of {}", blueprint.app), blueprint.clone());
            let look = move || change(&written, &of.directory, of.release);
            let change = files::within(purpose, HANGS, look).await.unwrap_or_else(|held| {
                let app = blueprint.app.as_str();
                tracing::warn!(app, "{app}: nothing is known of its release: {held}");
                ReleaseChange::default()
            });
            (blueprint.app.clone(), (blueprint, change))
        };
        tokio::spawn(async move {
            let (mut left, mut looks, mut found) =
                (served.into_iter(), JoinSet::new(), ReleaseChanges::new());
            loop {
                while looks.len() < AT_ONCE
                    && let Some(next) = left.next()
                {
                    looks.spawn(look(next));
                }
                match looks.join_next().await {
                    Some(Ok((app, change))) => found.insert(app, change),
                    Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                    None => break,
                };
            }
            let _ = inbox.send(Inbound::ReleasesLooked { found });
        });
    }

    /// A look has ended.
    pub fn looked(&mut self, found: ReleaseChanges) {
        self.found = found;
        for app in std::mem::take(&mut self.overtaken) {
            self.found.remove(&app);
        }
        self.looked = Some(Instant::now());
        self.under_way = false;
        self.done.append(&mut self.waiting);
    }

    /// The app's link is about to be moved.
    pub fn link_moves(&mut self, app: &AppName) {
        self.moving.insert(app.clone());
        self.forget(app);
    }

    /// The app's link rests.
    pub fn link_rests(&mut self, app: &AppName) {
        self.moving.remove(app);
        self.forget(app);
    }

    fn forget(&mut self, app: &AppName) {
        self.found.remove(app);
        if self.under_way {
            self.overtaken.insert(app.clone());
        }
    }

    /// What was found is in the picture now.
    pub fn published(&mut self) {
        for asked in self.done.drain(..) {
            // Whoever asked may have gone.
            let _ = asked.send(());
        }
    }

    /// How the release of what serves has changed, as far as is known.
    pub fn of(&self, serving: &Arc<Blueprint>) -> ReleaseChange {
        let rests = !self.moving.contains(&serving.app);
        self.found_of(serving).filter(|_| rests).cloned().unwrap_or_default()
    }

    fn found_of(&self, serving: &Arc<Blueprint>) -> Option<&ReleaseChange> {
        let found = self.found.get(&serving.app).filter(|(blueprint, _)| Arc::ptr_eq(blueprint, serving));
        found.map(|(_, change)| change)
    }
}

/// Looks whether the release of a generation is still what it was made from. Reads many directories: not for the loop.
fn change(written: &Path, directory: &Path, release: Fingerprint) -> ReleaseChange {
    files::at(written);
    match std::fs::canonicalize(written) {
        Ok(now) if now != directory => ReleaseChange::Moved(now),
        Ok(_) if release_files::fingerprint(directory) != release => ReleaseChange::Changed,
        _ => ReleaseChange::AsItWas,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    /// What serves: a folder, and a blueprint made from it.
    fn served(folder: &str) -> ServedRelease {
        let blueprint =
            Blueprint { directory: folder.into(), ..Blueprint::clone(&plan::sample("").blueprint) };
        (PathBuf::from("/srv/shop/current"), Arc::new(blueprint))
    }

    fn moved(to: &str, (_, blueprint): &ServedRelease) -> ReleaseChanges {
        ReleaseChanges::from([(
            blueprint.app.clone(),
            (blueprint.clone(), ReleaseChange::Moved(PathBuf::from(to))),
        )])
    }

    fn begin(releases: &mut Releases, served: &ServedRelease) -> bool {
        releases.asked(std::slice::from_ref(served), oneshot::channel().0)
    }

    #[test]
    fn what_was_found_of_one_generation_is_not_said_of_the_next() {
        let (old, new) = (served("/srv/shop/releases/1"), served("/srv/shop/releases/2"));
        let mut releases = Releases::default();
        assert!(begin(&mut releases, &old));
        releases.looked(moved("/srv/shop/releases/2", &old));
        assert_eq!(releases.of(&old.1), ReleaseChange::Moved("/srv/shop/releases/2".into()));
        assert!(!begin(&mut releases, &old), "it was looked at just now");
        assert_eq!(releases.of(&new.1), ReleaseChange::AsItWas);
        assert!(begin(&mut releases, &new), "nothing is known of it");
    }

    #[test]
    fn what_was_seen_while_the_link_moved_is_not_believed() {
        let (served, app) = (served("/srv/shop/releases/1"), "shop".parse().expect("a name"));
        let mut releases = Releases::default();
        // Seen while the link led to a release that was put back again.
        releases.link_moves(&app);
        assert!(begin(&mut releases, &served));
        releases.link_rests(&app);
        releases.link_moves(&app);
        releases.link_rests(&app);
        releases.looked(moved("/srv/shop/releases/2", &served));
        assert_eq!(releases.of(&served.1), ReleaseChange::AsItWas);
        // Seen before, and said after.
        assert!(begin(&mut releases, &served));
        releases.looked(moved("/srv/shop/releases/2", &served));
        releases.link_moves(&app);
        assert_eq!(releases.of(&served.1), ReleaseChange::AsItWas);
        releases.link_rests(&app);
        assert_eq!(releases.of(&served.1), ReleaseChange::AsItWas);
        assert!(begin(&mut releases, &served), "it is looked at anew");
        releases.looked(moved("/srv/shop/releases/3", &served));
        assert_eq!(releases.of(&served.1), ReleaseChange::Moved("/srv/shop/releases/3".into()));
    }
}
