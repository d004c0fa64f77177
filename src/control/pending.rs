//! What a migration would apply, as a person reads it.

use crate::supervise::{Opened, Pending, Vendor};

use super::screen::{Ink, Screen, one_line};

/// Each database with what is pending, its guards, and what should be known before it is migrated.
///
/// ```text
/// default: PostgreSQL 15.14
///   MIGRATION        ATOMIC  OPERATIONS
///   shop.0007_price  yes              3
///   guards: lock_timeout = 1s
/// ```
pub(super) fn render(databases: &[(String, Opened)], screen: Screen) -> String {
    let mut lines = Vec::new();
    for (name, opened) in databases {
        lines.push(format!("{}: {}", screen.paint(Ink::Bold, &one_line(name)), vendor(opened)));
        match &opened.pending {
            Some(pending) => table(pending, screen, &mut lines),
            None => lines.push("  what is pending is not known: the command is not Django's".to_owned()),
        }
        if !opened.guards.is_empty() {
            let guards = opened.guards.iter().map(|(name, value)| format!("{name} = {value}"));
            lines.push(format!("  guards: {}", one_line(&guards.collect::<Vec<_>>().join(", "))));
        }
        let unwatched = opened.unwatched.iter().map(|why| format!("unwatched: {why}"));
        let warnings = opened.warnings.iter().map(|warning| format!("warning: {warning}"));
        for words in unwatched.chain(warnings) {
            lines.push(format!("  {}", screen.paint(Ink::Yellow, &one_line(&words))));
        }
    }
    if lines.is_empty() {
        "no database is known: the command would be watched alone".to_owned()
    } else {
        lines.join("\n")
    }
}

fn vendor(opened: &Opened) -> String {
    let name = match opened.vendor {
        Vendor::Postgresql => "PostgreSQL",
        Vendor::Mysql if opened.version.to_ascii_lowercase().contains("mariadb") => "",
        Vendor::Mysql => "MySQL",
        Vendor::Sqlite => "SQLite",
        Vendor::Other => "a database of a kind that is not watched",
    };
    one_line(&format!("{name} {}", opened.version))
}

fn table(pending: &Pending, screen: Screen, lines: &mut Vec<String>) {
    const COLUMNS: [&str; 3] = ["MIGRATION", "ATOMIC", "OPERATIONS"];
    if let Some(own) = &pending.own {
        lines.push(format!("  `migrate` is of {}, not Django's own: it runs always", one_line(own)));
    }
    if pending.migrations.is_empty() {
        lines.push("  nothing is pending".to_owned());
    } else {
        let names: Vec<String> = pending.migrations.iter().map(|it| one_line(&it.name)).collect();
        let width =
            names.iter().map(|name| name.chars().count()).chain([COLUMNS[0].len()]).max().unwrap_or(0);
        let head = format!("{:<width$}  {}  {}", COLUMNS[0], COLUMNS[1], COLUMNS[2]);
        lines.push(format!("  {}", screen.paint(Ink::Faint, &head)));
        for (name, migration) in names.iter().zip(&pending.migrations) {
            let atomic = if migration.atomic { "yes" } else { "no" };
            lines.push(format!("  {name:<width$}  {atomic:<6}  {:>10}", migration.operations));
        }
    }
    if !pending.ahead.is_empty() {
        let words = format!("the database is ahead of the code: {}", pending.ahead.join(", "));
        lines.push(format!("  {}", screen.paint(Ink::Yellow, &one_line(&words))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::PendingMigration;

    const DARK: Screen = Screen { live: false, colour: false };

    #[test]
    fn what_is_pending_is_a_table_for_each_database() {
        let migration =
            |name: &str, atomic, operations| PendingMigration { name: name.into(), atomic, operations };
        let default = Opened {
            vendor: Vendor::Postgresql,
            version: "15.14".into(),
            unwatched: None,
            guards: vec![("lock_timeout".into(), "1s".into()), ("statement_timeout".into(), "0".into())],
            warnings: vec!["a pooler\x1b is in between".into()],
            pending: Some(Pending {
                migrations: vec![migration("shop.0007_price", true, 3), migration("shop.0008_x", false, 1)],
                ahead: vec!["shop.0009_later".into()],
                own: Some("tenants".into()),
            }),
        };
        let quiet = Opened { vendor: Vendor::Sqlite, pending: Some(Pending::default()), ..Opened::default() };
        let other = Opened { unwatched: Some("no driver".into()), ..Opened::default() };
        let shown =
            render(&[("default".into(), default), ("local".into(), quiet), ("url".into(), other)], DARK);
        let expected = "\
default: PostgreSQL 15.14
  `migrate` is of tenants, not Django's own: it runs always
  MIGRATION        ATOMIC  OPERATIONS
  shop.0007_price  yes              3
  shop.0008_x      no               1
  the database is ahead of the code: shop.0009_later
  guards: lock_timeout = 1s, statement_timeout = 0
  warning: a pooler\u{fffd} is in between
local: SQLite
  nothing is pending
url: a database of a kind that is not watched
  what is pending is not known: the command is not Django's
  unwatched: no driver";
        assert_eq!(shown, expected);
        assert!(render(&[], DARK).contains("no database is known"));
    }
}
