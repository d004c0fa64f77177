//! What is in an app's log file, shown by tail(1).

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::arguments::{LineLimit, Logs};
use super::program::{self, LogProgram};
use crate::cli::error::VerbError;
use crate::cli::screen::complain;
use crate::config::{AppName, open_regular};
use crate::control::protocol::exit;

const TAIL: LogProgram = LogProgram { name: "tail", of: "coreutils" };

pub(super) async fn show(app: &AppName, path: &Path, wanted: &Logs, json: bool) -> Result<u8, VerbError> {
    let shown = path.display();
    let option =
        [(wanted.process.is_some(), "--process"), (wanted.since.is_some(), "--since"), (json, "--json")];
    if let Some((_, option)) = option.iter().find(|(is_given, _)| *is_given) {
        let why = format!(
            "{option} needs the journal, and {app} writes to {shown} (`log_file`): a line there is only what the app \
             has written"
        );
        return Err(VerbError::said(exit::USAGE, why));
    }
    match written(app, path) {
        Err(why) => return Err(why),
        Ok(true) => {}
        Ok(false) => {
            complain(&format!("ostler: {app} has written nothing to {shown} yet"));
            if !wanted.follow {
                return Ok(0);
            }
        }
    }
    let mut arguments = vec![match wanted.lines {
        Some(LineLimit::All) => "--lines=+1".to_owned(),
        Some(LineLimit::Last(lines)) => format!("--lines={lines}"),
        None => "--lines=10".to_owned(),
    }];
    if wanted.follow {
        // By its name: a file that is rotated away is another one from then on.
        arguments.extend(["--follow=name", "--retry"].map(str::to_owned));
    }
    arguments.extend(["--".to_owned(), shown.to_string()]);
    program::run(&TAIL, &arguments).await
}

/// Whether there is anything in the file.
fn written(app: &AppName, path: &Path) -> Result<bool, VerbError> {
    let shown = path.display();
    let why = match open_regular(path).and_then(|file| file.metadata()) {
        Ok(found) => return Ok(found.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => error,
    };
    let (code, why) = match why.kind() {
        io::ErrorKind::InvalidInput => {
            let is_device = path.metadata().is_ok_and(|found| found.file_type().is_char_device());
            let kind = if is_device { "a device" } else { "no file" };
            (exit::FAILED, format!("{app} writes to {shown}, which is {kind}: nothing is kept there"))
        }
        io::ErrorKind::PermissionDenied => {
            (exit::NOT_ALLOWED, format!("you may not read {shown}, the log file of {app}; use sudo"))
        }
        _ => (exit::FAILED, format!("{shown}: {why}")),
    };
    Err(VerbError::said(code, why))
}
