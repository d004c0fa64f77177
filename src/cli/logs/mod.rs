//! `ostler logs APP`: what the app's processes have written, from where it is kept.

use std::path::Path;
use std::time::Duration;

use super::client::{Client, ClientError};
use super::config_file;
use super::error::{VerbError, app_name};
use crate::config::AppName;
use crate::control::protocol::{exit, no_such_app};
use crate::observe::{Output, Status};

mod arguments;
mod file;
mod journal;
mod program;

pub(super) use arguments::Logs;

/// ostlerd is only asked where to look; one that hangs must not keep anybody from the logs.
const PATIENCE: Duration = Duration::from_secs(3);

/// There is a systemd here.
const BOOTED: &str = "/run/systemd/system";

/// Shows it; the exit status is 0 also if nothing has been written yet.
pub(super) async fn run(client: &Client, wanted: &Logs, json: bool) -> Result<u8, VerbError> {
    let app = app_name(&wanted.app)?;
    let (output, status) = match &wanted.config {
        Some(file) => (from_files(&app, file)?, None),
        None => match ask(client).await {
            Ok(status) => (from_ostlerd(&app, &status)?, Some(status)),
            // Who may not ask may still read the files.
            Err(ClientError::Refused { message, exit }) => {
                let refused = |_| VerbError::said(exit, message);
                (from_files(&app, Path::new(config_file::MAIN)).map_err(refused)?, None)
            }
            Err(_) => (from_files(&app, Path::new(config_file::MAIN))?, None),
        },
    };
    match output {
        Output::Journal => journal::show(&app, wanted, status.as_ref(), json).await,
        Output::File(path) => file::show(&app, &path, wanted, json).await,
        Output::Stderr => Err(VerbError::said(exit::FAILED, on_stderr(&app, status.as_ref()))),
    }
}

async fn ask(client: &Client) -> Result<Status, ClientError> {
    match tokio::time::timeout(PATIENCE, client.glance()).await {
        Ok(status) => status,
        Err(_) => Err(client.silent(PATIENCE)),
    }
}

/// As ostlerd says; of an app that it could never prepare, as its files say.
fn from_ostlerd(app: &AppName, status: &Status) -> Result<Output, VerbError> {
    match status.apps.iter().find(|it| it.name == *app) {
        Some(known) => {
            known.output.clone().map_or_else(|| from_files(app, Path::new(&status.config.file)), Ok)
        }
        None => {
            let why = no_such_app(app.as_str(), status.apps.iter().map(|it| &it.name));
            Err(VerbError::said(exit::USAGE, why))
        }
    }
}

/// As the files say, without ostlerd.
fn from_files(app: &AppName, file: &Path) -> Result<Output, VerbError> {
    let config = config_file::load(file).map_err(|why| VerbError::said(exit::CONFIGURATION, why))?;
    let Some(known) = config.apps.get(app) else {
        let why = no_such_app(app.as_str(), config.apps.keys());
        return Err(VerbError::said(exit::USAGE, why));
    };
    Ok(match &known.log_file {
        Some(path) => Output::File(path.clone()),
        None if Path::new(BOOTED).is_dir() => Output::Journal,
        None => Output::Stderr,
    })
}

fn on_stderr(app: &AppName, status: Option<&Status>) -> String {
    let whose = status.map_or_else(String::new, |status| format!(" (pid {})", status.pid));
    format!(
        "{app} has no `log_file`, and ostlerd{whose} does not write to the journal: what {app} prints is on ostlerd's \
         standard error, in the terminal or the file that ostlerd was started with; to keep it for this command, set \
         `log_file` in the app's file"
    )
}
