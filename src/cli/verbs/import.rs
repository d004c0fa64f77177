//! `ostler import FILE…`: offline; what people have, as an app's file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::error::VerbError;
use crate::cli::import::{DraftNote, FileAccess, Import, Imported, Overrides, SourceFile, import};
use crate::cli::screen::{complain, plain, say};
use crate::config::Config;
use crate::control::protocol::exit;

/// Longer files are none of those that can be imported.
const LONGEST: u64 = 1024 * 1024;

/// Prints the app's file, or writes it.
pub(super) fn run(arguments: &Import, json: bool) -> Result<u8, VerbError> {
    let sources = sources(&arguments.files)?;
    let given = Overrides {
        name: arguments.name.clone(),
        app: arguments.app.clone(),
        python: arguments.python.clone(),
        image: arguments.image.clone(),
        service: arguments.service.clone(),
        directory: arguments.directory.clone(),
        user: arguments.user.clone(),
        listen: arguments.listen.clone(),
        set: arguments.set.iter().cloned().collect(),
    };
    let look = FileAccess { exists: &|path| path.exists(), read: &|path| beside(path) };
    let imported = import(&sources, &given, &look)
        .map_err(|error| VerbError::said(exit::FAILED, plain(&error.to_string())))?;
    let written = match arguments.write {
        true => Some(write(arguments, &imported)?),
        false => None,
    };
    if json {
        let note = |note: &DraftNote| json!({"what": note.what, "why": note.why, "todo": note.todo});
        let notes: Vec<_> = imported.notes.iter().map(note).collect();
        let answer = json!({"app": imported.name, "text": imported.text, "notes": notes, "written": written});
        say(&answer.to_string())?;
        return Ok(0);
    }
    match &written {
        None => say(&plain(&imported.text))?,
        Some(file) => {
            say(&format!("wrote {}", file.display()))?;
            let todo = imported.notes.iter().filter(|note| note.todo).count();
            let name = &imported.name;
            let first = match todo {
                0 => String::new(),
                _ => "; read what it says under \"To do\" first".to_owned(),
            };
            complain(&format!(
                "`ostler check` reads it as ostlerd does{first}. Where ostlerd runs already, it starts {name} at once: an \
                 address that the old gunicorn still holds is refused, changes nothing, and is named by `ostler status`"
            ));
        }
    }
    Ok(0)
}

fn sources(files: &[PathBuf]) -> Result<Vec<SourceFile>, VerbError> {
    let mut sources = Vec::new();
    for file in files {
        let text = match file.as_os_str() == "-" {
            true => read(io::stdin().lock()),
            false => text(file),
        };
        let text = text.map_err(|error| {
            VerbError::said(exit::FAILED, format!("{} cannot be read: {error}", file.display()))
        })?;
        // What is relative in it is relative to its folder.
        let path = std::path::absolute(file).ok().filter(|_| file.as_os_str() != "-");
        sources.push(SourceFile { path: path.unwrap_or_else(|| PathBuf::from("standard input")), text });
    }
    Ok(sources)
}

fn text(path: &Path) -> io::Result<String> {
    // A pipe is fine where it was asked for (`<(systemctl cat shop)`); a folder says so itself.
    read(File::open(path)?)
}

/// A file that another one names: a regular one, where a pipe would wait for somebody.
fn beside(path: &Path) -> Option<String> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    text(path).ok()
}

fn read(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other("it is over 1 MiB long, and so none of the files that can be imported"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// Puts it in apps.d under its name at once and whole; never over another file, unless that was asked for.
fn write(arguments: &Import, imported: &Imported) -> Result<PathBuf, VerbError> {
    let folder = Config::apps_dir(&arguments.config);
    let file = folder.join(format!("{}.toml", imported.name));
    let failed = |what: &str, error: &io::Error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "; make the folder, or name the main file with --config",
            io::ErrorKind::PermissionDenied => "; run it as root (sudo)",
            _ => "",
        };
        VerbError::said(exit::FAILED, format!("{what}: {error}{remedy}"))
    };
    // Hidden files are nothing to ostlerd.
    let draft = folder.join(format!(".{}.toml.{}", imported.name, std::process::id()));
    let mut made = fs::OpenOptions::new();
    // An environment may hold secrets.
    let made = made.write(true).create_new(true).mode(0o640).open(&draft);
    let mut made =
        made.map_err(|error| failed(&format!("{} cannot be written", folder.display()), &error))?;
    let placed =
        made.write_all(imported.text.as_bytes()).and_then(|()| made.sync_all()).and_then(
            |()| match arguments.force {
                true => fs::rename(&draft, &file),
                false => fs::hard_link(&draft, &file),
            },
        );
    let _ = fs::remove_file(&draft);
    match placed {
        Ok(()) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let message = format!(
                "{} is there already; --force replaces it, --name NAME makes another",
                file.display()
            );
            Err(VerbError::said(exit::FAILED, message))
        }
        Err(error) => Err(failed(&format!("{} cannot be written", file.display()), &error)),
    }
}
