//! Which migrations of an app run before a rollout, or why none do: from its plan, and from what its last run has seen.

use std::sync::Arc;

use crate::plan::{Migrate, MigrateCommand, NoMigrations, Policy};

use super::migration::DjangoSeen;
use super::state::App;

impl App {
    /// In words; `None` while nothing of the app could be prepared.
    pub(super) fn migrations(&self) -> Option<String> {
        let (migrate, policy) = self.migrate_wanted()?;
        let seen = self.databases.last.as_ref().map(|last| &last.seen);
        Some(match (migrate, policy.no_migrations) {
            (Some(migrate), _) => words(migrate, seen),
            (None, Some(why)) => why.to_string(),
            (None, None) => "none".to_owned(),
        })
    }

    /// What is pending and nobody applies, and what may be so unseen; one sentence each.
    pub(super) fn unmigrated(&self) -> Vec<String> {
        let Some((migrate, policy)) = self.migrate_wanted() else { return Vec::new() };
        let last = self.databases.last.as_ref().filter(|_| migrate.is_some());
        let mut words: Vec<String> = last.into_iter().flat_map(|last| last.seen.warnings()).collect();
        let none = match migrate {
            Some(_) => last.is_some_and(|last| last.seen.none.is_some() && last.seen.settings.is_none()),
            None => policy.no_migrations == Some(NoMigrations::NotLoaded),
        };
        let proof = self.serving.as_ref().and_then(|serving| serving.proof.as_ref());
        if none && proof.is_some_and(|proof| proof.urls.is_some()) {
            words.push(format!(
                "{} is an app of Django's, as its workers show, and its migrations do not run, since that was not to be seen \
                 before: write enabled = true, or false, in [migrate]",
                self.name
            ));
        }
        words
    }

    /// Of the generation that is wanted; before the first, of the one that is about to be.
    fn migrate_wanted(&self) -> Option<(Option<&Arc<Migrate>>, &Policy)> {
        let coming = || self.databases.wanted().map(|it| (it.plan.migrate.as_ref(), &it.plan.policy));
        let last = || self.databases.last_plan.as_ref().map(|it| (it.migrate.as_ref(), &it.policy));
        let target = self.target().map(|it| (it.migrate.as_ref(), &it.policy));
        target.or_else(coming).or_else(last)
    }
}

fn words(migrate: &Migrate, seen: Option<&DjangoSeen>) -> String {
    let found = matches!(migrate.command, MigrateCommand::DjangoApp { .. });
    match seen.filter(|_| migrate.command.is_django()) {
        Some(DjangoSeen { none: Some(why), .. }) if found => format!("none: {why}"),
        Some(DjangoSeen { settings: Some(settings), .. }) => migrate.djangos(Some(settings)),
        _ => migrate.to_string(),
    }
}
