//! What the core orders about release links, done: slow, so each order is a task that reports back. No decisions.

use std::io;
use std::path::{Path, PathBuf};

use super::Shell;
use crate::config::{AppName, Config};
use crate::plan::Account;
use crate::run::files;
use crate::run::inbox::Inbound;
use crate::run::link::{Link, NotMoved, record, turner};
use crate::run::rights::as_whom;
use crate::supervise::{LinkFact, LinkOrder, LookAt, ReleaseRecord};

/// One app's link, and the file in which is written down what is known of its releases.
#[derive(Clone, Debug)]
struct AppLink {
    app: AppName,
    /// As configured; `None` if the app no longer is.
    directory: Option<PathBuf>,
    file: PathBuf,
}

impl Shell {
    /// Does what is ordered; the driver hears of it.
    pub(super) fn switch_release(&self, app: AppName, order: LinkOrder) {
        let inbox = self.outbox.inbox.clone();
        let app_link = AppLink::of(&app, &self.config, &self.state_directory);
        tokio::spawn(async move {
            let fact = app_link.done(order).await;
            let _ = inbox.send(Inbound::ReleaseLinkObserved { app, fact });
        });
    }

    /// What was found of an app's release before it is not believed any more.
    pub(in crate::run) fn link_rests(&mut self, app: &AppName) {
        self.releases.link_rests(app);
    }
}

/// Puts back every link that the machine, or an ostlerd of which nothing is left, ended on the way to a release with.
pub(in crate::run) fn put_back_all(config: &Config, state: &Path) {
    for app in config.apps.keys() {
        let app_link = AppLink::of(app, config, state);
        let mut record = record::read(&app_link.file);
        let Some(unproven) = record.unproven.clone() else { continue };
        let link = Link::from(unproven.link);
        let leads_to = link.leads_to().ok();
        if let (Some(back), Some(to)) = (record.led_before(leads_to.as_deref()), record.newest()) {
            let moved = move_link(&link, leads_to.as_deref(), back, &unproven.text);
            let (back, to) = (back.display(), to.display());
            match moved {
                LinkFact::Failed { why, .. } => {
                    let path = link.path.display();
                    tracing::error!(
                        app = app.as_str(),
                        "{app}: {path} still leads to a release that is not proven, not to {back}: {why}; it is tried again"
                    );
                    continue;
                }
                _ => tracing::warn!(
                    app = app.as_str(),
                    "{app}: everything ended while {to} was on its way in, which nobody has proven: the link leads to the \
                     release before it again"
                ),
            }
        }
        record.unproven = None;
        if let LinkFact::Failed { why, .. } = app_link.write(&record) {
            app_link.remove(&why);
        }
    }
}

impl AppLink {
    fn of(app: &AppName, config: &Config, state: &Path) -> AppLink {
        let directory = config.apps.get(app).map(|it| it.directory.clone());
        AppLink { app: app.clone(), directory, file: record::path(state, app.as_str()) }
    }

    async fn done(self, order: LinkOrder) -> LinkFact {
        let purpose = format!("link of {}", self.app);
        match order {
            LinkOrder::Read => {
                let record = Box::new(record::read(&self.file));
                let (app_link, unproven) = (self, record.unproven.clone());
                let read = move || {
                    let link = app_link.directory.as_deref().and_then(|it| Link::of(it).ok());
                    let leads_to = unproven.and_then(|it| Link::from(it.link).leads_to().ok());
                    (link.map(Into::into), leads_to)
                };
                // A link that hangs is none that can be moved.
                let (link, leads_to) = files::within(purpose, files::FEW, read).await.unwrap_or_default();
                LinkFact::Read { record, link, leads_to }
            }
            LinkOrder::Look(at) => {
                let (path, app_link) = (self.directory.clone().unwrap_or_default(), self);
                let looked = files::within(purpose, files::WHOLE, move || app_link.look(at)).await;
                let held = |held: files::Held| (path, held.to_string(), "nothing was changed".to_owned());
                looked.map_err(held).unwrap_or_else(|(path, why, remedy)| LinkFact::Failed {
                    path,
                    why,
                    remedy,
                })
            }
            LinkOrder::Write(record) => blocking(move || self.write(&record)).await,
            LinkOrder::Remove { why } => blocking(move || self.remove(&why)).await,
            LinkOrder::Move { link, from, to, text } => {
                blocking(move || move_link(&link.into(), from.as_deref(), &to, &text)).await
            }
        }
    }

    fn look(&self, at: LookAt) -> LinkFact {
        let Some(directory) = &self.directory else {
            return LinkFact::NoLink { reason: format!("{} is no longer in the configuration", self.app) };
        };
        let link = match Link::of(directory) {
            Ok(link) => link,
            Err(error) => return LinkFact::NoLink { reason: error.to_string() },
        };
        let release = match at {
            LookAt::Release(release) => release,
            LookAt::Folder(folder) => match link.release_of(&folder) {
                Some(release) => release,
                None => {
                    let reason = format!("{} is in no release of {}", folder.display(), self.app);
                    return LinkFact::NoLink { reason };
                }
            },
        };
        let looked = turner(&link.path).and_then(|whom| {
            let text = link.text()?;
            let to = as_whom(whom.as_ref(), || folder_in(&link, &release))?;
            Ok((text, to))
        });
        match looked {
            Err(error) => failed(&link.path, &error),
            Ok((_, Err(reason))) => LinkFact::NoRelease { reason },
            Ok((text, Ok(to))) => {
                LinkFact::Looked { leads_to: link.leads_to().ok(), text, to, link: link.into() }
            }
        }
    }

    fn write(&self, record: &ReleaseRecord) -> LinkFact {
        match record::write(record, &self.file) {
            Ok(()) => LinkFact::Written,
            Err(error) => failed(&self.file, &error),
        }
    }

    fn remove(&self, why: &str) -> LinkFact {
        let (app, file) = (&self.app, self.file.display());
        tracing::error!(
            app = app.as_str(),
            "{file} cannot be written: {why}; `ostler rollback {app}` will not know the release before this one"
        );
        if let Err(error) = std::fs::remove_file(&self.file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(app = app.as_str(), "{file} cannot be removed either: {error}");
        }
        LinkFact::Written
    }
}

/// Has the link lead to the folder `to`, by saying `text` if that leads there.
fn move_link(link: &Link, from: Option<&Path>, to: &Path, text: &Path) -> LinkFact {
    let turn = |whom: Option<Account>| {
        as_whom(whom.as_ref(), || {
            let release = link.release_of(to);
            let text = match link.would_lead_to(text, to) {
                true => Some(text.to_owned()),
                false => release.map(|release| link.text_for(&release)),
            };
            let text = text.ok_or_else(|| io::Error::other("that is in no release"))?;
            link.point_from(from, &text)
        })
    };
    match turner(&link.path).and_then(turn) {
        Ok(Ok(())) => LinkFact::Moved,
        Ok(Err(NotMoved::Elsewhere)) => LinkFact::Elsewhere,
        Ok(Err(NotMoved::Failed(error))) | Err(error) => failed(&link.path, &error),
    }
}

async fn blocking(what: impl FnOnce() -> LinkFact + Send + 'static) -> LinkFact {
    tokio::task::spawn_blocking(what).await.expect("what is done about links does not panic")
}

/// The folder that the app is run in, in that release; why there is none.
fn folder_in(link: &Link, release: &Path) -> Result<PathBuf, String> {
    let shown = release.display();
    let resolved = std::fs::canonicalize(release)
        .map_err(|error| format!("there is no release {shown}: {}; nothing was changed", plain(&error)))?;
    if !resolved.is_dir() {
        return Err(format!("{shown} is no folder; a release is the folder that the link is to lead to"));
    }
    let below = link.below.display();
    let directory = link.directory_in(&resolved).map_err(|error| {
        let link = link.path.display();
        format!("{shown} is no release of this app: no {below} in it, as below {link}: {}", plain(&error))
    })?;
    if !directory.is_dir() {
        return Err(format!("{shown} is no release of this app: {below} in it is no folder"));
    }
    Ok(directory)
}

fn failed(path: &Path, error: &io::Error) -> LinkFact {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "it is turned with the rights of whoever owns its folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room, and try again",
        _ => "nothing was changed",
    };
    LinkFact::Failed { path: path.to_owned(), why: plain(error), remedy: remedy.to_owned() }
}

/// The system's words without Rust's `(os error 2)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
