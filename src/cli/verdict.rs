//! How a migration ended, as a person reads it who has to do something about it now.

use crate::observe::next_step;
use crate::supervise::{Leftover, Verdict};

use super::screen::{one_line, plain, set_off};

/// All that is known of a bad end, below its sentence: the migration's own words, what is applied and what is left
/// behind, each with its remedy, and what to do next.
pub(super) fn explanation(app: &str, verdict: &Verdict) -> String {
    let mut parts = Vec::new();
    if !verdict.detail.trim().is_empty() {
        parts.push(set_off(&verdict.detail).trim_end().to_owned());
    }
    if !verdict.applied.is_empty() {
        parts.push(format!("applied: {}", one_line(&verdict.applied.join(", "))));
    }
    let remedies = remedies(app, verdict);
    if !remedies.is_empty() {
        parts.push(remedies);
    }
    parts.join("\n\n")
}

/// What is left behind, each with its remedy on lines of their own to be copied, and what to do next.
///
/// ```text
/// shop.0008_index: index shop_order_x is INVALID
///     DROP INDEX CONCURRENTLY "shop_order_x";
/// next: …
/// ```
pub(super) fn remedies(app: &str, verdict: &Verdict) -> String {
    let mut lines: Vec<String> = verdict.leftovers.iter().flat_map(leftover).collect();
    let next = next_step(app, verdict);
    if !next.is_empty() {
        lines.push(format!("next: {next}"));
    }
    lines.join("\n")
}

pub(super) fn leftover(leftover: &Leftover) -> Vec<String> {
    let Leftover { migration, what, remedy, removed } = leftover;
    let of = migration.as_ref().map(|name| format!("{}: ", one_line(name))).unwrap_or_default();
    if *removed {
        return vec![format!("{of}{} (removed)", one_line(what))];
    }
    let mut lines = vec![format!("{of}{}", one_line(what))];
    lines.extend(plain(remedy).lines().map(|line| format!("    {line}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::VerdictKind;

    fn verdict(kind: VerdictKind) -> Verdict {
        Verdict::of(kind, "it is so")
    }

    #[test]
    fn a_dirty_database_is_told_with_every_remedy_and_the_way_out() {
        let mut dirty = verdict(VerdictKind::Dirty);
        dirty.detail = "Traceback (most recent call last):\n  x\x1b[2J\n".into();
        dirty.applied = vec!["shop.0007_price".into()];
        dirty.leftovers = vec![
            Leftover {
                migration: Some("shop.0008_index".into()),
                what: "index shop_order_x is INVALID".into(),
                remedy: "DROP INDEX CONCURRENTLY \"shop_order_x\";\nselect 1;".into(),
                removed: false,
            },
            Leftover { what: "index y is INVALID".into(), removed: true, ..Leftover::default() },
        ];
        let expected = "    Traceback (most recent call last):
      x\u{fffd}[2J

applied: shop.0007_price

shop.0008_index: index shop_order_x is INVALID
    DROP INDEX CONCURRENTLY \"shop_order_x\";
    select 1;
index y is INVALID (removed)
next: nothing migrates by itself until you have done this and said so, on any server: `ostler migrate shop --resolve`";
        assert_eq!(explanation("shop", &dirty), expected);
    }

    #[test]
    fn every_bad_end_has_a_next_step_and_a_good_one_has_none() {
        use VerdictKind::*;
        for kind in [Retryable, Failed, Partial, Dirty, Unknown] {
            assert!(remedies("shop", &verdict(kind)).contains("`ostler migrate shop"), "{kind}");
        }
        assert!(remedies("shop", &verdict(Refused)).contains("`ostler restart shop --accept-breakage`"));
        for kind in [Nothing, Applied] {
            assert_eq!(explanation("shop", &verdict(kind)), "");
        }
    }
}
