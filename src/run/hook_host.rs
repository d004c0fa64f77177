//! The process that runs the hooks of gunicorn's master for one generation: one after the other, never waited for. It is
//! forked from the generation's zygote, and so knows what `gunicorn.conf.py` and the first hook have computed; without a
//! zygote it is an interpreter of its own.
//!
//! ```text
//! started ─► line ─► answer ─► line ─► answer ─► … ─► end of file ─► exits
//!              └─► no answer in time, or the process ends: said once, killed, not started again
//! ```

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::children::Children;
use super::launch_spec::LaunchSpec;
use super::listeners;
use super::messages::last_words;
use super::process::ProcessHandle;
use super::scope::ScopeContents;
use super::wire::Wire;
use super::worker_process::{launch_spec, start_interpreter};
use super::zygote::{self, ForkingWorker, Parent};
use crate::config::AppName;
use crate::plan::Blueprint;
use crate::supervise::{GenerationId, HOOKS_GRACE};
use crate::worker::{Hook, HookOrder, Message, Orders, bundle};

/// So many hooks may wait for the one that runs.
const QUEUE: usize = 1024;

/// How long the process may take.
#[derive(Clone, Copy, Debug)]
pub struct HookPatience {
    /// For one hook; for the first one with the reading of the settings.
    pub hook: Duration,
    /// For its end, with the hooks that still wait.
    pub end: Duration,
}

impl Default for HookPatience {
    fn default() -> HookPatience {
        HookPatience { hook: Duration::from_secs(60), end: HOOKS_GRACE }
    }
}

/// Where hooks are handed in. Dropped, the process runs what was handed in and ends, within [`HookPatience::end`].
#[derive(Debug)]
pub struct HookHost {
    app: AppName,
    /// Empty while it is being forked.
    process: Arc<OnceLock<Arc<ProcessHandle>>>,
    queue: mpsc::Sender<HookOrder>,
    behind: bool,
    _wanted: oneshot::Sender<()>,
}

/// The process, to be run as a task: [`HostTask::run`].
#[derive(Debug)]
pub struct HostTask {
    app: AppName,
    generation: GenerationId,
    patience: HookPatience,
    queue: mpsc::Receiver<HookOrder>,
    dropped: oneshot::Receiver<()>,
    process: Arc<OnceLock<Arc<ProcessHandle>>>,
    origin: HostOrigin,
}

#[derive(Debug)]
enum HostOrigin {
    Started(Conversation),
    Forked(Box<Forked>),
}

/// What a zygote was told to fork.
#[derive(Debug)]
struct Forked {
    forking: ForkingWorker,
    children: Children,
    blueprint: Blueprint,
    cgroup: Option<String>,
}

#[derive(Debug)]
struct Conversation {
    process: Arc<ProcessHandle>,
    wire: Wire,
}

/// Why no more hooks run for this generation.
#[derive(Debug, thiserror::Error)]
enum HookFailure {
    #[error("their process could not be forked: {0}")]
    NotForked(String),
    #[error("their process ended")]
    Died,
    #[error("{0}")]
    Failed(String),
    #[error("{} has not ended within {limit:?}, and its process was killed", .hook.name())]
    Hung { hook: Hook, limit: Duration },
    #[error("their process did not end within {0:?}, and was killed")]
    Late(Duration),
}

/// Starts the app's interpreter as its user, as for a worker, without its sockets and its scoreboard.
///
/// The error is words; a configuration that does not load is told later, in the log.
pub fn start(
    children: &Children,
    generation: GenerationId,
    blueprint: &Blueprint,
    patience: HookPatience,
) -> Result<(HookHost, HostTask), String> {
    let (app, orders) = (&blueprint.app, orders(generation, blueprint));
    let scope = children.place(app, ScopeContents::Generation(generation));
    let title = format!("ostler: {app} [hooks {generation}]");
    let mut spec = LaunchSpec { scope, ..launch_spec(blueprint, title) };
    let stream = children.stream(blueprint);
    spec.env.extend(children.variables(blueprint));
    let outputs: Vec<_> = stream.iter().flat_map(|stream| stream.outputs()).collect();
    let (process, wire) = start_interpreter(children, &spec, (&bundle(), &orders.to_json()), &outputs)
        .map_err(|error| format!("cannot make a process for the hooks of {app}: {error}"))?;
    let conversation = Conversation { process: Arc::new(process), wire };
    Ok(made((app.clone(), generation), patience, HostOrigin::Started(conversation)))
}

/// Has the zygote fork it. The error is words; whatever else goes wrong is told later, in the log.
pub(super) fn fork(
    children: &Children,
    generation: GenerationId,
    blueprint: &Blueprint,
    patience: HookPatience,
    Parent { commands, scoreboard, cgroup }: Parent<'_>,
) -> Result<(HookHost, HostTask), String> {
    let orders = orders(generation, blueprint);
    let forking = zygote::fork(commands, &orders, scoreboard, &[])
        .map_err(|error| format!("the zygote cannot be told to fork a process for the hooks: {error}"))?;
    let (children, blueprint) = (children.clone(), blueprint.clone());
    let app = blueprint.app.clone();
    let forked = Box::new(Forked { forking, children, blueprint, cgroup });
    Ok(made((app, generation), patience, HostOrigin::Forked(forked)))
}

fn orders(generation: GenerationId, blueprint: &Blueprint) -> Orders {
    let (app, entry) = (blueprint.app.as_str(), Some(blueprint.entry.clone()));
    let addresses = listeners::orders_of(blueprint);
    Orders::hooks((app, generation.0), entry, blueprint.args.clone(), addresses)
}

fn made(
    (app, generation): (AppName, GenerationId),
    patience: HookPatience,
    origin: HostOrigin,
) -> (HookHost, HostTask) {
    let (queue, waiting) = mpsc::channel(QUEUE);
    let (wanted, dropped) = oneshot::channel();
    let process = Arc::new(OnceLock::new());
    let host = HookHost { app: app.clone(), process: process.clone(), queue, behind: false, _wanted: wanted };
    (host, HostTask { app, generation, patience, queue: waiting, dropped, process, origin })
}

impl HookHost {
    /// Hands a hook in and does not wait for it. Of a process that has ended nothing is asked.
    pub fn tell(&mut self, order: HookOrder) {
        let full = matches!(self.queue.try_send(order), Err(mpsc::error::TrySendError::Full(_)));
        if full && !self.behind {
            tracing::warn!(
                app = self.app.as_str(),
                "{QUEUE} hooks of gunicorn's master wait to run; further ones are left out"
            );
        }
        self.behind = full;
    }

    /// Asks it to open its log files anew; one that has ended has none.
    pub fn reopen_logs(&self) {
        if let Some(process) = self.process.get() {
            let _ = process.signal(Signal::SIGUSR1);
        }
    }

    /// Its process's number, to be looked up; `None` while it is being forked.
    pub fn pid(&self) -> Option<i32> {
        self.process.get().map(|process| process.pid())
    }
}

impl HostTask {
    /// Runs what is handed in; returns when the process and its group are gone.
    pub async fn run(self) {
        let HostTask { app, generation, patience, mut queue, dropped, process, origin } = self;
        let place = LogSubject { app: app.as_str(), generation: generation.to_string() };
        let late = async {
            let _ = dropped.await;
            sleep(patience.end).await;
        };
        let begun = timeout(patience.hook, origin.begin());
        let mut conversation =
            match begun.await.unwrap_or_else(|_| Err("its zygote has made nothing of it".to_owned())) {
                Ok(conversation) => conversation,
                Err(words) => return place.no_more(&HookFailure::NotForked(words).to_string()),
            };
        process.get_or_init(|| conversation.process.clone());
        let ended = tokio::select! {
            ended = conversation.serve(&place, &mut queue, patience.hook) => ended,
            () = late => Err(HookFailure::Late(patience.end)),
        };
        // What it left running is killed while its group is still its own.
        let _ = conversation.process.kill_group();
        let exit = conversation.process.wait().await;
        match ended {
            Ok(()) => {}
            Err(late @ HookFailure::Late(_)) => {
                place.warn(&format!("the hooks of gunicorn's master: {late}"))
            }
            Err(trouble) => place.no_more(&format!("{trouble} ({exit})")),
        }
    }
}

/// What a line of the log is about.
struct LogSubject<'a> {
    app: &'a str,
    generation: String,
}

impl LogSubject<'_> {
    fn warn(&self, words: &str) {
        tracing::warn!(app = self.app, generation = self.generation, "{words}");
    }

    fn no_more(&self, reason: &str) {
        self.warn(&format!(
            "the hooks of gunicorn's master run no more until the next rollout: {reason}; the workers are not affected"
        ));
    }
}

impl HostOrigin {
    /// The process, once it is there. The error is words.
    async fn begin(self) -> Result<Conversation, String> {
        let Forked { forking, children, blueprint, cgroup } = match self {
            HostOrigin::Started(conversation) => return Ok(conversation),
            HostOrigin::Forked(forked) => *forked,
        };
        let forked = forking.forked().await?;
        let ((process, gate), wire) = forked.process(&children, &blueprint, cgroup.as_deref())?;
        gate.open();
        Ok(Conversation { process: Arc::new(process), wire })
    }
}

impl Conversation {
    async fn serve(
        &mut self,
        place: &LogSubject<'_>,
        queue: &mut mpsc::Receiver<HookOrder>,
        limit: Duration,
    ) -> Result<(), HookFailure> {
        loop {
            let order = tokio::select! {
                order = queue.recv() => order,
                () = self.process.ended() => return Err(HookFailure::Died),
            };
            let Some(order) = order else { break };
            let hook = order.hook;
            let answer = timeout(limit, self.ask(&order)).await;
            if let Some(error) = answer.map_err(|_| HookFailure::Hung { hook, limit })?? {
                place.warn(&format!("the hook {} failed, and nothing else did: {error}", hook.name()));
            }
        }
        // Its end of file. One that is gone already has read none, and ends all the same.
        self.wire.end();
        self.process.ended().await;
        Ok(())
    }

    /// Has one hook run; what it raised, where it raised something.
    async fn ask(&mut self, order: &HookOrder) -> Result<Option<String>, HookFailure> {
        self.wire.renew();
        // Where the process is gone, that is found below, with what it said before.
        self.wire.tell(&order.to_line()).await;
        loop {
            let ended = tokio::select! {
                biased;
                readable = self.wire.control.readable() => readable.is_err(),
                () = self.process.ended() => true,
            };
            let received = self.wire.read(&self.process, ended);
            for message in received.messages {
                match message {
                    Message::Ran(ran) => return Ok(ran.error.map(|error| one_line(&error))),
                    Message::Failed(failed) => {
                        return Err(HookFailure::Failed(one_line(&last_words(&failed).message)));
                    }
                    Message::Here
                    | Message::Proved(_)
                    | Message::Loaded
                    | Message::Ready
                    | Message::Tables(_)
                    | Message::Settings(_)
                    | Message::Forked => {}
                }
            }
            if ended {
                return Err(HookFailure::Died);
            }
            if received.closed {
                self.process.ended().await;
                return Err(HookFailure::Died);
            }
        }
    }
}

/// What an app says, fit for one line of the log.
fn one_line(text: &str) -> String {
    super::messages::shown(&text.replace(['\n', '\t'], " "), 1000)
}
