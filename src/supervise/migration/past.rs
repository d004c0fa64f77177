//! What the lines of a history mean: which run is unfinished, what is dirty, how long migrations took.

use std::collections::BTreeMap;

use super::{HistoryEntry, Past, Unfinished, Verdict, VerdictKind};

impl HistoryEntry {
    /// The runs, oldest first: the last line about a run and its database counts.
    pub fn runs(lines: Vec<HistoryEntry>) -> Vec<HistoryEntry> {
        let mut runs: Vec<HistoryEntry> = Vec::new();
        let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
        for line in lines {
            let key = (line.run.clone(), line.record.database.clone());
            match places.get(&key) {
                Some(&place) => runs[place] = line,
                None => {
                    places.insert(key, runs.len());
                    runs.push(line);
                }
            }
        }
        runs
    }
}

impl Past {
    /// What the next run has to know of the earlier ones.
    pub fn of(runs: &[HistoryEntry]) -> Past {
        let mut past = Past::default();
        let mut took: BTreeMap<&str, f64> = BTreeMap::new();
        for run in runs {
            let record = &run.record;
            took.extend(record.applied.iter().map(|applied| (applied.name.as_str(), applied.seconds)));
            if record.resolved {
                (past.dirty, past.marked, past.unfinished) = (None, None, None);
                continue;
            }
            if past.marked.as_ref() == Some(&record.database) {
                // It was run after the database had been asked: there it is put right.
                (past.dirty, past.marked) = (None, None);
            }
            let of_this = past.unfinished.as_ref().is_some_and(|it| it.database == record.database);
            match &record.verdict {
                // What came later has swept what was there before.
                Some(_) if of_this => past.unfinished = None,
                Some(_) => {}
                None => {
                    past.unfinished = Some(Unfinished {
                        run: run.run.clone(),
                        pending: record.pending.clone(),
                        database: record.database.clone(),
                    });
                }
            }
            if let Some(verdict) =
                record.verdict.as_ref().filter(|verdict| verdict.kind == VerdictKind::Dirty)
            {
                past.dirty = Some(dirty(run, verdict));
                past.marked = record.marked.then(|| record.database.clone());
            }
        }
        past.took = took.into_iter().map(|(name, seconds)| (name.to_owned(), seconds)).collect();
        past
    }
}

fn dirty(run: &HistoryEntry, verdict: &Verdict) -> String {
    let mut text = format!("the run {} of {}: {}", run.run, run.started, verdict.reason);
    for leftover in verdict.leftovers.iter().filter(|leftover| !leftover.removed) {
        text.push_str(&format!("\n{}: {}", leftover.what, leftover.remedy));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::{AppliedMigration, Leftover, Record};

    fn line(run: &str, database: &str, verdict: Option<VerdictKind>) -> HistoryEntry {
        let verdict = verdict.map(|kind| Verdict {
            leftovers: vec![Leftover {
                what: "index x is INVALID".to_owned(),
                remedy: "DROP INDEX x;".to_owned(),
                ..Leftover::default()
            }],
            ..Verdict::of(kind, "because")
        });
        let pending = vec!["shop.0001".to_owned()];
        let record = Record { database: database.to_owned(), pending, verdict, ..Record::default() };
        HistoryEntry { run: run.to_owned(), record, ..HistoryEntry::default() }
    }

    fn of(lines: &[HistoryEntry]) -> Past {
        Past::of(&HistoryEntry::runs(lines.to_vec()))
    }

    #[test]
    fn a_run_without_an_end_is_unfinished_until_a_later_one_ends() {
        let begun = line("1", "default", None);
        let unfinished = of(std::slice::from_ref(&begun)).unfinished.unwrap();
        assert_eq!((unfinished.run.as_str(), unfinished.pending.len()), ("1", 1));
        let ended = line("1", "default", Some(VerdictKind::Applied));
        assert_eq!(of(&[begun.clone(), ended]).unfinished, None);
        let later = [line("2", "default", None), line("2", "default", Some(VerdictKind::Applied))];
        assert_eq!(of(&[std::slice::from_ref(&begun), &later[..]].concat()).unfinished, None);
        let elsewhere = line("2", "other", Some(VerdictKind::Applied));
        assert_eq!(of(&[begun, elsewhere]).unfinished.unwrap().run, "1");
    }

    #[test]
    fn what_is_dirty_stays_so_until_a_person_says_otherwise() {
        let dirty = line("1", "default", Some(VerdictKind::Dirty));
        let words = of(&[dirty.clone(), line("2", "default", Some(VerdictKind::Nothing))]).dirty.unwrap();
        assert!(words.contains("because") && words.contains("DROP INDEX x;"), "{words}");
        let mut resolved = line("3", "", None);
        resolved.record.resolved = true;
        assert_eq!(of(&[dirty.clone(), resolved.clone()]), Past::default());
        assert!(of(&[resolved, dirty]).dirty.is_some());
    }

    #[test]
    fn what_the_database_keeps_itself_is_over_with_the_next_run_there() {
        let mut dirty = line("1", "default", Some(VerdictKind::Dirty));
        dirty.record.marked = true;
        let past = of(std::slice::from_ref(&dirty));
        assert_eq!((past.dirty.is_some(), past.marked.as_deref()), (true, Some("default")));
        let elsewhere = of(&[dirty.clone(), line("2", "other", Some(VerdictKind::Applied))]);
        assert!(elsewhere.dirty.is_some());
        let after = of(&[dirty.clone(), line("2", "default", Some(VerdictKind::Applied))]);
        assert_eq!((after.dirty, after.marked), (None, None));
        let mut again = line("2", "default", Some(VerdictKind::Dirty));
        again.record.marked = true;
        assert!(of(&[dirty, again]).dirty.is_some());
    }

    #[test]
    fn the_newest_time_of_a_migration_counts() {
        let applied = |run: &str, seconds| {
            let mut line = line(run, "default", Some(VerdictKind::Applied));
            line.record.applied = vec![AppliedMigration { name: "shop.0001".to_owned(), seconds }];
            line
        };
        assert_eq!(of(&[applied("1", 4.0), applied("2", 9.0)]).took, [("shop.0001".to_owned(), 9.0)]);
    }
}
