//! What an app's Django has shown of itself when its database was opened, beside what is pending there.

use serde::{Deserialize, Serialize};

/// What is known of the app once it has been loaded as far as its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DjangoSeen {
    /// The module of its settings.
    #[serde(default)]
    pub settings: Option<String>,
    /// Why there is nothing to migrate: it does not load Django, or has no database.
    #[serde(default)]
    pub none: Option<String>,
    /// Entries of `DATABASES` that nobody migrates, and in which something is pending.
    #[serde(default)]
    pub others: Vec<OtherDatabase>,
}

/// An entry of `DATABASES` that is not in `database` of `[migrate]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherDatabase {
    /// Its alias.
    pub name: String,
    /// How many migrations it lacks.
    pub pending: u32,
}

impl DjangoSeen {
    /// With what another of the app's databases has shown.
    pub(super) fn joined(self, other: &DjangoSeen) -> DjangoSeen {
        let others = if self.others.is_empty() { other.others.clone() } else { self.others };
        DjangoSeen { settings: other.settings.clone(), none: other.none.clone(), others }
    }

    /// What its owner should know, one sentence each.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.others.iter().map(OtherDatabase::words)
    }
}

impl OtherDatabase {
    fn words(&self) -> String {
        let OtherDatabase { name, pending } = self;
        let migrations = if *pending == 1 { "migration" } else { "migrations" };
        format!(
            "the database {name} has {pending} pending {migrations} and is not in `database` of [migrate]: nothing migrates it"
        )
    }
}
