//! The Unix sockets of apps: what is done to their files is done apart from the loop, and what needs them waits for that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Shell;
use crate::config::AppName;
use crate::plan::{Blueprint, Prepared};
use crate::run::accept_queue::ClosedListener;
use crate::run::files;
use crate::run::inbox::{AllDone, Inbound};
use crate::run::listeners::bound::SocketName;
use crate::run::listeners::{Done, FileOrder, Listeners, carry_out};
use crate::run::unix_socket::removal;
use crate::supervise::{Exit, ProcessFact, ProcessId, Start};

impl Shell {
    /// What is to be done to files before an app can be bound, beside what is done already.
    pub(in crate::run) fn socket_orders(&self, blueprint: &Blueprint, done: &AllDone) -> Vec<FileOrder> {
        let done = done.get(&blueprint.app).map(Vec::as_slice).unwrap_or_default();
        let (listen, owner) = (&blueprint.listen, blueprint.account.as_ref());
        let mut orders = match self.apps.get(&blueprint.app) {
            Some(runtime) => runtime.listeners.orders(listen, owner, &self.passed),
            None => Listeners::new(&self.runtime_directory).orders(listen, owner, &self.passed),
        };
        orders.retain(|order| !done.iter().any(|it| it.is_of(order)));
        orders
    }

    /// Carries out orders, and sends the driver what is to be done `then`.
    pub(in crate::run) fn carry_out(
        &self,
        orders: BTreeMap<AppName, Vec<FileOrder>>,
        mut done: AllDone,
        then: impl FnOnce(AllDone) -> Inbound + Send + 'static,
    ) {
        let inbox = self.outbox.inbox.clone();
        tokio::spawn(async move {
            for (app, orders) in orders {
                let more = carry_out(&app, orders).await;
                done.entry(app).or_default().extend(more);
            }
            // The driver outlives its tasks.
            let _ = inbox.send(then(done));
        });
    }

    /// The same for one app, where there is no loop yet.
    pub(in crate::run) async fn bind_at_start(&mut self, app: &AppName, prepared: Prepared) -> Prepared {
        let plan = prepared?;
        let orders = self.socket_orders(&plan.blueprint, &AllDone::new());
        let done = carry_out(app, orders).await;
        self.bind(app, Ok(plan), done)
    }

    /// Sockets that could not be taken back are bound anew, where nobody has them.
    pub(in crate::run) async fn bind_what_is_lost(&mut self) {
        for (app, runtime) in &mut self.apps {
            let blueprint = runtime.blueprint.clone();
            if !runtime.listeners.lacks(&blueprint.listen) {
                continue;
            }
            let orders =
                runtime.listeners.orders(&blueprint.listen, blueprint.account.as_ref(), &self.passed);
            let done = carry_out(app, orders).await;
            match runtime.listeners.bind_with(&blueprint.listen, &self.passed, done) {
                Ok(()) => {
                    tracing::warn!(app = app.as_str(), "sockets that could not be taken back are bound anew")
                }
                Err(error) => tracing::error!(
                    app = app.as_str(),
                    "{app}: a socket can be neither taken back from a worker nor bound anew, so no worker can be started \
                     until the ones that hold it have ended: {error}"
                ),
            }
        }
        self.passed = std::sync::Arc::new(self.passed.without_own());
    }

    /// Gives a start back where it need not wait for sockets.
    pub(super) fn held_back(&mut self, start: Start) -> Option<Start> {
        let blueprint = start.blueprint.clone();
        let Some(runtime) = self.apps.get_mut(&blueprint.app) else { return Some(start) };
        if !runtime.makes_sockets {
            let mut orders = runtime.listeners.replacements(blueprint.account.as_ref());
            if runtime.listeners.lacks(&blueprint.listen) {
                let missing =
                    runtime.listeners.orders(&blueprint.listen, blueprint.account.as_ref(), &self.passed);
                orders.extend(missing);
            }
            if orders.is_empty() {
                return Some(start);
            }
            self.make_sockets(&blueprint.app, orders);
        }
        self.apps.get_mut(&blueprint.app)?.waiting.push(start);
        None
    }

    /// Has sockets that have refused for the last time replaced.
    pub(super) fn replace_sockets(&mut self, app: &AppName) {
        let Some(runtime) = self.apps.get(app).filter(|it| !it.makes_sockets) else { return };
        let orders = runtime.listeners.replacements(runtime.blueprint.account.as_ref());
        if !orders.is_empty() {
            self.make_sockets(app, orders);
        }
    }

    fn make_sockets(&mut self, app: &AppName, orders: Vec<FileOrder>) {
        if let Some(runtime) = self.apps.get_mut(app) {
            runtime.makes_sockets = true;
        }
        let name = app.clone();
        self.carry_out(BTreeMap::from([(app.clone(), orders)]), AllDone::new(), |mut done| {
            let done = done.remove(&name).unwrap_or_default();
            Inbound::SocketsMade { app: name, done }
        });
    }

    /// Sockets were made, or could not be: whatever waits for them goes on.
    pub(in crate::run) fn sockets_made(&mut self, name: &AppName, done: Vec<Done>) {
        let passed = self.passed();
        let Some(runtime) = self.apps.get_mut(name) else { return };
        runtime.makes_sockets = false;
        let waiting = std::mem::take(&mut runtime.waiting);
        let made = runtime.listeners.replace(done);
        let Some(blueprint) = waiting.first().map(|start| start.blueprint.clone()) else {
            if let Err(error) = made {
                let app = name.as_str();
                tracing::error!(app, "{name}: no worker can be started: {error}");
            }
            return;
        };
        let made = made.and_then(|rest| runtime.listeners.bind_with(&blueprint.listen, &passed, rest));
        if let Err(error) = made {
            let reason = error.to_string();
            for start in waiting {
                self.report(ProcessFact::NotStarted(reason.clone()).of(start.process));
            }
            return;
        }
        // The app may have been stopped meanwhile, and what was made have come too late.
        let again = runtime.listeners.replacements(blueprint.account.as_ref());
        if again.is_empty() {
            waiting.into_iter().for_each(|start| self.start(start));
        } else {
            runtime.waiting = waiting;
            self.make_sockets(name, again);
        }
    }

    /// Gives up a start that waits for sockets; whether it was one.
    pub(super) fn give_up_waiting(&mut self, worker: ProcessId) -> bool {
        let is_it = |start: &Start| start.process == worker;
        let Some(runtime) = self.apps.values_mut().find(|runtime| runtime.waiting.iter().any(is_it)) else {
            return false;
        };
        runtime.waiting.retain(|start| !is_it(start));
        self.report(ProcessFact::Exited(Exit::Unknown).of(worker));
        true
    }

    /// Waits until the files of sockets that are closed have gone; those that hang are left.
    pub(in crate::run) async fn files_removed() {
        if let Err(held) = files::within("socket files".to_owned(), files::FEW, removal::wait_for_all).await {
            tracing::warn!("{held}");
        }
    }
}

/// The same of sockets that were shut.
pub(super) async fn files_removed_of(app: &AppName, closed: &[ClosedListener]) {
    let path = |listener: &ClosedListener| match &listener.name {
        SocketName::Unix(path) => Some(path.clone()),
        _ => None,
    };
    let paths: Vec<PathBuf> = closed.iter().filter_map(path).collect();
    if !paths.is_empty() {
        let gone = move || paths.iter().for_each(|path| drop(removal::wait_for(path)));
        // Nobody comes through a file system that does not answer.
        let _ = files::within(app.to_string(), files::FEW, gone).await;
    }
}
