//! One command from its start until nothing of it is left.
//!
//! ```text
//! started ─► its first process ends ─► what it left has a moment ─► what is still there is killed ─► told
//!              └─► asked to be killed: all of it at once, until nobody is left ─────────────────────┘
//! ```

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use super::containment::Containment;
use super::log::Log;
use super::name::MARK;
use super::output::OutputReader;
use super::speech::Speech;
use super::{bounded, failing, path};
use crate::migrate::{RunMessage, bundle};
use crate::plan::Blueprint;
use crate::run::children::Children;
use crate::run::launch_spec::LaunchSpec;
use crate::run::process::{ProcessHandle, named};
use crate::run::scope::{self, ScopeContents};
use crate::run::worker_process::{launch_spec, start_interpreter};
use crate::supervise::{CommandFailure, Exit, Step, StopSignal};

/// What the first process leaves behind has so long to end by itself.
const MOMENT: Duration = Duration::from_secs(2);
/// The command's processes are looked for so often: who was seen once is found again when its parent is gone.
const LOOK: Duration = Duration::from_secs(1);
/// Who uses so much of the processor from one look to the next is at work; a thread that only looks around uses less.
const WORK: Duration = Duration::from_millis(5);

/// What is run.
#[derive(Clone, Debug)]
pub(super) enum CommandProgram {
    /// The bundle's mode `run`, with these orders.
    Django(Vec<u8>),
    /// A program with its arguments.
    Other(Vec<String>),
}

/// What a command tells while it runs.
#[derive(Debug)]
pub(super) enum CommandUpdate {
    Step(Step),
    Wrote,
    /// Its processes have used processor time.
    Worked,
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct CommandEnd {
    pub(super) exit: Exit,
    pub(super) failure: Option<CommandFailure>,
    /// The last lines of its output.
    pub(super) lines: Vec<String>,
}

/// The title of a command that runs after a rollout.
pub(super) const POST_DEPLOY: &str = "post_deploy";

/// A command that was started, to be run as a task: [`CommandRun::run`].
#[derive(Debug)]
pub(super) struct CommandRun {
    process: Arc<ProcessHandle>,
    containment: Containment,
    reader: Reader,
    app: String,
}

#[derive(Debug)]
struct Reader {
    control: Option<Arc<UnixStream>>,
    speech: Speech<RunMessage>,
    output: OutputReader,
    failure: Option<CommandFailure>,
}

/// Starts a command of the app; `mark` is in its environment, as is `env` beside the app's own. The error is words.
pub(super) async fn start(
    children: &Children,
    blueprint: &Arc<Blueprint>,
    what: &CommandProgram,
    (title, mark): (&'static str, &str),
    env: BTreeMap<String, String>,
) -> Result<CommandRun, String> {
    // Before anything is made for it: the search takes its time.
    let program = match what {
        CommandProgram::Django(_) => None,
        CommandProgram::Other(argv) => Some(path::find(argv, blueprint).await?),
    };
    let (ours, theirs) = io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
    let output = [(theirs.as_fd(), 1), (theirs.as_fd(), 2)];
    let failed =
        |error: io::Error| format!("cannot make a process for {title} of {}: {error}", blueprint.app);
    let receiver = pipe::Receiver::from_owned_fd(ours.into()).map_err(failed)?;
    let contents = if title == POST_DEPLOY { ScopeContents::PostDeploy } else { ScopeContents::Migration };
    let scope = children.place(&blueprint.app, contents);
    let group = scope.as_ref().map(|place| scope::ControlGroup::new(place.group.clone()));
    let marked = |spec: LaunchSpec| {
        let mut spec = LaunchSpec { log_file: None, scope, ..spec };
        spec.env.extend(env);
        spec.env.insert(MARK.to_owned(), mark.to_owned());
        spec
    };
    let (process, control) = match what {
        CommandProgram::Django(orders) => {
            let spec = marked(launch_spec(blueprint, format!("ostler: {} [{title}]", blueprint.app)));
            let (process, wire) =
                start_interpreter(children, &spec, (&bundle(), orders), &output).map_err(failed)?;
            (process, Some(wire.control))
        }
        CommandProgram::Other(argv) => {
            let spec = launch_spec(blueprint, String::new());
            let program = program.expect("a command has been looked for");
            let spec = marked(LaunchSpec { program, argv: argv.clone(), ..spec });
            (children.spawn(&spec, &output).map_err(failed)?, None)
        }
    };
    let process = Arc::new(process);
    let log = Log::of_command(children, blueprint, title);
    let reader =
        Reader { control, speech: Speech::new(), output: OutputReader::new(receiver, log), failure: None };
    let containment = match group {
        Some(group) => Containment::scope(process.clone(), group),
        None => {
            let user = blueprint.account.as_ref().map_or(geteuid().as_raw(), |account| account.uid);
            Containment::group(process.clone(), user, format!("{MARK}={mark}"))
        }
    };
    let app = blueprint.app.to_string();
    Ok(CommandRun { process, containment, reader, app })
}

impl CommandRun {
    /// Tells what is heard, and sends the signals of the ladder as they come; where none can come any more, the command is
    /// killed. Returns when the command, and every process that it left, is gone.
    pub(super) async fn run(
        self,
        signals: &mut mpsc::UnboundedReceiver<StopSignal>,
        mut tell: impl FnMut(CommandUpdate),
    ) -> CommandEnd {
        let CommandRun { process, mut containment, mut reader, app } = self;
        let worked = Notify::new();
        let life = live(&process, signals, &mut containment, &worked);
        let left = tokio::select! {
            left = life => left,
            never = reader.listen(&mut tell, &worked) => match never {},
        };
        reader.rest(&mut tell);
        if !left.is_empty() {
            let left = left.join(", ");
            tracing::warn!(app, "the command had ended and left {left} behind: killed");
            reader.output.note(format!("ostlerd: the command had ended and left {left} behind: killed"));
        }
        let exit = process.wait().await;
        let last = reader.output.last_lines(50);
        let failure = reader.failure.or_else(|| failing::failure(exit, &last));
        CommandEnd { exit, failure, lines: reader.output.end() }
    }
}

/// Returns when nobody is left: whom the command left behind and who had to be killed for that.
async fn live(
    process: &ProcessHandle,
    signals: &mut mpsc::UnboundedReceiver<StopSignal>,
    containment: &mut Containment,
    worked: &Notify,
) -> Vec<String> {
    let mut used = Duration::ZERO;
    loop {
        tokio::select! {
            () = process.ended() => break,
            () = to_be_killed(signals, containment) => {
                containment.kill_all().await;
                process.ended().await;
                return Vec::new();
            }
            () = sleep(LOOK) => {}
        }
        let now = containment.look().await;
        if now >= used + WORK {
            worked.notify_one();
        }
        // What has ended takes its time with it.
        used = now;
    }
    let deadline = Instant::now() + MOMENT;
    tokio::select! {
        quiet = containment.wait_empty(deadline) => if quiet { return Vec::new() },
        () = only_killed(signals) => {}
    }
    containment.kill_all().await
}

/// Sends the signals that are asked for; returns where the command is to be killed.
async fn to_be_killed(signals: &mut mpsc::UnboundedReceiver<StopSignal>, containment: &Containment) {
    loop {
        let Some(signal) = signals.recv().await.filter(|it| *it != StopSignal::Kill) else { return };
        if let Some(Err(error)) = named(signal).map(|it| containment.signal(it)) {
            tracing::error!(%error, "{signal} could not be sent to a migration: {error}");
        }
    }
}

/// For what is left behind: the first process has ended, the others have a moment all the same.
async fn only_killed(signals: &mut mpsc::UnboundedReceiver<StopSignal>) {
    while !matches!(signals.recv().await, None | Some(StopSignal::Kill)) {}
}

impl Reader {
    async fn listen(&mut self, tell: &mut impl FnMut(CommandUpdate), worked: &Notify) -> Infallible {
        loop {
            let Reader { control, speech, output, .. } = self;
            let heard = async {
                match control {
                    Some(control) => speech.next(control).await,
                    None => std::future::pending().await,
                }
            };
            let messages = tokio::select! {
                messages = heard => messages,
                () = output.wrote() => {
                    tell(CommandUpdate::Wrote);
                    continue;
                }
                () = worked.notified() => {
                    tell(CommandUpdate::Worked);
                    continue;
                }
            };
            self.take(messages, tell);
        }
    }

    /// What was said and written last, and not read yet.
    fn rest(&mut self, tell: &mut impl FnMut(CommandUpdate)) {
        if let Some(control) = &self.control {
            let messages = self.speech.rest(control);
            self.take(messages, tell);
        }
        self.output.rest();
        if self.speech.strange > 0 {
            tracing::warn!(
                lines = self.speech.strange,
                "a migration wrote lines on its control socket that are none of its messages; they were ignored"
            );
        }
    }

    fn take(&mut self, messages: Vec<RunMessage>, tell: &mut impl FnMut(CommandUpdate)) {
        for message in messages {
            match message {
                RunMessage::Step(mut step) => {
                    bounded::step(&mut step);
                    tell(CommandUpdate::Step(step));
                }
                RunMessage::Failed(mut failure) => {
                    bounded::failure(&mut failure);
                    self.failure = Some(failure);
                }
            }
        }
    }
}
