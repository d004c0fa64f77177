//! The scope of one process that is of no generation, such as the one that looks into a database: what that process has
//! started ends with it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::group::ControlGroup;
use super::left::end;
use super::place::{ScopeContents, ScopePurpose, ScopeSpec};
use crate::config::AppName;
use crate::run::children::Children;

/// How many there were in this ostlerd: no two have the same name.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The scope of one process. Where there are no scopes it is nothing, and there is nothing to end.
#[derive(Clone, Debug)]
pub(in crate::run) struct Alone(Option<ScopeSpec>);

impl Alone {
    /// For a process of an app.
    pub(in crate::run) fn of(children: &Children, app: &AppName, purpose: ScopePurpose) -> Alone {
        let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        Alone(children.place(app, ScopeContents::Alone(purpose, number)))
    }

    /// For a process that works for several apps: it is in none of their slices.
    pub(in crate::run) fn of_several(children: &Children, purpose: ScopePurpose) -> Alone {
        let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        Alone(children.scopes().map(|scopes| scopes.place_of_several(purpose, number)))
    }

    /// None, for what is in that of another process.
    pub(in crate::run) fn none() -> Alone {
        Alone(None)
    }

    /// For [`LaunchSpec::scope`](crate::run::launch_spec::LaunchSpec::scope).
    pub(in crate::run) fn place(&self) -> Option<ScopeSpec> {
        self.0.clone()
    }

    /// Kills all that is in it and does not wait. What is killed before it has entered the scope is not in it: its
    /// process is killed by itself.
    pub(in crate::run) fn kill(&self) {
        if let Some(group) = self.group()
            && let Err(error) = group.kill()
        {
            tracing::error!("{}: cannot be killed: {error}", group.name());
        }
    }

    /// Kills all that is in it, and waits until nothing is.
    pub(in crate::run) async fn end(&self) {
        if let Some(group) = self.group() {
            end(&group).await;
        }
    }

    fn group(&self) -> Option<ControlGroup> {
        self.0.as_ref().map(|place| ControlGroup::new(place.group.clone()))
    }
}
