//! What the core orders about links, done: slow, so each order is a task that reports back.

use std::io;
use std::path::{Path, PathBuf};

use super::Shell;
use crate::config::{AppName, Config};
use crate::observe::AppFacts;
use crate::plan::Account;
use crate::run::inbox::Inbound;
use crate::run::link::record::{Record, Unproven};
use crate::run::link::{Link, turner};
use crate::run::rights::as_whom;
use crate::supervise::{LinkFact, LinkOrder, Outcome, Target};

/// One app's link, and what is written down of it.
#[derive(Debug)]
struct Place {
    app: AppName,
    /// As configured; `None` where the app no longer is.
    directory: Option<PathBuf>,
    file: PathBuf,
}

impl Shell {
    /// Does what is ordered; the driver hears of it.
    pub(super) fn move_link(&self, app: AppName, order: LinkOrder) {
        let inbox = self.outbox.inbox.clone();
        let place = Place::of(&app, &self.config, &self.state_directory);
        tokio::task::spawn_blocking(move || {
            let fact = place.done(order);
            let before = Record::read(&place.file).before;
            let _ = inbox.send(Inbound::LinkMoved { app, fact, before });
        });
    }

    pub(super) fn with_before(&self, (app, facts): (AppName, AppFacts)) -> (AppName, AppFacts) {
        let before = self.before.get(&app).cloned();
        (app, AppFacts { before, ..facts })
    }

    /// The release that ran before what serves, for who looks.
    pub fn link_moved(&mut self, app: &AppName, before: Option<PathBuf>) {
        self.releases.link_rests(app);
        match before {
            Some(before) => drop(self.before.insert(app.clone(), before)),
            None => drop(self.before.remove(app)),
        }
    }
}

/// Puts back every link that the machine, or an ostlerd of which nothing is left, ended on the way to a release with.
pub(in crate::run) fn put_back_all(config: &Config, state: &Path) {
    for app in config.apps.keys() {
        let place = Place::of(app, config, state);
        let Some(Unproven { to, .. }) = Record::read(&place.file).unproven else { continue };
        let to = to.display();
        match place.done(LinkOrder::PutBack(None)) {
            LinkFact::Stuck { reason } => tracing::error!(app = app.as_str(), "{app}: {reason}"),
            _ => tracing::warn!(
                app = app.as_str(),
                "{app}: everything ended while {to} was on its way in, which nobody has proven: the link leads to the \
                 release before it again"
            ),
        }
    }
}

/// A link that can be turned, and by whom.
struct Turning {
    link: Link,
    whom: Option<Account>,
}

impl Turning {
    fn of(link: Link) -> io::Result<Turning> {
        let whom = turner(&link.path)?;
        Ok(Turning { link, whom })
    }

    /// With the rights of whoever turns it.
    fn with<T: Send>(&self, what: impl FnOnce(&Link) -> T + Send) -> io::Result<T> {
        as_whom(self.whom.as_ref(), || what(&self.link))
    }

    fn point(&self, text: &Path) -> io::Result<()> {
        self.with(|link| link.point(text)).and_then(|done| done)
    }
}

impl Place {
    fn of(app: &AppName, config: &Config, state: &Path) -> Place {
        let directory = config.apps.get(app).map(|it| it.directory.clone());
        Place { app: app.clone(), directory, file: Record::path(state, app.as_str()) }
    }

    fn done(&self, order: LinkOrder) -> LinkFact {
        match order {
            LinkOrder::Turn(target) => {
                self.turn(target).unwrap_or_else(|outcome| LinkFact::NotTurned { outcome })
            }
            LinkOrder::PutBack(to) => self.put_back(to).unwrap_or_else(|reason| LinkFact::Stuck { reason }),
            LinkOrder::Keep(directory) => {
                self.keep(&directory);
                LinkFact::Settled
            }
        }
    }

    fn turn(&self, target: Target) -> Result<LinkFact, Outcome> {
        let app = &self.app;
        let Some(directory) = &self.directory else {
            return Err(misconfigured(format!("{app} is no longer in the configuration")));
        };
        let link = Link::of(directory).map_err(|error| misconfigured(error.to_string()))?;
        let turning = Turning::of(link.clone()).map_err(|error| refused(&link.path, &error))?;
        let mut record = Record::read(&self.file);
        let back = target == Target::Before;
        let release = match target {
            Target::Release(release) => release,
            Target::Before => self.before(&record, &turning.link)?,
            Target::Serving(directory) => turning
                .link
                .release_of(&directory)
                .ok_or_else(|| misconfigured(format!("{} is in no release of {app}", directory.display())))?,
        };
        let look = |link: &Link| look(link, &release);
        let (text, to) = turning.with(look).map_err(|error| refused(&turning.link.path, &error))??;
        let path = &turning.link.path;
        let from = match turning.link.leads_to() {
            Ok(from) if from == to => {
                let is_unproven = record.unproven.is_some_and(|it| it.to == to);
                return Ok(if is_unproven { LinkFact::Turned { to } } else { LinkFact::There });
            }
            Ok(from) => from,
            // It leads nowhere: there is no way back but to what serves.
            Err(_) => record.serving.clone().unwrap_or_else(|| to.clone()),
        };
        let old = turning.link.text().map_err(|error| refused(path, &error))?;
        let (from, old) = match record.unproven.take() {
            Some(earlier) => (earlier.from, earlier.text),
            None => (from, old),
        };
        let link = link.clone();
        record.serving.get_or_insert_with(|| from.clone());
        record.unproven = Some(Unproven { link, to: to.clone(), from, text: old, back });
        record.write(&self.file).map_err(|error| refused(&self.file, &error))?;
        turning.point(&text).map_err(|error| {
            record.unproven = None;
            // What is left says that a link is not proven which leads elsewhere: nothing follows from that.
            let _ = record.write(&self.file);
            refused(path, &error)
        })?;
        Ok(LinkFact::Turned { to })
    }

    fn before(&self, record: &Record, link: &Link) -> Result<PathBuf, Outcome> {
        let app = &self.app;
        let name = format!("name one: `ostler restart {app} --release DIR`");
        let Some(before) = &record.before else {
            let why = match &record.left {
                Some(left) => {
                    let left = left.display();
                    format!(
                        "{app} was rolled back from {left} already, and nothing is known of a release before; {name}"
                    )
                }
                None => format!("no release of {app} is known that ran before this one; {name}"),
            };
            return Err(Outcome::Invalid { reason: why });
        };
        let gone = || {
            let reason = format!("the release that ran before, {}, is gone; {name}", before.display());
            Outcome::Invalid { reason }
        };
        link.release_of(before).filter(|it| it.is_dir()).ok_or_else(gone)
    }

    /// Err is why it is not put back, and what to do.
    fn put_back(&self, to: Option<PathBuf>) -> Result<LinkFact, String> {
        let mut record = Record::read(&self.file);
        let Some(unproven) = record.unproven.take() else { return Ok(LinkFact::Settled) };
        // One that somebody has moved or removed meanwhile is theirs.
        let ours = |to: PathBuf| to == unproven.to;
        let is_ours = unproven.link.path.is_symlink() && unproven.link.leads_to().map_or(true, ours);
        let Ok(turning) = Turning::of(unproven.link.clone()) else { return self.forget(record) };
        if !is_ours {
            return self.forget(record);
        }
        let to = to.unwrap_or_else(|| unproven.from.clone());
        let text = turning.with(|link| match link.would_lead_to(&unproven.text, &to) {
            true => Some(unproven.text.clone()),
            false => link.release_of(&to).map(|release| link.text_for(&release)),
        });
        let path = turning.link.path.display();
        let stuck = |why: String| {
            let to = to.display();
            format!(
                "{path} still leads to a release that is not proven, not to {to}: {why}; it is tried again"
            )
        };
        let text = text.map_err(|error| stuck(plain(&error)))?;
        let text = text.ok_or_else(|| stuck("that is in no release".to_owned()))?;
        turning.point(&text).map_err(|error| stuck(plain(&error)))?;
        self.forget(record)
    }

    fn forget(&self, record: Record) -> Result<LinkFact, String> {
        self.written(&record);
        Ok(LinkFact::Settled)
    }

    fn keep(&self, directory: &Path) {
        let is_linked = self.directory.as_ref().is_some_and(|it| Link::of(it).is_ok());
        let mut record = Record::read(&self.file);
        if !is_linked && record == Record::default() {
            // Nobody will ask.
            return;
        }
        let before = record.clone();
        record.keep(directory);
        if record != before {
            self.written(&record);
        }
    }

    /// Where it cannot be written it must not go on to say that the link is not proven.
    fn written(&self, record: &Record) {
        let Err(error) = record.write(&self.file) else { return };
        let file = self.file.display();
        tracing::error!(
            app = self.app.as_str(),
            "{file} cannot be written: {error}; `ostler rollback {}` will not know the release before this one",
            self.app
        );
        if let Err(error) = std::fs::remove_file(&self.file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(app = self.app.as_str(), "{file} cannot be removed either: {error}");
        }
    }
}

/// What the link has to say for that release, and the folder that the app is then run in.
fn look(link: &Link, release: &Path) -> Result<(PathBuf, PathBuf), Outcome> {
    let shown = release.display();
    let invalid = |reason: String| Outcome::Invalid { reason };
    let resolved = std::fs::canonicalize(release).map_err(|error| {
        invalid(format!("there is no release {shown}: {}; nothing was changed", plain(&error)))
    })?;
    if !resolved.is_dir() {
        return Err(invalid(format!(
            "{shown} is no folder; a release is the folder that the link is to lead to"
        )));
    }
    let below = link.below.display();
    let directory = link.directory_in(&resolved).map_err(|error| {
        let link = link.path.display();
        invalid(format!(
            "{shown} is no release of this app: no {below} in it, as below {link}: {}",
            plain(&error)
        ))
    })?;
    if !directory.is_dir() {
        return Err(invalid(format!("{shown} is no release of this app: {below} in it is no folder")));
    }
    Ok((link.text_for(&resolved), directory))
}

fn misconfigured(reason: String) -> Outcome {
    Outcome::Misconfigured { reason, detail: String::new() }
}

fn refused(path: &Path, error: &io::Error) -> Outcome {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "it is turned with the rights of whoever owns its folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room, and try again",
        _ => "nothing was changed",
    };
    let reason = format!("{} cannot be replaced: {}; {remedy}", path.display(), plain(error));
    Outcome::Refused { reason }
}

/// The system's words without Rust's `(os error 2)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
