//! How a database side comes to be: in its turn, and with as much time as it has a processor for.
//!
//! What is opened loads an app. On a machine that starts, every app is loaded at once: a few at a time are done sooner than
//! all together, and one that waits for a processor hangs no more than one that waits for its turn. One that hangs in its
//! turn holds up the others for a moment only.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::database::{self, DatabaseHandle, DatabasePatience, DatabaseTask};
use crate::migrate::{MigrateOrders, WatchOrder};
use crate::plan::Blueprint;
use crate::run::children::Children;
use crate::run::proc;
use crate::supervise::{MigrationFact, Trouble, TroubleKind};

/// The longest turn: whoever takes longer goes on beside the next.
const TURN: Duration = Duration::from_secs(10);
/// How often one that waits says so.
const SIGN: Duration = Duration::from_secs(10);
/// So many times its limit may pass while it waits for a processor.
const MOST: u32 = 10;

/// How many are opened at once.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(super) fn new(at_once: u32) -> Turns {
        Turns(Arc::new(Semaphore::new(at_once.max(1) as usize)))
    }

    async fn next(&self) -> OwnedSemaphorePermit {
        self.0.clone().acquire_owned().await.expect("nobody closes it")
    }
}

/// How long one may take to open.
#[derive(Debug)]
pub(super) struct OpenLimit {
    limit: Duration,
    /// For how long it has waited for a processor, as far as that was counted.
    waited: Duration,
    /// Dropped, its turn is over.
    opens: Option<oneshot::Sender<Infallible>>,
}

impl OpenLimit {
    /// From its start, with what does not count.
    pub(super) fn limit(&self) -> Duration {
        self.limit + self.waited
    }

    /// As it is configured.
    pub(super) fn configured(&self) -> Duration {
        self.limit
    }

    /// Its time is over: whether it gets more, because it had to wait for a processor.
    pub(super) fn goes_on(&mut self, pid: i32) -> bool {
        let waited = proc::waited_for_a_processor(pid).min(self.limit * (MOST - 1));
        let more = waited.saturating_sub(self.waited);
        self.waited = waited.max(self.waited);
        more >= self.limit / 20
    }

    pub(super) fn is_open(&mut self) {
        self.opens = None;
    }
}

/// Opens a database when its turn comes. What is heard of it is told, first of all that it waits.
pub(super) fn open(
    (children, blueprint): (Children, Arc<Blueprint>),
    orders: MigrateOrders,
    (patience, limit): (DatabasePatience, Duration),
    turns: Turns,
    mut tell: impl FnMut(MigrationFact) + Send + 'static,
) -> (DatabaseHandle, impl Future<Output = ()> + Send + 'static) {
    let (database, mut told) = database::database();
    let task = async move {
        let Some(turn) = turn(&turns, &mut told, &mut tell).await else { return };
        let (opens, opened) = oneshot::channel();
        tokio::spawn(async move {
            let _ = timeout(TURN, opened).await;
            drop(turn);
        });
        let opens = OpenLimit { limit, waited: Duration::ZERO, opens: Some(opens) };
        tell(MigrationFact::Opening);
        match database::start(&children, &blueprint, &orders, (patience, opens), told) {
            Ok(task) => DatabaseTask::run(task, tell).await,
            Err(message) => tell(MigrationFact::DatabaseFailed(Trouble {
                kind: TroubleKind::Broken,
                message,
                traceback: String::new(),
            })),
        }
    };
    (database, task)
}

/// Its turn; none if nobody wants it any more: until it is open, all that it can be told is to quit.
async fn turn(
    turns: &Turns,
    told: &mut mpsc::UnboundedReceiver<WatchOrder>,
    tell: &mut impl FnMut(MigrationFact),
) -> Option<OwnedSemaphorePermit> {
    let turn = turns.next();
    tokio::pin!(turn);
    loop {
        tokio::select! {
            biased;
            _ = told.recv() => return None,
            waited = timeout(SIGN, &mut turn) => match waited {
                Ok(turn) => return Some(turn),
                Err(_) => tell(MigrationFact::Opening),
            },
        }
    }
}
