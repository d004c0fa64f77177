//! Many edits in a row, faster than they can be brought in.

use super::{save, shop};
use crate::harness::Site;
use crate::load::Load;

/// The file with the key's line in place of the one that it has, above its tables.
fn with(text: &str, key: &str, line: &str) -> String {
    let lines = text.lines().filter(|old| !old.starts_with(&format!("{key} = ")));
    let (mut top, tables): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| !["[rollout]", "settle"].iter().any(|it| line.starts_with(it)));
    top.push(line);
    [top, tables].concat().join("\n") + "\n"
}

#[test]
fn after_hundreds_of_edits_under_load_what_runs_is_what_a_fresh_start_runs() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let load = Load::on(&app.target()).keep_alive(true).connections(2).start();
    load.more(20);
    let mut dice = 7_u32;
    let mut text = app.text();
    for edit in 0..200 {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = dice >> 24;
        text = match edit % 4 {
            0 => with(&text, "workers", &format!("workers = {}", 1 + number % 3)),
            1 => with(&text, "umask", &format!("umask = 0o0{}{}", number % 8, number / 8 % 8)),
            2 => with(&text, "backlog", &format!("backlog = {}", 100 + number)),
            _ => with(&text, "optional", &format!("optional = {}", number.is_multiple_of(2))),
        };
        save(&app.file, &text);
        // Some are waited for; most are put in force by themselves, while the one before is still under way.
        match number % 16 {
            0 => drop(ostlerd.ostler(&["reload"]).exits(0)),
            _ => load.more(20),
        }
    }
    // A reload that a later one overtakes is refused; the last one is not.
    ostlerd.ostler(&["reload"]).exits(0);
    let edited = ostlerd.serving("shop");
    load.more(20);
    load.stop().lost_nothing();
    ostlerd.ostler(&["reload", "--dry-run"]).exits(0).says(&["shop: nothing changes"]);
    drop(ostlerd);

    let fresh = site.start();
    let started = fresh.serving("shop");
    assert_eq!(
        (edited.workers_wanted, &edited.listeners, &edited.directory, &edited.runs),
        (started.workers_wanted, &started.listeners, &started.directory, &started.runs),
    );
}
