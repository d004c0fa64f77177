//! The database side of a run: the process `watch`, what it is told and what it tells.
//!
//! ```text
//! started ─► opened ─► order ─► answer ─► … ─► quit, or end of file ─► ends in a moment, or is killed
//!    └──────────┴─► it says that it failed, it ends, it is silent for too long: told once, and killed
//! ```

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::bounded;
use super::log::Log;
use super::opening::OpenLimit;
use super::output::OutputReader;
use super::speech::Speech;
use crate::config::counted;
use crate::migrate::{MigrateOrders, WatchMessage, WatchOrder, bundle};
use crate::plan::Blueprint;
use crate::run::children::Children;
use crate::run::launch_spec::LaunchSpec;
use crate::run::process::ProcessHandle;
use crate::run::scope::{Alone, ScopePurpose};
use crate::run::worker_process::{launch_spec, start_interpreter};
use crate::supervise::{MigrationFact, StopSignal, Trouble, TroubleKind};

/// How long it has to write its stacks.
const STACKS: Duration = Duration::from_millis(500);

/// So much may wait to be read by it.
const UNREAD_MOST: usize = 4 * 1024 * 1024;

/// How long the database side may be silent while it owes an answer. A little less than the core waits for it, so that its
/// last words are told.
#[derive(Clone, Copy, Debug)]
pub struct DatabasePatience {
    /// For the lock, between two words of who has it: what a dead run left is ended first.
    pub lock: Duration,
    /// For anything else; the contract has it answer within 5 s.
    pub answer: Duration,
    /// Between two signs of life of one that gives any: one that stands still is replaced.
    pub beat: Duration,
    /// From `quit` to its end.
    pub end: Duration,
}

impl Default for DatabasePatience {
    fn default() -> DatabasePatience {
        DatabasePatience {
            lock: Duration::from_secs(58),
            answer: Duration::from_secs(15),
            beat: Duration::from_secs(5),
            end: Duration::from_secs(5),
        }
    }
}

/// Tells the database side what to do. Dropped, it ends.
#[derive(Clone, Debug)]
pub(super) struct DatabaseHandle {
    orders: mpsc::UnboundedSender<WatchOrder>,
}

/// Hears of the database side: [`DatabaseTask::run`].
#[derive(Debug)]
pub(super) struct DatabaseTask {
    process: Arc<ProcessHandle>,
    scope: Alone,
    patience: DatabasePatience,
    /// How long it may take to open.
    opens: OpenLimit,
    orders: mpsc::UnboundedReceiver<WatchOrder>,
    control: Arc<UnixStream>,
    speech: Speech<WatchMessage>,
    output: OutputReader,
    unsent: Vec<u8>,
    owed: BTreeSet<OwedAnswer>,
    heard: Instant,
    /// When it last gave a sign of life, where it does.
    beat: Option<Instant>,
}

/// What it has been asked and not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum OwedAnswer {
    Opened,
    Locked,
    Looks,
    Cancelled,
    BackendsGone,
    Verified,
    Resolved,
}

/// A database side to be: what it is told before it is there waits for it.
pub(super) fn database() -> (DatabaseHandle, mpsc::UnboundedReceiver<WatchOrder>) {
    let (sender, orders) = mpsc::unbounded_channel();
    (DatabaseHandle { orders: sender }, orders)
}

/// Starts the app's interpreter as its user. The error is words.
pub(super) fn start(
    children: &Children,
    blueprint: &Blueprint,
    orders: &MigrateOrders,
    (patience, opens): (DatabasePatience, OpenLimit),
    told: mpsc::UnboundedReceiver<WatchOrder>,
) -> Result<DatabaseTask, String> {
    let app = &blueprint.app;
    let failed = |error: io::Error| format!("cannot make a process for the database side of {app}: {error}");
    let (ours, theirs) = io::pipe().map_err(failed)?;
    let receiver = pipe::Receiver::from_owned_fd(ours.into()).map_err(failed)?;
    let spec = launch_spec(blueprint, format!("ostler: {app} [database]"));
    let scope = Alone::of(children, app, ScopePurpose::Database);
    let spec = LaunchSpec { log_file: None, scope: scope.place(), ..spec };
    let spec = spec.with_file(Path::new(&orders.lock_file));
    let output = [(theirs.as_fd(), 1), (theirs.as_fd(), 2)];
    let (process, wire) =
        start_interpreter(children, &spec, (&bundle(), &orders.to_json()), &output).map_err(failed)?;
    let log = Log::quiet(app.as_str(), "database side");
    Ok(DatabaseTask {
        process: Arc::new(process),
        scope,
        patience,
        opens,
        orders: told,
        control: wire.control,
        speech: Speech::new(),
        output: OutputReader::new(receiver, log),
        unsent: Vec::new(),
        owed: [OwedAnswer::Opened].into(),
        heard: Instant::now(),
        beat: None,
    })
}

impl DatabaseHandle {
    /// Tells it; `false` where it has ended.
    pub(super) fn tell(&self, order: WatchOrder) -> bool {
        self.orders.send(order).is_ok()
    }
}

/// Why a conversation ended.
enum ConversationEnd {
    /// Nobody wants it any more.
    Unwanted,
    Failed(Trouble),
}

impl DatabaseTask {
    /// Tells what is heard; returns when the process, its group and its scope are gone. [`MigrationFact::DatabaseFailed`] is the last
    /// that is told, and nothing is told after nobody wants to hear more.
    pub(super) async fn run(mut self, mut tell: impl FnMut(MigrationFact)) {
        let end = self.converse(&mut tell).await;
        // Closed before the fact is told: whoever hears it finds nobody there.
        self.orders.close();
        let patience = self.patience.end;
        match end {
            ConversationEnd::Failed(trouble) => tell(MigrationFact::DatabaseFailed(trouble)),
            ConversationEnd::Unwanted => {
                // Where it does not read, it is killed below.
                let _ = nix::sys::socket::shutdown(
                    std::os::fd::AsRawFd::as_raw_fd(&self.control),
                    nix::sys::socket::Shutdown::Write,
                );
                let quiet = async {
                    tokio::select! {
                        () = self.process.ended() => {}
                        () = async { loop { self.output.wrote().await } } => {}
                    }
                };
                let _ = timeout(patience, quiet).await;
            }
        }
        // What it left running is killed while its group is still its own.
        let _ = self.process.kill_group();
        self.scope.kill();
        self.process.wait().await;
        self.scope.end().await;
    }

    async fn converse(&mut self, tell: &mut impl FnMut(MigrationFact)) -> ConversationEnd {
        loop {
            let due = self.due();
            let late = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                order = self.orders.recv() => {
                    let Some(order) = order else { return ConversationEnd::Unwanted };
                    if let Err(end) = self.order(&order) {
                        return end;
                    }
                }
                messages = self.speech.next(&self.control) => {
                    if let Some(end) = self.take(messages, tell) {
                        return end;
                    }
                }
                () = self.process.ended() => {
                    let rest = self.speech.rest(&self.control);
                    return self.take(rest, tell).unwrap_or_else(|| self.died());
                }
                () = writable(&self.control), if !self.unsent.is_empty() => self.send(),
                () = self.output.wrote() => {}
                () = late => {
                    if !self.owed.contains(&OwedAnswer::Opened) || !self.opens.goes_on(self.process.pid()) {
                        return ConversationEnd::Failed(self.silent().await);
                    }
                    tell(MigrationFact::Opening);
                }
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let answer = self.limit().map(|limit| self.heard + limit);
        answer.into_iter().chain(self.beat_due()).min()
    }

    fn beat_due(&self) -> Option<Instant> {
        self.beat.map(|beat| beat + self.patience.beat)
    }

    /// For how long it may be silent.
    fn limit(&self) -> Option<Duration> {
        let owes = |owed| self.owed.contains(&owed);
        if owes(OwedAnswer::Opened) {
            Some(self.opens.limit())
        } else if owes(OwedAnswer::Locked) {
            Some(self.patience.lock)
        } else {
            // Rollbacks are waited for as long as they take, by whoever asked.
            let others = self.owed.iter().any(|owed| *owed != OwedAnswer::BackendsGone);
            others.then_some(self.patience.answer)
        }
    }

    fn order(&mut self, order: &WatchOrder) -> Result<(), ConversationEnd> {
        let owed = match order {
            WatchOrder::Lock { .. } => OwedAnswer::Locked,
            WatchOrder::Look { every_seconds, .. } if *every_seconds > 0.0 => OwedAnswer::Looks,
            WatchOrder::Look { .. } => {
                self.owed.remove(&OwedAnswer::Looks);
                return self.queue(order);
            }
            WatchOrder::Cancel => OwedAnswer::Cancelled,
            WatchOrder::EndBackends => OwedAnswer::BackendsGone,
            WatchOrder::Verify { .. } => OwedAnswer::Verified,
            WatchOrder::Resolve => OwedAnswer::Resolved,
            WatchOrder::Quit => return Err(ConversationEnd::Unwanted),
        };
        if !self.owed.contains(&OwedAnswer::Opened) {
            self.heard = Instant::now();
        }
        self.owed.insert(owed);
        self.queue(order)
    }

    fn queue(&mut self, order: &WatchOrder) -> Result<(), ConversationEnd> {
        self.unsent.extend(order.to_line());
        self.send();
        if self.unsent.len() > UNREAD_MOST {
            return Err(ConversationEnd::Failed(broken(
                "the database side does not read what it is told".to_owned(),
            )));
        }
        Ok(())
    }

    fn send(&mut self) {
        while !self.unsent.is_empty() {
            match self.control.try_write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Gone, or going: that is found where it is listened to.
                Err(_) => self.unsent.clear(),
            }
        }
    }

    /// What nobody asked for is left out.
    fn take(
        &mut self,
        messages: Vec<WatchMessage>,
        tell: &mut impl FnMut(MigrationFact),
    ) -> Option<ConversationEnd> {
        for mut message in messages {
            bounded::watch_message(&mut message);
            self.beat = self.beat.map(|_| Instant::now());
            let answers = match &message {
                WatchMessage::Opened(_) => OwedAnswer::Opened,
                WatchMessage::Busy { .. } | WatchMessage::Locked { .. } => OwedAnswer::Locked,
                WatchMessage::Look(_) => OwedAnswer::Looks,
                WatchMessage::Cancelled { .. } => OwedAnswer::Cancelled,
                WatchMessage::BackendsGone => OwedAnswer::BackendsGone,
                WatchMessage::Verified(_) => OwedAnswer::Verified,
                WatchMessage::Resolved { .. } => OwedAnswer::Resolved,
                WatchMessage::Failed(trouble) => return Some(ConversationEnd::Failed(trouble.clone())),
                WatchMessage::Alive => {
                    self.beat = Some(Instant::now());
                    continue;
                }
            };
            if !self.owed.contains(&answers) {
                continue;
            }
            self.heard = Instant::now();
            let again = matches!(message, WatchMessage::Busy { .. } | WatchMessage::Look(_));
            if !again {
                self.owed.remove(&answers);
            }
            if answers == OwedAnswer::Opened {
                self.opens.is_open();
            }
            tell(fact(message)?);
        }
        None
    }

    fn died(&mut self) -> ConversationEnd {
        self.output.rest();
        let last = self.output.last_lines(50);
        let below = if last.trim().is_empty() { "it wrote nothing" } else { "what it wrote follows" };
        let strange = match self.speech.strange {
            0 => String::new(),
            count => format!(" (and {} on its control socket, none of its messages)", counted(count, "line")),
        };
        ConversationEnd::Failed(Trouble {
            traceback: bounded::end_of(&last),
            ..broken(format!("the database side ended unasked; {below}{strange}"))
        })
    }

    async fn silent(&mut self) -> Trouble {
        let limit = self.limit().unwrap_or_default();
        let words = if self.beat_due().is_some_and(|due| Instant::now() >= due) {
            let limit = self.patience.beat;
            format!("the database side stands still: it has given no sign of life for {limit:?}")
        } else if self.owed.contains(&OwedAnswer::Opened) {
            // Its stacks are the last that it writes.
            let _ = self.process.stop(StopSignal::Stacks);
            let _ = timeout(STACKS, async {
                loop {
                    self.output.wrote().await
                }
            })
            .await;
            let limit = self.opens.configured();
            format!(
                "the database side has not opened the database within {limit:?} (`open_timeout`): the app's settings, or \
                 the database, wait for something"
            )
        } else {
            format!("the database side has said nothing for {limit:?}, though it was asked: it hangs")
        };
        Trouble { traceback: bounded::end_of(&self.output.last_lines(50)), ..broken(words) }
    }
}

fn broken(message: String) -> Trouble {
    Trouble { kind: TroubleKind::Broken, message, traceback: String::new() }
}

async fn writable(control: &UnixStream) {
    // An error shows in the writing.
    let _ = control.writable().await;
}

pub(super) fn fact(message: WatchMessage) -> Option<MigrationFact> {
    Some(match message {
        WatchMessage::Opened(opened) => MigrationFact::Opened(*opened),
        WatchMessage::Busy { holder, quiet_seconds } => {
            let quiet = quiet_seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
            MigrationFact::Busy { holder, quiet }
        }
        WatchMessage::Locked { pending, swept, marks } => {
            MigrationFact::Locked { pending: pending.unwrap_or_default(), swept, marks }
        }
        WatchMessage::Look(look) => MigrationFact::Looked(*look),
        WatchMessage::Cancelled { backends } => MigrationFact::Cancelled { backends },
        WatchMessage::BackendsGone => MigrationFact::BackendsGone,
        WatchMessage::Verified(report) => MigrationFact::Verified(*report),
        WatchMessage::Resolved { holder, cleared } => MigrationFact::Resolved { holder, cleared },
        WatchMessage::Failed(_) | WatchMessage::Alive => return None,
    })
}
