//! What is in an app's log file, shown by tail(1).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::program::{self, Program};
use super::{Lines, Logs};
use crate::cli::error::VerbError;
use crate::cli::screen::complain;
use crate::config::AppName;
use crate::control::protocol::exit;

const TAIL: Program = Program { name: "tail", of: "coreutils" };

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
        Some(Lines::All) => "--lines=+1".to_owned(),
        Some(Lines::Last(lines)) => format!("--lines={lines}"),
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
    // A pipe that nobody writes to would not open.
    let found = path.metadata().and_then(|found| match found.is_file() {
        true => File::open(path)?.metadata(),
        false => Ok(found),
    });
    match found {
        Ok(found) if found.is_file() => Ok(found.len() > 0),
        Ok(found) => {
            let kind = if found.file_type().is_char_device() { "a device" } else { "no file" };
            let why = format!("{app} writes to {shown}, which is {kind}: nothing is kept there");
            Err(VerbError::said(exit::FAILED, why))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let why = format!("you may not read {shown}, the log file of {app}; use sudo");
            Err(VerbError::said(exit::NOT_ALLOWED, why))
        }
        Err(error) => Err(VerbError::said(exit::FAILED, format!("{shown}: {error}"))),
    }
}
