//! Whether the code that serves goes on with the schema to come: what is known of it before anything is run, and what follows.

use serde::{Deserialize, Serialize};

use crate::plan::Breaking;

use super::super::app::Context;
use super::judge::counted;
use super::outcome::{Verdict, VerdictKind};
use super::report::Leftover;
use super::run::Migration;

/// What the database side foresees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// What breaks, the certain ones first.
    #[serde(default)]
    pub breaks: Vec<Breakage>,
    /// What cannot be told, in words.
    #[serde(default)]
    pub untold: Vec<String>,
    /// Whether it is known what the code that serves uses.
    #[serde(default)]
    pub known: bool,
    /// What operations lock and rewrite, for who asks what is pending.
    #[serde(default)]
    pub locks: Vec<LockNote>,
}

/// What one operation locks, or writes anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockNote {
    /// Its migration.
    pub migration: String,
    /// The operation, as Django describes it.
    #[serde(default)]
    pub operation: String,
    /// Who waits for what, and how it is done without.
    pub words: String,
}

impl Outlook {
    /// Whether nothing is foreseen.
    pub fn is_empty(&self) -> bool {
        *self == Outlook::default()
    }
}

/// Code that does not go on with a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakage {
    /// The pending migration that does it; `None` where the database is so already.
    #[serde(default)]
    pub migration: Option<String>,
    /// The operation of it, as Django describes it.
    #[serde(default)]
    pub operation: String,
    /// In which table.
    pub table: String,
    /// Which column, where it is about one.
    #[serde(default)]
    pub column: Option<String>,
    /// The model that uses it: `shop.Order`.
    pub model: String,
    /// Whether it breaks whatever the code does; else it depends on what the code writes.
    pub certain: bool,
    /// What happens to what.
    pub what: String,
    /// What that does to whom.
    #[serde(default)]
    pub effect: String,
    /// How it is done without.
    pub remedy: String,
}

impl Breakage {
    /// `goods.0002_x (Remove field price from good): column price of goods_good is removed: every query …`
    pub fn words(&self) -> String {
        let what = match self.effect.is_empty() {
            true => self.what.clone(),
            false => format!("{}: {}", self.what, self.effect),
        };
        match &self.migration {
            Some(name) if !self.operation.is_empty() => format!("{name} ({}): {what}", self.operation),
            Some(name) => format!("{name}: {what}"),
            None => what,
        }
    }

    fn cause(&self) -> String {
        match &self.migration {
            Some(name) => format!("{name} breaks {} of the code that serves: {}", self.model, self.what),
            None => format!("{} of the release to come does not fit the database: {}", self.model, self.what),
        }
    }

    fn leftover(&self) -> Leftover {
        Leftover { migration: None, what: self.words(), remedy: self.remedy.clone(), removed: false }
    }
}

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
