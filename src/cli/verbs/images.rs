//! `ostler images`: what there is, `pull`, `prune`; and the first half of `ostler restart APP --image REF`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::{self, SigHandler, Signal};
use nix::unistd::geteuid;
use tokio::signal::unix::{SignalKind, signal as unix_signal};

use crate::cli::arguments::Common;
use crate::cli::client::Client;
use crate::cli::config_file;
use crate::cli::error::VerbError;
use crate::cli::images::{
    Images, ImagesVerb, InUse, Listed, Place, Step, Steps, become_user, list, prune, pull, table,
};
use crate::cli::screen::{Screen, say};
use crate::cli::served;
use crate::config::Reference;
use crate::control::protocol::{exit, no_such_app};
use crate::plan::{self, ServedApp};

/// Does what is asked for.
pub(super) async fn run(client: &Client, arguments: Images, common: &Common) -> Result<u8, VerbError> {
    let Images { app, verb, config } = arguments;
    let apps = Apps { client, common, config };
    match verb {
        None => apps.list(app.as_deref()).await,
        Some(ImagesVerb::Pull { app, reference }) => apps.pull(&app, &reference).await,
        Some(ImagesVerb::Prune { app }) => apps.prune(app.as_deref()).await,
    }
}

/// Pulls the image that an app is to be restarted with; its folder, or the exit status of who was interrupted. From then on
/// this command is the app's user.
pub(super) async fn before_restart(
    client: &Client,
    app: &str,
    reference: &Reference,
    common: &Common,
) -> Result<PathBuf, VerbError> {
    let apps = Apps { client, common, config: None };
    let (release, _) = apps.pulled(app, reference).await?;
    // The rollout is ostlerd's: what ends this command ends nothing of it.
    for ends in [Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: it is no handler that is put in place.
        unsafe { signal::signal(ends, SigHandler::SigDfl) }.map_err(std::io::Error::from)?;
    }
    Ok(release)
}

struct Apps<'a> {
    client: &'a Client,
    common: &'a Common,
    config: Option<PathBuf>,
}

impl Apps<'_> {
    async fn all(&self) -> Result<Vec<ServedApp>, VerbError> {
        let served = match &self.config {
            Some(file) => {
                let config =
                    config_file::load(file).map_err(|why| VerbError::said(exit::CONFIGURATION, why))?;
                plan::served(&config, &config.health, &BTreeMap::new())
            }
            None => served::ask(self.client).await?,
        };
        Ok(served.apps)
    }

    async fn one(&self, name: &str) -> Result<ServedApp, VerbError> {
        let all = self.all().await?;
        match all.iter().find(|app| app.name.as_str() == name) {
            Some(app) => Ok(app.clone()),
            None => Err(VerbError::said(exit::USAGE, no_such_app(name, all.iter().map(|app| &app.name)))),
        }
    }

    /// What ostlerd says is in use; `None` where it cannot be asked.
    async fn used(&self) -> Result<InUse, VerbError> {
        Ok(InUse::of(&self.client.glance().await?))
    }

    async fn pulled(&self, app: &str, reference: &Reference) -> Result<(PathBuf, Place), VerbError> {
        let app = self.one(app).await?;
        let person = become_user(&app)?;
        let place = Place::of(&app.directory)?.sharing(!app.image_writable);
        let used = self.used().await.ok();
        let steps = Steps::new(self.common.how);
        let release = tokio::select! {
            biased;
            signalled = interrupted() => return Err(signalled?),
            pulled = pull(reference, &place, &person, used.as_ref(), &steps) => pulled?,
        };
        Ok((release, place))
    }

    async fn pull(&self, app: &str, reference: &Reference) -> Result<u8, VerbError> {
        let (release, place) = self.pulled(app, reference).await?;
        if place.begin_with(&release)? {
            Steps::new(self.common.how).tell(&Step::Linked { link: place.link(), release: &release })?;
        }
        if !self.common.how.json {
            say(&release.display().to_string())?;
        }
        Ok(0)
    }

    async fn prune(&self, app: Option<&str>) -> Result<u8, VerbError> {
        let Some(name) = app else {
            for app in self.mine().await? {
                self.by_itself(&["prune", app.name.as_str()], self.common.how.json, Stdio::inherit())?;
            }
            return Ok(0);
        };
        let app = self.one(name).await?;
        // Without it nobody knows what runs.
        let used = self.used().await?;
        become_user(&app)?;
        let place = Place::of(&app.directory)?;
        if place.releases.is_dir() {
            prune(&place, &used, &Steps::new(self.common.how))?;
        }
        Ok(0)
    }

    async fn list(&self, app: Option<&str>) -> Result<u8, VerbError> {
        let listed = match app {
            Some(name) => {
                let app = self.one(name).await?;
                let used = self.used().await.unwrap_or_default();
                become_user(&app)?;
                vec![list(&app.name, &Place::of(&app.directory)?, &used)?]
            }
            None => self.listed_one_by_one().await?,
        };
        match self.common.how.json {
            true => say(&serde_json::json!({ "apps": listed }).to_string())?,
            false => say(&table(&listed, Screen::stdout()))?,
        }
        Ok(0)
    }

    /// Each with the rights of its own user, which one process can take once.
    async fn listed_one_by_one(&self) -> Result<Vec<Listed>, VerbError> {
        #[derive(serde::Deserialize)]
        struct Answer {
            apps: Vec<Listed>,
        }
        let mut listed = Vec::new();
        for app in self.mine().await? {
            let said = self.by_itself(&[app.name.as_str()], true, Stdio::piped())?;
            let answer: Answer = serde_json::from_slice(&said).map_err(|error| {
                VerbError::said(exit::FAILED, format!("the images of {} cannot be listed: {error}", app.name))
            })?;
            listed.extend(answer.apps);
        }
        Ok(listed)
    }

    /// The apps with releases that the caller may look into.
    async fn mine(&self) -> Result<Vec<ServedApp>, VerbError> {
        let (caller, apps) = (geteuid(), self.all().await?);
        let uid = |name: &str| nix::unistd::User::from_name(name).ok().flatten().map(|user| user.uid);
        let may = |app: &ServedApp| {
            caller.is_root() || app.user.as_deref().is_none_or(|name| uid(name) == Some(caller))
        };
        let mine: Vec<ServedApp> = apps.iter().filter(|app| may(app)).cloned().collect();
        if mine.is_empty() && !apps.is_empty() {
            let why =
                "the images of each app belong to its user: become that user or root, for example by `sudo`";
            return Err(VerbError::said(exit::NOT_ALLOWED, why));
        }
        Ok(mine.into_iter().filter(|app| Place::of(&app.directory).is_ok()).collect())
    }

    /// This command once more, for one app.
    fn by_itself(&self, words: &[&str], json: bool, out: Stdio) -> Result<Vec<u8>, VerbError> {
        let mut command = Command::new("/proc/self/exe");
        command.arg("--socket").arg(&self.common.socket).arg("images").args(words);
        if json {
            command.arg("--json");
        }
        if let Some(file) = &self.config {
            command.arg("--config").arg(file);
        }
        let child = command.stdin(Stdio::null()).stdout(out).spawn();
        let ended = child.and_then(std::process::Child::wait_with_output)?;
        match ended.status.code() {
            Some(0) => Ok(ended.stdout),
            code => {
                let status = code.and_then(|it| u8::try_from(it).ok()).unwrap_or(exit::FAILED);
                Err(VerbError::said(status, "the other apps were not looked at"))
            }
        }
    }
}

/// The error of who is interrupted, or whose connection is lost.
async fn interrupted() -> Result<VerbError, VerbError> {
    let mut terminated = unix_signal(SignalKind::terminate())?;
    let mut hung_up = unix_signal(SignalKind::hangup())?;
    let status = tokio::select! {
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            exit::INTERRUPTED
        }
        _ = terminated.recv() => 128 + Signal::SIGTERM as u8,
        _ = hung_up.recv() => 128 + Signal::SIGHUP as u8,
    };
    Ok(VerbError::said(status, "interrupted; nothing of the image was kept, and nothing has changed"))
}
