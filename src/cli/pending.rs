//! What a migration would apply, as a person reads it.

use crate::supervise::{Breakage, LockNote, Opened, Outlook, Owed, Pending, Vendor};

use super::screen::{Colour, Screen, one_line};

/// Each database with what is pending, its guards, and what should be known before it is migrated.
///
/// ```text
/// default: PostgreSQL 15.14
///   MIGRATION        ATOMIC  OPERATIONS  CODE THAT SERVES
///   shop.0007_price  yes              3  goes on
///   guards: lock_timeout = 1s
/// ```
pub(super) fn render(databases: &[(String, Opened)], screen: Screen) -> String {
    let mut lines = Vec::new();
    for (name, opened) in databases {
        if let Some(why) = &opened.seen.none {
            lines.push(format!("{}: nothing to migrate", screen.paint(Colour::Bold, &one_line(name))));
            lines.push(format!("  {}", one_line(why)));
            warnings(opened, screen, &mut lines);
            continue;
        }
        lines.push(format!("{}: {}", screen.paint(Colour::Bold, &one_line(name)), vendor(opened)));
        if let Some(settings) = &opened.seen.settings {
            lines.push(format!("  settings: {}", one_line(settings)));
        }
        match &opened.pending {
            Some(pending) => table(pending, screen, &mut lines),
            None => lines.push("  what is pending is not known: the command is not Django's".to_owned()),
        }
        lines.extend(owed(opened).map(|words| format!("  {words}")));
        if let Some(pending) = &opened.pending {
            foreseen(&pending.outlook, screen, &mut lines);
        }
        if !opened.guards.is_empty() {
            let guards = opened.guards.iter().map(|(name, value)| format!("{name} = {value}"));
            lines.push(format!("  guards: {}", one_line(&guards.collect::<Vec<_>>().join(", "))));
        }
        warnings(opened, screen, &mut lines);
    }
    if lines.is_empty() {
        "no database is known: the command would be watched alone".to_owned()
    } else {
        lines.join("\n")
    }
}

fn warnings(opened: &Opened, screen: Screen, lines: &mut Vec<String>) {
    let unwatched = opened.unwatched.iter().map(|why| format!("unwatched: {why}"));
    let more = opened.warnings.iter().cloned().chain(opened.seen.warnings());
    for words in unwatched.chain(more.map(|warning| format!("warning: {warning}"))) {
        lines.push(format!("  {}", screen.paint(Colour::Yellow, &one_line(&words))));
    }
}

/// Where nothing is pending: why `migrate` runs all the same.
fn owed(opened: &Opened) -> Option<&'static str> {
    let pending = opened.pending.as_ref()?;
    let alone = pending.migrations.is_empty() && pending.own.is_none() && pending.ahead.is_empty();
    opened.owed.filter(|_| alone).map(|owed| match owed {
        Owed::New => "`migrate` runs all the same, for what hangs on it (post_migrate): it has not run to its end with this code",
        Owed::Earlier => {
            "`migrate` runs all the same, for what hangs on it (post_migrate): it has run with other code since; \
             not where nothing serves"
        }
    })
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

/// What the code that serves makes of a migration: `goes on`, `breaks`.
fn verdict(outlook: &Outlook, name: &str) -> &'static str {
    let of_it: Vec<&Breakage> =
        outlook.breaks.iter().filter(|it| it.migration.as_deref() == Some(name)).collect();
    let untold =
        outlook.untold.iter().any(|it| it.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')));
    match of_it.as_slice() {
        [] if !outlook.known => "not known",
        [] if untold => "cannot be told",
        [] => "goes on",
        some if some.iter().any(|it| it.certain) => "breaks",
        _ => "may break",
    }
}

/// What would break, each with how it is done without; what cannot be told; what is locked.
fn foreseen(outlook: &Outlook, screen: Screen, lines: &mut Vec<String>) {
    for breakage in &outlook.breaks {
        let (word, ink) =
            if breakage.certain { ("breaks", Colour::Red) } else { ("may break", Colour::Yellow) };
        lines.push(format!("  {} {}", screen.paint(ink, word), one_line(&breakage.words())));
        lines.push(format!("    {}", one_line(&breakage.remedy)));
    }
    for words in &outlook.untold {
        lines.push(format!("  {}", screen.paint(Colour::Yellow, &one_line(words))));
    }
    for LockNote { migration, operation, words } in &outlook.locks {
        lines.push(format!("  locks: {}", one_line(&format!("{migration} ({operation}): {words}"))));
    }
}

fn table(pending: &Pending, screen: Screen, lines: &mut Vec<String>) {
    const COLUMNS: [&str; 4] = ["MIGRATION", "ATOMIC", "OPERATIONS", "CODE THAT SERVES"];
    if let Some(own) = &pending.own {
        lines.push(format!("  `migrate` is of {}, not Django's own: it runs always", one_line(own)));
    }
    if pending.migrations.is_empty() {
        lines.push("  nothing is pending".to_owned());
    } else {
        let names: Vec<String> = pending.migrations.iter().map(|it| one_line(&it.name)).collect();
        let width =
            names.iter().map(|name| name.chars().count()).chain([COLUMNS[0].len()]).max().unwrap_or(0);
        let head = format!("{:<width$}  {}  {}  {}", COLUMNS[0], COLUMNS[1], COLUMNS[2], COLUMNS[3]);
        lines.push(format!("  {}", screen.paint(Colour::Faint, &head)));
        for (name, migration) in names.iter().zip(&pending.migrations) {
            let atomic = if migration.atomic { "yes" } else { "no" };
            let code = verdict(&pending.outlook, &migration.name);
            lines.push(format!("  {name:<width$}  {atomic:<6}  {:>10}  {code}", migration.operations));
        }
    }
    if !pending.ahead.is_empty() {
        let words = format!("the database is ahead of the code: {}", pending.ahead.join(", "));
        lines.push(format!("  {}", screen.paint(Colour::Yellow, &one_line(&words))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::{DjangoSeen, OtherDatabase, PendingMigration};

    const DARK: Screen = Screen { live: false, colour: false };

    #[test]
    fn what_is_pending_is_a_table_for_each_database() {
        let migration =
            |name: &str, atomic, operations| PendingMigration { name: name.into(), atomic, operations };
        let breakage = |certain, migration: &str, what: &str| Breakage {
            migration: Some(migration.into()),
            operation: "Remove field x from y".into(),
            what: what.into(),
            effect: "it fails".into(),
            remedy: "in two releases".into(),
            certain,
            ..Breakage::default()
        };
        let lock = LockNote {
            migration: "shop.0008_x".into(),
            operation: "Create index".into(),
            words: "nobody can write".into(),
        };
        let outlook = Outlook {
            breaks: vec![
                breakage(true, "shop.0007_price", "column x is removed"),
                breakage(false, "shop.0008_x", "a type gets narrower"),
            ],
            untold: vec!["shop.0009_y: operation 1 (Raw SQL) runs SQL of its own".into()],
            locks: vec![lock],
            known: true,
        };
        let default = Opened {
            vendor: Vendor::Postgresql,
            version: "15.14".into(),
            unwatched: None,
            lock_timeout: None,
            guards: vec![("lock_timeout".into(), "1s".into()), ("statement_timeout".into(), "0".into())],
            warnings: vec!["a pooler\x1b is in between".into()],
            pending: Some(Pending {
                migrations: vec![
                    migration("shop.0007_price", true, 3),
                    migration("shop.0008_x", false, 1),
                    migration("shop.0009_y", true, 1),
                    migration("shop.0010_z", true, 1),
                ],
                ahead: vec!["shop.0009_later".into()],
                own: Some("tenants".into()),
                outlook: Box::new(outlook),
            }),
            seen: Box::new(DjangoSeen {
                settings: Some("shop.settings".into()),
                none: None,
                others: vec![OtherDatabase { name: "reports".into(), pending: 3 }],
            }),
            owed: Some(Owed::New),
        };
        let quiet = Opened { vendor: Vendor::Sqlite, pending: Some(Pending::default()), ..Opened::default() };
        let new = Opened { owed: Some(Owed::New), ..quiet.clone() };
        let other = Opened { unwatched: Some("no driver".into()), ..Opened::default() };
        let none = DjangoSeen { none: Some("the app loads no Django".into()), ..DjangoSeen::default() };
        let none = Opened { seen: Box::new(none), ..Opened::default() };
        let all = [("default", default), ("local", quiet), ("new", new), ("url", other), ("plain", none)];
        let shown = render(&all.map(|(name, opened)| (name.to_owned(), opened)), DARK);
        let expected = "\
default: PostgreSQL 15.14
  settings: shop.settings
  `migrate` is of tenants, not Django's own: it runs always
  MIGRATION        ATOMIC  OPERATIONS  CODE THAT SERVES
  shop.0007_price  yes              3  breaks
  shop.0008_x      no               1  may break
  shop.0009_y      yes              1  cannot be told
  shop.0010_z      yes              1  goes on
  the database is ahead of the code: shop.0009_later
  breaks shop.0007_price (Remove field x from y): column x is removed: it fails
    in two releases
  may break shop.0008_x (Remove field x from y): a type gets narrower: it fails
    in two releases
  shop.0009_y: operation 1 (Raw SQL) runs SQL of its own
  locks: shop.0008_x (Create index): nobody can write
  guards: lock_timeout = 1s, statement_timeout = 0
  warning: a pooler\u{fffd} is in between
  warning: the database reports has 3 pending migrations and is not in `database` of [migrate]: nothing migrates it
local: SQLite
  nothing is pending
new: SQLite
  nothing is pending
  `migrate` runs all the same, for what hangs on it (post_migrate): it has not run to its end with this code
url: a database of a kind that is not watched
  what is pending is not known: the command is not Django's
  unwatched: no driver
plain: nothing to migrate
  the app loads no Django";
        assert_eq!(shown, expected);
        assert!(render(&[], DARK).contains("no database is known"));
    }
}
