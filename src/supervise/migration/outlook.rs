//! Whether the code that serves goes on with the schema to come: what is known of it before anything is run, and what follows.

use serde::{Deserialize, Serialize};

use super::report::Leftover;

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

    pub(super) fn cause(&self) -> String {
        match &self.migration {
            Some(name) => format!("{name} breaks {} of the code that serves: {}", self.model, self.what),
            None => format!("{} of the release to come does not fit the database: {}", self.model, self.what),
        }
    }

    pub(super) fn leftover(&self) -> Leftover {
        Leftover { migration: None, what: self.words(), remedy: self.remedy.clone(), removed: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlook_is_empty_if_nothing_is_known_and_nothing_foreseen() {
        assert!(Outlook::default().is_empty());
        assert!(!Outlook { known: true, ..Outlook::default() }.is_empty());
        assert!(!Outlook { breaks: vec![Breakage::default()], ..Outlook::default() }.is_empty());
    }
}
