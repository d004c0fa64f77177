//! Commands on the wire: a path and a body for each row of the table, and back.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::protocol::line;
use crate::config::AppName;
use crate::supervise::{
    COMMANDS, Command, CommandRow,
    commands::{APP, COMMAND, NAME},
};

/// The command of this row, for `app` and with what the body says; empty is as good as `{}`.
///
/// # Errors
///
/// What is wrong, in words.
pub(super) fn read(row: &CommandRow, app: Option<&AppName>, body: &[u8]) -> Result<Command, String> {
    let wrong = |error| format!("the body must be {}: {error}", row.body);
    let mut fields: Map<String, Value> = match body.trim_ascii() {
        [] => Map::new(),
        body => serde_json::from_slice(body).map_err(wrong)?,
    };
    let own = app.map(|app| (APP, app.as_str())).into_iter().chain([(COMMAND, row.name)]);
    for (key, value) in own {
        if fields.insert(key.to_owned(), Value::from(value)).is_some() {
            return Err(format!("the body must be {}: `{key}` stands in the path", row.body));
        }
    }
    let command: Command = serde_json::from_value(Value::Object(fields)).map_err(wrong)?;
    command.check()?;
    Ok(command)
}

/// The app's name in a path of that row: none in one without.
fn matches<'a>(row: &CommandRow, path: &'a str) -> Option<Option<&'a str>> {
    let Some((before, after)) = row.path.split_once(NAME) else {
        return (row.path == path).then_some(None);
    };
    let name = path.strip_prefix(before)?.strip_suffix(after)?;
    (!name.contains('/')).then_some(Some(name))
}

/// A command as it is sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

/// How `command` is sent; none of what only signals ask for.
pub(crate) fn sent(command: &Command) -> Option<Sent> {
    let row = CommandRow::of(command)?;
    let Ok(Value::Object(mut fields)) = serde_json::to_value(command) else { return None };
    fields.remove(COMMAND);
    let app = fields.remove(APP);
    let path = row.path.replace(NAME, app.as_ref().and_then(Value::as_str).unwrap_or_default());
    let body = if fields.is_empty() { Bytes::new() } else { line(&fields) };
    Some(Sent { method: row.method, path, body })
}

/// What a path stands for.
#[derive(Debug)]
pub(super) enum Route<'a> {
    /// A command, and the name of its app, which there may not be.
    Command(&'static CommandRow, Option<&'a str>),
    /// It is asked for with another method.
    OtherMethod,
    Nothing,
}

pub(super) fn find<'a>(method: &str, path: &'a str) -> Route<'a> {
    let mut rows = COMMANDS.iter().filter_map(|row| Some((row, matches(row, path)?)));
    match rows.next() {
        Some((row, name)) if row.method == method => Route::Command(row, name),
        Some(_) => Route::OtherMethod,
        None => Route::Nothing,
    }
}

#[cfg(test)]
#[path = "commands_tests.rs"]
mod tests;
