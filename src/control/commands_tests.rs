use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::access::ClientIdentity;
use super::super::channels::channels;
use super::super::server::converse;
use super::*;
use crate::observe::Status;
use crate::supervise::{Auto, Permission, ScaleTo};

fn shop() -> AppName {
    "shop".parse().unwrap()
}

/// Each command, with everything that can be said of it.
fn each() -> Vec<Command> {
    let app = shop;
    vec![
        Command::restart(app()),
        Command::Restart { app: app(), release: Some("/srv/2".into()), accept_breakage: true },
        Command::Rollback { app: app(), accept_breakage: true },
        Command::Migrate { app: app(), accept_breakage: false },
        Command::Migrate { app: app(), accept_breakage: true },
        Command::AbortMigration { app: app() },
        Command::ResolveMigration { app: app() },
        Command::MigrationPlan { app: app() },
        Command::MigrationHistory { app: app() },
        Command::Scale { app: app(), workers: ScaleTo::Count(7) },
        Command::Scale { app: app(), workers: ScaleTo::Auto(Auto::Auto) },
        Command::Stop { app: app() },
        Command::Start { app: app() },
        Command::Drain { length: None },
        Command::Drain { length: Some(Duration::from_millis(90_500)) },
        Command::Undrain,
        Command::Reload,
        Command::DryRun,
        Command::Reexec,
        Command::Served,
    ]
}

/// The names that a command can be read by, as serde lists them.
fn variants() -> BTreeSet<String> {
    let error = serde_json::from_str::<Command>(r#"{"command": "?"}"#).unwrap_err().to_string();
    let (_, list) = error.split_once("expected one of ").unwrap();
    let (list, _) = list.split_once(" at line").unwrap_or((list, ""));
    list.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn every_command_has_one_row_and_every_row_a_command() {
    let names: Vec<String> = COMMANDS.iter().map(|row| row.name.to_owned()).collect();
    let unique: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(unique.len(), names.len(), "a name twice: {names:?}");
    assert_eq!(unique, variants());
    let tried: BTreeSet<&str> = each().iter().map(|command| CommandRow::of(command).unwrap().name).collect();
    assert_eq!(tried.len(), COMMANDS.len(), "each() leaves one out: {tried:?}");
}

#[test]
fn every_command_arrives_as_it_was_sent() {
    for command in each() {
        let sent = sent(&command).unwrap();
        let Route::Command(row, name) = find(sent.method, &sent.path) else { panic!("{sent:?}") };
        assert_eq!(name, command.app().map(AppName::as_str));
        assert!(!row.body.is_empty() || sent.body.is_empty(), "nobody would read it: {sent:?}");
        assert_eq!(read(row, command.app(), &sent.body), Ok(command));
        let other = if sent.method == "GET" { "POST" } else { "GET" };
        assert!(matches!(find(other, &sent.path), Route::OtherMethod));
    }
}

#[test]
fn every_row_says_who_may_and_how_it_ends() {
    for row in COMMANDS {
        let of_app = row.path.starts_with("/v1/apps/NAME/");
        assert_eq!(of_app, row.path.contains(NAME), "{row:?}");
        match row.permission {
            Permission::Look => assert_eq!(row.method, "GET", "{row:?}"),
            Permission::ChangeApp => assert!(of_app && row.method == "POST", "{row:?}"),
            Permission::ChangeMachine => assert!(!of_app && row.method == "POST", "{row:?}"),
        }
        assert!(row.exits.is_sorted() && row.exits.first() == Some(&0), "{row:?}");
        assert!(!row.interrupted.is_empty(), "{row:?}");
    }
}

#[test]
fn what_only_signals_ask_for_does_not_go_over_the_socket() {
    for command in [Command::Shutdown, Command::ShutdownNow, Command::ScaleBy { app: shop(), step: 1 }] {
        assert!(sent(&command).is_none());
    }
    assert!(!variants().contains("shutdown"));
}

#[test]
fn an_app_in_the_body_is_not_taken_for_that_of_the_path() {
    let Route::Command(row, _) = find("POST", "/v1/apps/shop/restart") else { panic!() };
    for body in [r#"{"app": "blog"}"#, r#"{"command": "stop"}"#] {
        assert!(read(row, Some(&shop()), body.as_bytes()).unwrap_err().contains("stands in the path"));
    }
}

#[test]
fn every_command_is_given_by_who_may_and_by_nobody_else() {
    let picture = include_str!("../../tests/fuzz/corpus/status/seed.json");
    let status: Status = serde_json::from_str(picture).unwrap();
    let owners = BTreeMap::from([(shop(), 2001), ("blog".parse().unwrap(), 2002)]);
    let identity = |uid, master, member| ClientIdentity { uid, master, member };
    let root =
        (identity(0, true, true), &[Permission::Look, Permission::ChangeApp, Permission::ChangeMachine][..]);
    let people = [
        root,
        (identity(2001, false, false), &[Permission::Look, Permission::ChangeApp]),
        (identity(2002, false, false), &[Permission::Look]),
        (identity(1001, false, true), &[Permission::Look]),
        (identity(3001, false, false), &[]),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for command in each() {
        let Sent { method, path, body } = sent(&command).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        let request = [head.as_bytes(), &body].concat();
        for (client, may) in people {
            let (channels, mut ends) = channels(status.clone());
            ends.owners.send_replace(owners.clone());
            let (said, given) = runtime.block_on(async {
                let (mut own, theirs) = tokio::io::duplex(1 << 16);
                own.write_all(&request).await.unwrap();
                let mut said = String::new();
                // Its answer is dropped, so that the reply ends.
                let given = async { ends.commands.recv().await.map(|given| given.command) };
                let (_, _, given) =
                    tokio::join!(converse(theirs, client, channels), own.read_to_string(&mut said), given);
                (said, given)
            });
            let allowed = may.contains(&CommandRow::of(&command).unwrap().permission);
            assert_eq!(given, allowed.then(|| command.clone()), "{client:?}: {said}");
            let code = if allowed { "HTTP/1.1 200" } else { "HTTP/1.1 403" };
            assert!(said.starts_with(code) && allowed != said.contains("\"exit\":77"), "{client:?}: {said}");
        }
    }
}
