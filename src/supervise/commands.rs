//! The table of commands: how each goes over the control socket, who may give it, and how it can end.

use serde_json::Value;

use super::command::Command;
use crate::config::AppName;

/// What it takes to give a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To look.
    Look,
    /// To change the app that it is about.
    ChangeApp,
    /// To change the machine as a whole.
    ChangeMachine,
}

/// Where a path has the app's name.
pub const NAME: &str = "NAME";

/// The key of a command's JSON that names it.
pub const COMMAND: &str = "command";
/// The key for its app.
pub const APP: &str = "app";

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct CommandRow {
    /// The name of its variant of [`Command`].
    pub name: &'static str,
    /// GET reads, POST changes or takes time.
    pub method: &'static str,
    /// NAME stands for the app.
    pub path: &'static str,
    /// Who may give it.
    pub permission: Permission,
    /// What the body must be, in words; with "" none is read.
    pub body: &'static str,
    /// The exit statuses that its outcome may have. Any command may besides be refused: 64, 69, 75 and 77.
    pub exits: &'static [u8],
    /// What is said when somebody interrupts the command that waits for it; NAME stands for the app.
    pub interrupted: &'static str,
}

const ACCEPTS: &str = "empty or like {\"accept_breakage\": true}";
const ROLLOUT: &str = "the rollout goes on; watch it with `ostler events`";
const CHANGE: &str = "the change goes on; watch it with `ostler events`";
const NOTHING: &str = "nothing goes on";

/// Every command that goes over the socket.
pub const COMMANDS: &[CommandRow] = &[
    CommandRow {
        body: "empty or like {\"release\": \"/srv/shop/releases/2\"}",
        ..app("restart", "/v1/apps/NAME/restart", &[0, 1, 64, 75, 78], ROLLOUT)
    },
    CommandRow { body: ACCEPTS, ..app("rollback", "/v1/apps/NAME/rollback", &[0, 1, 64, 75, 78], ROLLOUT) },
    CommandRow {
        body: ACCEPTS,
        ..app(
            "migrate",
            "/v1/apps/NAME/migrate",
            &[0, 1, 64, 75, 78],
            "the migration goes on; watch it with `ostler status NAME`, end it with `ostler migrate NAME --abort`",
        )
    },
    app(
        "abort_migration",
        "/v1/apps/NAME/migrate/abort",
        &[0, 1, 64, 75],
        "the end of the migration goes on; watch it with `ostler events`",
    ),
    app("resolve_migration", "/v1/apps/NAME/migrate/resolve", &[0, 1, 64, 75], NOTHING),
    // It changes nothing, but it runs the app's code as the app's user.
    app("migration_plan", "/v1/apps/NAME/migrate/plan", &[0, 1, 64, 75, 78], NOTHING),
    look("migration_history", "/v1/apps/NAME/migrations", &[0, 1, 64, 75]),
    CommandRow {
        body: "like {\"workers\": 4}, or \"auto\" in place of 4",
        ..app("scale", "/v1/apps/NAME/scale", &[0, 1, 64, 75], CHANGE)
    },
    app("stop", "/v1/apps/NAME/stop", &[0, 64, 75], "the stop goes on; watch it with `ostler events`"),
    app(
        "start",
        "/v1/apps/NAME/start",
        &[0, 1, 64, 75, 78],
        "the start goes on; watch it with `ostler events`",
    ),
    CommandRow {
        body: "empty or like {\"for_seconds\": 600}",
        ..machine("drain", "/v1/drain", &[0, 75], "the drain goes on; `ostler undrain` ends it")
    },
    machine("undrain", "/v1/undrain", &[0, 75], CHANGE),
    machine("reload", "/v1/reload", &[0, 1, 64, 75, 78], "the reload goes on; watch it with `ostler events`"),
    machine("dry_run", "/v1/reload/dry-run", &[0, 75, 78], NOTHING),
    machine("reexec", "/v1/reexec", &[0, 75], "the re-execution goes on; watch it with `ostler events`"),
    look("served", "/v1/served", &[0]),
];

const fn app(
    name: &'static str,
    path: &'static str,
    exits: &'static [u8],
    interrupted: &'static str,
) -> CommandRow {
    let permission = Permission::ChangeApp;
    CommandRow { name, method: "POST", path, permission, body: "", exits, interrupted }
}

const fn machine(
    name: &'static str,
    path: &'static str,
    exits: &'static [u8],
    interrupted: &'static str,
) -> CommandRow {
    CommandRow { permission: Permission::ChangeMachine, ..app(name, path, exits, interrupted) }
}

const fn look(name: &'static str, path: &'static str, exits: &'static [u8]) -> CommandRow {
    CommandRow { method: "GET", permission: Permission::Look, ..app(name, path, exits, NOTHING) }
}

impl CommandRow {
    /// The row of a command; none of what only signals ask for.
    pub fn of(command: &Command) -> Option<&'static CommandRow> {
        let Ok(Value::Object(fields)) = serde_json::to_value(command) else { return None };
        let name = fields.get(COMMAND)?.as_str()?;
        COMMANDS.iter().find(|row| row.name == name)
    }
}

/// What is said when somebody interrupts the command that waits for `command`.
pub fn interrupted(command: &Command) -> String {
    let words = CommandRow::of(command).map_or(NOTHING, |row| row.interrupted);
    words.replace(NAME, command.app().map_or("APP", AppName::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a command may be given beside its app, one by one.
    fn given() -> [(&'static str, Value); 5] {
        let path = Value::from("/srv/shop/releases/2");
        [
            ("accept_breakage", true.into()),
            ("release", path),
            ("workers", 4.into()),
            ("workers", "auto".into()),
            ("for_seconds", 600.into()),
        ]
    }

    /// Whether it is a command with just these fields.
    fn is_read(row: &CommandRow, more: Option<(&str, Value)>) -> bool {
        let app = row.path.contains("NAME").then(|| ("app", Value::from("shop")));
        let named = [(COMMAND, Value::from(row.name))].into_iter().chain(app).chain(more);
        let fields = Value::Object(named.map(|(name, value)| (name.to_owned(), value)).collect());
        let read = serde_json::from_value::<Command>(fields.clone());
        // Nothing is denied to a command without any field: it reads over them.
        let count = |value: &Value| value.as_object().map(serde_json::Map::len);
        read.is_ok_and(|it| serde_json::to_value(it).is_ok_and(|it| count(&it) == count(&fields)))
    }

    #[test]
    fn a_row_has_words_for_a_body_where_the_command_takes_one_and_only_there() {
        for row in COMMANDS {
            let takes = given().into_iter().filter(|it| is_read(row, Some(it.clone()))).count();
            assert_eq!(takes > 0, !row.body.is_empty(), "{}", row.name);
            let may_be_empty = takes == 0 || row.body.starts_with("empty or ");
            assert_eq!(is_read(row, None), may_be_empty, "{}", row.name);
        }
    }

    #[test]
    fn whoever_may_only_look_reads_and_changes_of_the_machine_are_not_an_apps() {
        for row in COMMANDS {
            let (reads, app) = (row.method == "GET", row.path.contains("NAME"));
            assert_eq!(reads, row.permission == Permission::Look, "{}", row.name);
            assert_eq!(!reads && app, row.permission == Permission::ChangeApp, "{}", row.name);
            assert_eq!(!reads && !app, row.permission == Permission::ChangeMachine, "{}", row.name);
        }
    }
}
