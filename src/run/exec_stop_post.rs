//! The end of a stop during which ostlerd itself has died: what `ExecStopPost=` runs.
//!
//! Where systemd starts ostlerd again, everything has to be left as it is; where it stops it for good, nothing may be
//! left. So nothing is done here unless a stop is under way. Then what is left ends as ostlerd would have ended it:
//! nobody new is let in, the workers finish what they have, and whatever is there after that is killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::adopt::Living;
use super::children::Children;
use super::daemon;
use super::daemon_paths::DaemonPaths;
use super::listeners::Listeners;
use super::scope::end;
use super::shell::Shell;
use super::socket_activation::Passed;
use super::state::{self, State, WorkerRecord};
use super::unix_socket::{SocketFile, SocketPath};
use super::{accept_queue, adopt, identity, jobs, wire};
use crate::config::{Address, AppName, counted};
use crate::control;
use crate::plan::Account;
use crate::supervise::StopSignal;

/// Workers are given their own time, and no more than this: systemd kills whoever cleans up after `TimeoutStopSec=`.
const MOST: Duration = Duration::from_secs(75);

/// So long those may wait who are in the queue of a listening socket: some workers may have been told to end already.
const QUEUES: Duration = Duration::from_secs(1);

/// Ends what an ostlerd has left that died while it was being stopped; does nothing where it is started again.
pub async fn finish_stop(paths: &DaemonPaths) {
    let children = Children::new();
    // Somebody may have started another one by hand.
    if !jobs::is_stop(&children).await || control::is_held(&paths.runtime.join("control.sock")) {
        return;
    }
    daemon::use_scopes(&children);
    match state::read(&state::path(&paths.runtime)) {
        Ok(Some(left)) => finish(&children, &left, &paths.runtime).await,
        Ok(None) => {}
        Err(error) => tracing::warn!("what ostlerd has left is killed: of its state, {error}"),
    }
    if let Some(scopes) = children.scopes() {
        for group in scopes.inhabited() {
            end(&group).await;
        }
        scopes.drop_slices();
    }
    state::remove(&state::path(&paths.runtime));
    // Only where it is left: systemd takes the whole directory away, unless the unit says otherwise.
    let _ = std::fs::remove_dir_all(paths.runtime.join("scoreboards"));
}

/// Lets nobody in any more, and gives the workers time for what they have.
async fn finish(children: &Children, left: &State, runtime: &Path) {
    let kept = &left.kept;
    remove_files(left, runtime).await;
    let living = adopt::living(children, &kept.workers);
    let patience = kept.snapshot.patience().min(MOST);
    let count = living.len();
    tracing::warn!(
        "ostlerd died while it was being stopped: {} left, with {patience:?} to finish what is under way",
        counted(count, "worker")
    );
    let deadline = Instant::now() + patience;
    let pids = living.iter().map(|(worker, living)| (*worker, living.process.pid()));
    // A migration most of all.
    daemon::end_others(children, &pids.collect::<BTreeMap<_, _>>()).await;
    if living.is_empty() {
        return;
    }
    let mut listeners = Listeners::new(Path::new("/"));
    for (app, records) in &kept.listeners {
        let owner = owner_of(left, app);
        adopt::take_back(&mut listeners, records, owner.as_ref(), &Passed::default(), living.values());
    }
    let _ = timeout(QUEUES, accept_queue::emptied(listeners.shut())).await;
    for (worker, living) in &living {
        hurry(kept.workers.iter().find(|record| record.id == *worker), living);
        wire::end_input_of(&living.process);
        if let Err(error) = living.process.stop(StopSignal::Terminate) {
            tracing::error!(%worker, %error, "worker {worker} could not be signalled");
        }
    }
    for living in living.values() {
        if timeout_at(deadline, living.process.ended()).await.is_err() {
            tracing::warn!("process {} has not finished in time and is killed", living.process.pid());
        }
    }
}

/// Says in a worker's slot that its app stops; one that cannot be told takes a little longer.
fn hurry(record: Option<&WorkerRecord>, living: &Living) {
    let (board, index) = (adopt::scoreboard_of(living), record.and_then(|record| record.slot));
    let told = board.zip(index).and_then(|(mut board, index)| {
        let slot = board.take_over(index)?;
        Some(board.hurry(&slot))
    });
    if let Some(Err(error)) = told {
        let pid = living.process.pid();
        tracing::warn!(
            "process {pid} cannot be told that its app stops, and waits for its keep-alive: {error}"
        );
    }
}

/// Whoever comes from now on is refused at once.
async fn remove_files(left: &State, runtime: &Path) {
    for (app, records) in &left.kept.listeners {
        let owner = owner_of(left, app);
        for record in records {
            if let (Address::Unix(path), Some(file)) = (&record.listen.address, record.file) {
                drop(SocketFile::again(SocketPath::new(path, &record.listen, owner.as_ref(), runtime), file));
            }
        }
    }
    Shell::files_removed().await;
}

/// Whom an app ran as.
fn owner_of(left: &State, app: &AppName) -> Option<Account> {
    let blueprints = left.kept.snapshot.blueprints(app);
    let of_blueprint = blueprints.first().and_then(|(_, blueprint)| blueprint.account.clone());
    let configured = || {
        let app = left.kept.config.apps.get(app)?;
        identity::account_of(app, &identity::own_account()).ok().flatten()
    };
    of_blueprint.or_else(configured)
}
