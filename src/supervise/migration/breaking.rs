//! What would break the code that serves: said, or the end of the run before it has begun.

use super::judge::counted;
use super::outcome::{Verdict, VerdictKind};
use super::outlook::Breakage;
use super::run::Migration;
use crate::plan::Breaking;
use crate::supervise::context::Context;

impl Migration {
    /// Says what is foreseen; what breaks the code that serves ends the run before it has begun, unless it is accepted.
    /// Whether it did.
    pub(super) fn is_refused(&mut self, context: &mut Context<'_>) -> bool {
        let outlook = *std::mem::take(&mut self.session.pending.outlook);
        for words in outlook.untold {
            self.warn(context, words);
        }
        let (certain, possible): (Vec<_>, Vec<_>) = outlook.breaks.into_iter().partition(|it| it.certain);
        for breakage in &possible {
            self.warn(
                context,
                format!("may break the code that serves: {}; {}", breakage.words(), breakage.remedy),
            );
        }
        let accepted = match (self.accepts_breakage, self.migrate.breaking) {
            _ if certain.is_empty() => return false,
            (true, _) => "--accept-breakage",
            (false, Breaking::Warn) => "[migrate] breaking = \"warn\"",
            (false, Breaking::Refuse) => {
                self.conclude(context, refusal(&certain));
                return true;
            }
        };
        for breakage in &certain {
            self.warn(context, format!("goes on all the same ({accepted}): breaks {}", breakage.words()));
        }
        false
    }
}

fn refusal(breaks: &[Breakage]) -> Verdict {
    let first = breaks.first().map(Breakage::cause).unwrap_or_default();
    let more = match breaks.len() {
        0 | 1 => String::new(),
        count => format!("; and {}", counted(count - 1, "thing more", "things more")),
    };
    let words = format!("nothing was run: {first}{more}");
    let leftovers = breaks.iter().map(Breakage::leftover).collect();
    Verdict { leftovers, ..Verdict::of(VerdictKind::Refused, &words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_first_that_breaks_and_has_a_way_for_each() {
        let breaks = |migration: Option<&str>, what: &str| Breakage {
            migration: migration.map(str::to_owned),
            operation: "Remove field x".to_owned(),
            model: "shop.Order".to_owned(),
            certain: true,
            what: what.to_owned(),
            effect: "it fails".to_owned(),
            remedy: "in two releases".to_owned(),
            ..Breakage::default()
        };
        let one = refusal(&[breaks(Some("shop.0002_x"), "column x is removed")]);
        assert_eq!(
            one.reason,
            "nothing was run: shop.0002_x breaks shop.Order of the code that serves: column x is removed"
        );
        let [left] = one.leftovers.as_slice() else { panic!("{one:?}") };
        assert_eq!(left.what, "shop.0002_x (Remove field x): column x is removed: it fails");
        assert_eq!((left.remedy.as_str(), one.kind), ("in two releases", VerdictKind::Refused));
        let two = refusal(&[breaks(None, "column x is removed"), breaks(None, "table y is removed")]);
        assert_eq!(two.leftovers.len(), 2);
        assert!(
            two.reason.contains("shop.Order of the release to come does not fit the database"),
            "{two:?}"
        );
        assert!(two.reason.ends_with("; and 1 thing more"), "{two:?}");
    }
}
