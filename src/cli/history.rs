//! The history of an app's migrations, as a person reads it.

use crate::config::counted;
use crate::observe::{backend, time};
use crate::supervise::{HistoryEntry, Record, Verdict};

use super::screen::{Colour, Screen, one_line};
use super::verdict;

/// Every run, newest last.
///
/// ```text
/// 2026-03-01T12:00:00Z  web1  /srv/shop/releases/42  default  applied, 12 s
///   shop.0007_price in 12 s
///   others waited behind it for up to 0.4 s
/// ```
pub(super) fn render(runs: &[HistoryEntry], screen: Screen) -> String {
    if runs.is_empty() {
        return "no migration was run here yet".to_owned();
    }
    let mut lines = Vec::new();
    for run in runs {
        entry(run, screen, &mut lines);
    }
    lines.join("\n")
}

fn entry(run: &HistoryEntry, screen: Screen, lines: &mut Vec<String>) {
    let HistoryEntry { run: _, host, release, started, output: _, record } = run;
    let head = [started, host, release, &record.database].map(|it| one_line(it));
    let head: Vec<&str> = head.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
    let (words, ink) = ending(record);
    lines.push(format!("{}  {}", head.join("  "), screen.paint(ink, &words)));
    let mut say = |text: String| lines.push(format!("  {}", one_line(&text)));
    for applied in &record.applied {
        say(format!("{} in {}", applied.name, time(applied.seconds)));
    }
    if record.attempts > 1 {
        say(counted(record.attempts, "try"));
    }
    if record.longest_stall > 0.0 {
        say(format!("others waited behind it for up to {}", time(record.longest_stall)));
    }
    for blocker in &record.blockers {
        say(format!("blocked by {}", backend(blocker)));
    }
    if let Some(reason) = &record.aborted {
        say(format!("it was ended: {reason}"));
    }
    if !record.rungs.is_empty() {
        let rungs = record.rungs.iter().map(|taken| format!("{} ({})", taken.rung, time(taken.seconds)));
        say(format!("how: {}", rungs.collect::<Vec<_>>().join(", ")));
    }
    for warning in &record.opened.warnings {
        say(format!("warning: {warning}"));
    }
    if let Some(why) = &record.opened.unwatched {
        say(format!("unwatched: {why}"));
    }
    let leftovers = record.verdict.iter().flat_map(|verdict| &verdict.leftovers);
    lines.extend(leftovers.flat_map(verdict::leftover).map(|line| format!("  {line}")));
}

fn ending(record: &Record) -> (String, Colour) {
    let took = time(record.seconds);
    match &record.verdict {
        _ if record.resolved => ("resolved: a person said so".to_owned(), Colour::Green),
        None => ("under way, or ostlerd did not live to see its end".to_owned(), Colour::Yellow),
        // Of what was applied the names are told; else what it was run for.
        Some(Verdict { kind, reason, applied, .. })
            if kind.is_good() && applied.is_empty() && !reason.is_empty() =>
        {
            (format!("{kind}, {took}: {}", one_line(reason)), Colour::Green)
        }
        Some(Verdict { kind, .. }) if kind.is_good() => (format!("{kind}, {took}"), Colour::Green),
        Some(Verdict { kind, reason, .. }) => (format!("{kind}, {took}: {}", one_line(reason)), Colour::Red),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::{
        AbortReason, AppliedMigration, Backend, Leftover, Opened, RungTaken, StopSignal, VerdictKind,
    };
    use std::time::Duration;

    const DARK: Screen = Screen { live: false, colour: false };

    fn run(record: Record) -> HistoryEntry {
        HistoryEntry {
            run: "3f2a".into(),
            host: "web1".into(),
            release: "/srv/shop/releases/42".into(),
            started: "2026-03-01T12:00:00Z".into(),
            output: vec!["  Applying …".into()],
            record: Record { database: "default".into(), ..record },
        }
    }

    fn verdict(kind: VerdictKind, reason: &str) -> Option<Verdict> {
        Some(Verdict::of(kind, reason))
    }

    #[test]
    fn each_run_is_told_with_what_it_did_to_others() {
        let applied = vec![AppliedMigration { name: "shop.0007_price".into(), seconds: 12.2 }];
        let good = Record { applied, seconds: 12.4, longest_stall: 0.4, ..Record::default() };
        let mut good = Record { verdict: verdict(VerdictKind::Applied, "all"), ..good };
        good.verdict.as_mut().unwrap().applied = vec!["shop.0007_price".into()];
        let owed = Record {
            seconds: 1.5,
            verdict: verdict(VerdictKind::Applied, "for what hangs on it"),
            ..Record::default()
        };
        let psql = Backend {
            pid: 4711,
            application: "psql".into(),
            state: "idle in transaction".into(),
            query: "SELECT  1\nFROM x".into(),
            seconds: 200,
        };
        let mut bad = Record {
            attempts: 10,
            blockers: vec![psql],
            aborted: Some(AbortReason::Harm(Duration::from_secs(3))),
            rungs: vec![
                RungTaken { rung: StopSignal::Cancel, seconds: 2.0 },
                RungTaken { rung: StopSignal::Interrupt, seconds: 0.1 },
            ],
            opened: Opened { warnings: vec!["no lock_timeout".into()], ..Opened::default() },
            seconds: 65.0,
            verdict: verdict(VerdictKind::Dirty, "an index is left"),
            ..Record::default()
        };
        let index = Leftover {
            what: "index x is INVALID".into(),
            remedy: "DROP INDEX x;".into(),
            ..Leftover::default()
        };
        bad.verdict.as_mut().unwrap().leftovers = vec![index];
        let resolved = Record { resolved: true, ..Record::default() };
        let shown = render(&[run(good), run(owed), run(bad), run(resolved), run(Record::default())], DARK);
        let expected = "\
2026-03-01T12:00:00Z  web1  /srv/shop/releases/42  default  applied, 12 s
  shop.0007_price in 12 s
  others waited behind it for up to 0.4 s
2026-03-01T12:00:00Z  web1  /srv/shop/releases/42  default  applied, 1.5 s: for what hangs on it
2026-03-01T12:00:00Z  web1  /srv/shop/releases/42  default  dirty, 1 min 5 s: an index is left
  10 tries
  blocked by pid 4711 (psql, idle in transaction, for 3 min 20 s: SELECT 1 FROM x)
  it was ended: others waited behind it for 3.0 s
  how: cancel its statements (2.0 s), SIGINT (0.1 s)
  warning: no lock_timeout
  index x is INVALID
      DROP INDEX x;
2026-03-01T12:00:00Z  web1  /srv/shop/releases/42  default  resolved: a person said so
2026-03-01T12:00:00Z  web1  /srv/shop/releases/42  default  under way, or ostlerd did not live to see its end";
        assert_eq!(shown, expected);
        assert_eq!(render(&[], DARK), "no migration was run here yet");
    }
}
