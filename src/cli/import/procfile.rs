//! A Procfile: `web: gunicorn shop.wsgi --log-file -`.

use super::draft::absolute;
use super::error::ImportError;
use super::input::SourceFile;
use super::migrations::is_migrate;
use super::reading::ImportContext;
use super::script;

/// The name and the command of a line.
pub(super) fn entry(line: &str) -> Option<(&str, &str)> {
    let (name, command) = line.split_once(':')?;
    let good = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let spaced = command.is_empty() || command.starts_with(char::is_whitespace);
    (good && spaced).then(|| (name, command.trim()))
}

/// The process `web`, else the only one with gunicorn.
pub(super) fn read(reading: &mut ImportContext<'_>, source: &SourceFile) -> Result<(), ImportError> {
    let entries: Vec<(&str, &str)> = source.text.lines().filter_map(|line| entry(line.trim())).collect();
    let with: Vec<&(&str, &str)> =
        entries.iter().filter(|(_, command)| command.contains("gunicorn")).collect();
    let web = entries.iter().find(|(name, _)| *name == "web");
    let Some((name, command)) = web.or(with.first().copied()) else {
        return Err(reading.error("no line of it starts gunicorn", "give the file that does"));
    };
    // Where a Procfile stands, its processes run.
    let folder = source.path.parent().map(|it| it.display().to_string()).filter(|it| it.starts_with('/'));
    if reading.draft.directory.is_none() {
        reading.draft.directory = folder;
    }
    let dotenv = absolute(".env", reading.draft.directory.as_deref());
    if dotenv.starts_with('/') && (reading.look.exists)(dotenv.as_ref()) {
        reading.draft.env_files.push(dotenv);
    }
    for (other, line) in entries.iter().filter(|(other, _)| other != name) {
        let what = format!("{other}: {line}");
        match *other {
            "release" if is_migrate(line) => reading.draft.ran_migrations.push(what),
            "release" => reading.draft.leave_to_owner(
                what,
                "run it before `ostler restart`, or as `command` of [migrate] if it migrates a database",
            ),
            _ => reading
                .draft
                .leave_to_owner(what, "it is no web app: go on running it with a unit of its own"),
        }
    }
    script::read(reading, command)
}
