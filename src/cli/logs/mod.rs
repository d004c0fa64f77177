//! `ostler logs APP`: what the app's processes have written, from where it is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::client::{Client, ClientError};
use super::config_file;
use super::error::{VerbError, app_name};
use crate::config::AppName;
use crate::control::protocol::{exit, no_such_app};
use crate::observe::{Output, Status};

mod file;
mod journal;
mod program;

/// ostlerd is only asked where to look; one that hangs must not keep anybody from the logs.
const PATIENCE: Duration = Duration::from_secs(3);

/// There is a systemd here.
const BOOTED: &str = "/run/systemd/system";

#[derive(Clone, Debug, Args)]
pub(super) struct Logs {
    /// The app
    app: String,
    /// Go on with what is written from now on, until you interrupt it
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines, or `all` [default: 10; with --since all]
    #[arg(short = 'n', long, value_name = "N|all", value_parser = lines)]
    lines: Option<LineLimit>,
    /// Only what this worker (`w17`) has written, or the workers of this generation (`g3`); from the journal alone
    #[arg(long, value_name = "wN|gN", value_parser = process)]
    process: Option<ProcessFilter>,
    /// Only from this time on, as journalctl takes it: `10:30`, `yesterday`, `-1h`; from the journal alone
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Ask no ostlerd: go by this main file and its apps.d [default: what ostlerd says; without one /etc/ostler/ostler.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineLimit {
    Last(u64),
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProcessFilter {
    Worker(u64),
    Generation(u64),
}

fn lines(text: &str) -> Result<LineLimit, String> {
    match text.parse() {
        Ok(count) => Ok(LineLimit::Last(count)),
        Err(_) if text == "all" => Ok(LineLimit::All),
        Err(_) => Err("it must be a number of lines, or `all`".to_owned()),
    }
}

fn process(text: &str) -> Result<ProcessFilter, String> {
    let number = |rest: &str| rest.bytes().all(|it| it.is_ascii_digit()).then(|| rest.parse().ok()).flatten();
    let worker = text.strip_prefix('w').and_then(number).map(ProcessFilter::Worker);
    let generation = || text.strip_prefix('g').and_then(number).map(ProcessFilter::Generation);
    worker
        .or_else(generation)
        .ok_or_else(|| "write a worker as `ostler status` names it, w17, or a generation, g3".to_owned())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_a_worker_or_a_generation() {
        assert_eq!(process("w17"), Ok(ProcessFilter::Worker(17)));
        assert_eq!(process("g3"), Ok(ProcessFilter::Generation(3)));
        for text in ["", "w", "g", "17", "w-1", "w+1", "w1x", "web"] {
            assert!(process(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lines_are_a_number_or_all() {
        assert_eq!((lines("0"), lines("all")), (Ok(LineLimit::Last(0)), Ok(LineLimit::All)));
        assert!(lines("-1").is_err() && lines("many").is_err());
    }
}
