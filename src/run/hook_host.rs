//! The process that runs the hooks of gunicorn's master for one generation: how it comes to be, what it is told, and what is
//! heard of it. It is forked from the generation's zygote, and so knows what `gunicorn.conf.py` and the first hook have
//! computed; without a zygote it is an interpreter of its own.
//!
//! ```text
//! started ─► line ─► answer ─► line ─► answer ─► … ─► end of file ─► exits
//! ```

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::children::{Children, Gate};
use super::launch_spec::LaunchSpec;
use super::listeners;
use super::messages::{last_words, shown};
use super::process::ProcessHandle;
use super::scope::ScopeContents;
use super::wire::{OUR_END, Wire};
use super::worker_process::{launch_spec, start_held};
use crate::config::AppName;
use crate::plan::Blueprint;
use crate::supervise::{DueHook, Event, GenerationId, ProcessFact, ProcessId};
use crate::worker::{Hook, HookOrder, HookWorker, Message, Orders, RanMessage, bundle};

/// The longest words of a hook that failed, in bytes.
const WORDS_MOST: usize = 1000;

/// Where hooks are handed in, and run one after the other, once the process may begin. Dropped, the process runs what was
/// handed in and ends.
#[derive(Debug)]
pub struct HookInput {
    orders: UnboundedSender<HookOrder>,
    begin: Option<oneshot::Sender<()>>,
}

/// What was handed in, and when the process may hear of it: before its gate is opened it would take it for that.
#[derive(Debug)]
pub struct HookOrders {
    orders: UnboundedReceiver<HookOrder>,
    begins: oneshot::Receiver<()>,
}

/// What was started: the process, the gate that it waits at, its control socket, and the control group that it enters.
pub type Started = ((ProcessHandle, Gate), Wire, Option<String>);

/// Hears of the process. To be run as a task: [`HookWatch::run`].
#[derive(Debug)]
pub struct HookWatch {
    /// Whose hooks it runs.
    pub app: AppName,
    /// Its name.
    pub id: ProcessId,
    /// Itself.
    pub process: Arc<ProcessHandle>,
    /// Its control socket.
    pub wire: Wire,
    /// What it is to run.
    pub orders: HookOrders,
}

/// Where hooks are handed in, and where they come out.
pub fn input() -> (HookInput, HookOrders) {
    let (sender, orders) = unbounded_channel();
    let (begin, begins) = oneshot::channel();
    (HookInput { orders: sender, begin: Some(begin) }, HookOrders { orders, begins })
}

/// Starts the app's interpreter as its user, as for a worker, without its sockets and its scoreboard.
///
/// The error is words; a configuration that does not load is told later.
pub fn start(
    children: &Children,
    generation: GenerationId,
    blueprint: &Blueprint,
) -> Result<Started, String> {
    let (app, orders) = (&blueprint.app, orders(generation, blueprint));
    let scope = children.place(app, ScopeContents::Generation(generation));
    let cgroup = scope.as_ref().map(|place| place.cgroup());
    let title = format!("ostler: {app} [hooks {generation}]");
    let mut spec = LaunchSpec { scope, ..launch_spec(blueprint, title) };
    let stream = children.stream(blueprint);
    spec.env.extend(children.variables(blueprint));
    let outputs: Vec<_> = stream.iter().flat_map(|stream| stream.outputs()).collect();
    let told = (&bundle()[..], &orders.to_json()[..]);
    let (held, wire) = start_held(children, &spec, told, &outputs, Some(OUR_END))
        .map_err(|error| format!("cannot make a process for the hooks of {app}: {error}"))?;
    Ok((held, wire, cgroup))
}

/// What it is told at its start.
pub(super) fn orders(generation: GenerationId, blueprint: &Blueprint) -> Orders {
    let (app, entry) = (blueprint.app.as_str(), Some(blueprint.entry.clone()));
    let addresses = listeners::orders_of(blueprint);
    Orders::hooks((app, generation.0), entry, blueprint.args.clone(), addresses)
}

/// What is told of a hook; `pid` is the process of the worker that it is about.
pub(super) fn order(due: DueHook, pid: Option<i32>) -> HookOrder {
    let DueHook { hook, workers, from, worker } = due;
    let worker = worker.zip(pid).map(|(worker, pid)| HookWorker { id: worker.0, pid });
    HookOrder { hook, workers, worker, from }
}

/// The control socket of one that an earlier ostlerd started, by the end of it that this one has left there.
pub(super) fn wire_of(our_end: OwnedFd, blueprint: &Blueprint) -> std::io::Result<Wire> {
    Wire::again(our_end, blueprint.python.clone())
}

impl HookInput {
    /// Hands a hook in and does not wait for it. Of a process that has ended nothing is asked.
    pub fn tell(&self, order: HookOrder) {
        let _ = self.orders.send(order);
    }

    /// Its gate is open.
    pub fn begin(&mut self) {
        // It may have ended.
        self.begin.take().map(|begin| begin.send(()));
    }
}

impl HookWatch {
    /// Has what is handed in run, and sends what happens as events; ends with [`ProcessFact::Exited`], which is always the
    /// last. All of its group are gone then.
    pub async fn run(self, events: UnboundedSender<Event>) {
        let HookWatch { app, id, process, mut wire, mut orders } = self;
        // Where nobody receives any more there is nobody to tell.
        let tell = |fact: ProcessFact| drop(events.send(fact.of(id)));
        let (mut begun, mut runs, mut is_fed, mut closed) = (false, false, true, false);
        loop {
            let ended = tokio::select! {
                biased;
                readable = wire.control.readable(), if !closed => readable.is_err(),
                () = process.ended() => true,
                _ = &mut orders.begins, if !begun => {
                    begun = true;
                    continue;
                }
                order = orders.orders.recv(), if begun && is_fed && !runs => {
                    match order {
                        Some(order) => {
                            wire.renew();
                            let line = order.to_line();
                            // Where the process is gone, that is found below, with what it said before.
                            tokio::select! {
                                () = wire.tell(&line) => {}
                                () = process.ended() => {}
                            }
                            runs = true;
                        }
                        None => {
                            wire.end();
                            is_fed = false;
                        }
                    }
                    continue;
                }
            };
            let received = wire.read(&process, ended);
            closed |= received.closed;
            for message in received.messages {
                match message {
                    Message::Ran(ran) => {
                        runs = false;
                        fact_of(ran).into_iter().for_each(tell);
                    }
                    Message::Failed(failed) => tell(ProcessFact::Failed(last_words(&failed))),
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
                break;
            }
        }
        if wire.strange() > 0 {
            let (app, lines) = (app.as_str(), wire.strange());
            tracing::warn!(app, worker = %id, lines, "the worker wrote lines on its control socket that are none of its messages; they were ignored");
        }
        // What it left running is killed while its group is still its own.
        let _ = process.kill_group();
        tell(ProcessFact::Exited(process.wait().await));
    }
}

/// What it says of a hook, if it is one that there is.
fn fact_of(RanMessage { hook, error }: RanMessage) -> Option<ProcessFact> {
    let hook = Hook::ALL.into_iter().find(|it| it.name() == hook)?;
    Some(ProcessFact::Ran { hook, error: error.map(|error| one_line(&error)) })
}

/// What an app says, fit for one line of the log.
fn one_line(text: &str) -> String {
    shown(&text.replace(['\n', '\t'], " "), WORDS_MOST)
}
