//! `ostler migrate`: what is asked for, what is printed, and the exit status.

use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ostler::supervise::{Command, Outcome};
use serde_json::Value;

use crate::fake::{Fake, PATIENCE, name, text};

#[test]
fn each_flag_asks_for_what_it_says_and_two_of_them_for_nothing() {
    let fake = Fake::start();
    let shop = || name("shop");
    for (flag, command) in [
        (None, Command::Migrate { app: shop(), accept_breakage: false }),
        (Some("--accept-breakage"), Command::Migrate { app: shop(), accept_breakage: true }),
        (Some("--abort"), Command::AbortMigration { app: shop() }),
        (Some("--resolve"), Command::ResolveMigration { app: shop() }),
        (Some("--plan"), Command::MigrationPlan { app: shop() }),
        (Some("--history"), Command::MigrationHistory { app: shop() }),
    ] {
        let arguments: Vec<&str> = ["migrate", "shop"].into_iter().chain(flag).collect();
        let shown = fake.ostler(&arguments);
        assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
        assert_eq!(fake.next_command(), command);
    }
    let (app, accept_breakage) = (shop(), true);
    for (arguments, command) in [
        (
            &["restart", "shop", "--accept-breakage"][..],
            Command::Restart { app: shop(), release: None, accept_breakage },
        ),
        (&["rollback", "shop", "--accept-breakage"], Command::Rollback { app: shop(), accept_breakage }),
        (
            &["restart", "shop", "--release", "/srv/2", "--accept-breakage"],
            Command::Restart { app, release: Some("/srv/2".into()), accept_breakage },
        ),
    ] {
        fake.ostler(arguments);
        assert_eq!(fake.next_command(), command);
    }
    for arguments in [
        &["migrate"][..],
        &["migrate", "shop", "--plan", "--accept-breakage"],
        &["migrate", "shop", "--plan", "--abort"],
        &["migrate", "no such"],
    ] {
        assert_eq!(fake.ostler(arguments).status.code(), Some(64), "{arguments:?}");
    }
    let shown = fake.ostler(&["migrate", "shpo"]);
    assert_eq!(shown.status.code(), Some(64));
    assert!(text(&shown.stderr).contains("did you mean `shop`?"));
}

#[test]
fn a_plan_is_a_table_and_a_history_is_told_and_neither_tells_of_anything_else() {
    let fake = Fake::start();
    let out = text(&fake.ostler(&["migrate", "shop", "--plan"]).stdout);
    let expected = "\
default: PostgreSQL 15.14
  MIGRATION        ATOMIC  OPERATIONS  CODE THAT SERVES
  shop.0007_price  yes              3  not known
";
    assert_eq!(out, expected);
    let out = text(&fake.ostler(&["migrate", "shop", "--history"]).stdout);
    assert_eq!(out, "no migration was run here yet\n");
    for (flag, outcome) in [("--plan", "migrations_pending"), ("--history", "migration_history")] {
        let out = fake.ostler(&["migrate", "shop", flag, "--json"]).stdout;
        let value: Value = serde_json::from_slice(&out).expect("one line of JSON");
        assert_eq!(value["outcome"], outcome);
    }
}

#[test]
fn a_database_left_dirty_is_exit_1_with_the_remedy_and_the_way_out() {
    let fake = Fake::start();
    for verb in ["migrate", "restart"] {
        let shown = fake.ostler(&[verb, "torn"]);
        assert_eq!(shown.status.code(), Some(1));
        let expected = "\
ostler: migration dirty: an index was left behind; generation g1 goes on serving

    Traceback (most recent call last):
    OperationalError: canceling statement

applied: shop.0007_price

shop.0008_index: index shop_x is INVALID
    DROP INDEX CONCURRENTLY \"shop_x\";
next: nothing migrates by itself until you have done this and said so, on any server: `ostler migrate torn --resolve`
";
        assert_eq!(text(&shown.stderr), expected);
    }
    let shown = fake.ostler(&["migrate", "torn", "--json"]);
    let last = text(&shown.stdout).lines().last().map(str::to_owned).unwrap();
    let outcome: Outcome = serde_json::from_str(&last).unwrap();
    assert!(matches!(outcome, Outcome::NotMigrated { .. }), "{outcome:?}");
    assert_eq!(fake.ostler(&["migrate", "busy"]).status.code(), Some(75));
}

#[test]
fn an_interrupted_command_says_that_the_migration_goes_on_and_what_ends_it() {
    let fake = Fake::start();
    let child =
        fake.command(&["migrate", "slow"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _held = fake.next_held();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let shown = child.wait_with_output().unwrap();
    assert_eq!(shown.status.code(), Some(130));
    let expected = "ostler: the migration goes on; watch it with `ostler status slow`, \
                    end it with `ostler migrate slow --abort`\n";
    assert_eq!(text(&shown.stderr), expected);
}

#[test]
fn on_a_terminal_the_picture_shows_what_the_migration_does() {
    let fake = Fake::start();
    let mut migrating = (**fake.status.borrow()).clone();
    let shop = migrating.apps.iter_mut().find(|app| app.name.as_str() == "slow").unwrap();
    shop.migration = Some(serde_json::from_str(MIGRATION).unwrap());
    fake.status.send_replace(migrating.into());
    for verb in ["migrate", "restart"] {
        let terminal = nix::pty::openpty(&WIDE, None).unwrap();
        let mut command = fake.command(&[verb, "slow"]);
        command.stdout(terminal.slave).env("TERM", "xterm");
        let mut child = command.spawn().unwrap();
        drop(command);
        let held = fake.next_held();
        let mut master = std::fs::File::from(terminal.master);
        let shown = until(&mut master, "building index 43 %");
        assert!(shown.contains("migration: applies shop.0008_index"), "{shown:?}");
        held.send(Outcome::Done { message: "applied".into(), generation: None }).unwrap();
        until(&mut master, "applied");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

const WIDE: nix::pty::Winsize = nix::pty::Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };

const MIGRATION: &str = r#"{"run": 1, "database": "default", "phase": "running", "since_seconds": 12.0, "attempt": 1,
    "summary": "applies shop.0008_index since 12 s; building index 43 %"}"#;

/// Reads until `text` has been shown.
fn until(terminal: &mut std::fs::File, text: &str) -> String {
    let (mut shown, mut part, begun) = (Vec::new(), [0; 4096], Instant::now());
    loop {
        let count = std::io::Read::read(terminal, &mut part).expect("the command still writes");
        shown.extend_from_slice(&part[..count]);
        let so_far = String::from_utf8_lossy(&shown);
        assert!(begun.elapsed() < PATIENCE, "never shown: {text:?} in {so_far:?}");
        if so_far.contains(text) {
            return so_far.into_owned();
        }
    }
}
