//! Asks an app's own interpreter what its gunicorn is configured to do.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::children::Children;
use super::inspection_error::InspectionError;
use super::launch_spec::LaunchSpec;
use super::messages::{last_words, shown};
use super::process::ProcessHandle;
use super::scope::{Alone, ScopePurpose};
use super::stand;
use super::warm::Warm;
use super::wire::Wire;
use super::worker_process::start_interpreter;
use crate::config::AppName;
use crate::plan::{Account, ImageRoot, ProcessLimits, Refusal};
use crate::supervise::{Exit, Stand};
use crate::worker::{BOOTSTRAP, Message, Orders, Settings, Surroundings, bundle};

/// How long an interpreter may take to read its settings.
const TIME_OUT: Duration = Duration::from_secs(30);

/// How long one that is killed may take to be gone.
const KILLED: Duration = Duration::from_secs(5);

/// How much of the end of the interpreter's output is kept.
const OUTPUT_KEPT: usize = 16 * 1024;

/// What to ask, and as whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// The app, for the process's title.
    pub app: AppName,
    /// The app's interpreter.
    pub python: PathBuf,
    /// The release, links resolved.
    pub directory: PathBuf,
    /// `module:attribute`.
    pub entry: String,
    /// Gunicorn's arguments.
    pub args: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Whom it runs as.
    pub account: Option<Account>,
    /// Its file mode mask.
    pub umask: u32,
    /// The image that it runs in: `python` and `directory` are paths in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRoot>,
}

impl Inspection {
    /// The app's interpreter as its user, with the shim to run.
    pub(super) fn launch_spec(&self, title: String) -> LaunchSpec {
        LaunchSpec {
            program: self.python.clone(),
            argv: vec![self.python.display().to_string(), "-c".to_owned(), BOOTSTRAP.to_owned(), title],
            env: self.env.clone(),
            directory: self.directory.clone(),
            umask: self.umask,
            limits: ProcessLimits::default(),
            account: self.account.clone(),
            log_file: None,
            image: self.image.clone(),
            no_new_privs: true,
            scope: None,
        }
    }

    fn orders(&self) -> Orders {
        Orders::inspect(self.app.as_str(), Some(self.entry.clone()), self.args.clone())
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        let (env, python, directory) = (self.env.clone(), self.python.clone(), self.directory.clone());
        Surroundings { env, python, directory, umask: self.umask }
    }
}

/// The settings of an app as its own gunicorn reads them, or why they could not be had. The process and all of
/// its group are gone afterwards, also where the future is dropped.
pub async fn inspect(children: &Children, inspection: &Inspection) -> Result<Settings, Refusal> {
    inspect_within(children, inspection, TIME_OUT).await
}

/// As [`inspect`], with another limit of time.
pub async fn inspect_within(
    children: &Children,
    inspection: &Inspection,
    limit: Duration,
) -> Result<Settings, Refusal> {
    Ok(ask(children, inspection, limit).await?)
}

/// As [`inspect`]; settings that hang are told from those that are refused.
pub(super) async fn inspect_fresh(
    children: &Children,
    inspection: &Inspection,
) -> Result<Settings, InspectionError> {
    ask(children, inspection, TIME_OUT).await
}

async fn ask(
    children: &Children,
    inspection: &Inspection,
    limit: Duration,
) -> Result<Settings, InspectionError> {
    let interpreter = Interpreter::start(children, inspection).map_err(|error| Refusal {
        reason: format!("cannot make a process to read the settings of {}: {error}", inspection.app),
        detail: String::new(),
        passing: false,
    })?;
    match interpreter.outcome(inspection, limit).await {
        AskOutcome::Settings(settings) => Ok(*settings),
        AskOutcome::Failed(refusal) => Err(InspectionError::Refused(refusal)),
        AskOutcome::Hangs(refusal) => Err(InspectionError::Held(refusal)),
    }
}

/// As [`inspect`], by a process that `warm` forks; nothing where that could not be, or did not tell any settings: then a
/// fresh interpreter is to be asked, whose word counts.
pub(super) async fn inspect_warm(
    children: &Children,
    warm: &Warm,
    inspection: &Inspection,
) -> Option<Result<Settings, InspectionError>> {
    match Interpreter::forked(children, warm, inspection).await?.outcome(inspection, TIME_OUT).await {
        AskOutcome::Settings(settings) => Some(Ok(*settings)),
        AskOutcome::Hangs(refusal) => Some(Err(InspectionError::Held(refusal))),
        AskOutcome::Failed(_) => None,
    }
}

/// What came of an interpreter, which is gone.
enum AskOutcome {
    Settings(Box<Settings>),
    Failed(Refusal),
    Hangs(Refusal),
}

fn ended_without_answer(inspection: &Inspection, exit: Exit, output: String) -> Refusal {
    let below = if output.is_empty() { "it wrote nothing" } else { "what it wrote follows" };
    Refusal {
        reason: format!(
            "{} ended ({exit}) without having told its settings; {below}",
            inspection.python.display()
        ),
        detail: output,
        passing: false,
    }
}

fn has_not_answered(
    inspection: &Inspection,
    limit: Duration,
    stand: Option<Stand>,
    output: String,
) -> Refusal {
    Refusal {
        reason: format!(
            "{} has not read its settings within {limit:?}: gunicorn.conf.py, or what it imports, waits \
             for something{}; the settings must load without the network",
            inspection.python.display(),
            stand.as_ref().map(|it| format!(" in {}", it.at)).unwrap_or_default()
        ),
        detail: stand.map(|it| format!("{}\n\n{output}", it.stacks)).unwrap_or(output),
        passing: false,
    }
}

enum SettingsAnswer {
    Settings(Box<Settings>),
    Failed(Refusal),
}

struct Interpreter {
    process: KilledOnDrop,
    wire: Wire,
    output: pipe::Receiver,
    output_read: Vec<u8>,
}

/// A process that ends with what it is for, and all of its group and of its scope.
#[derive(Debug)]
pub(super) struct KilledOnDrop {
    pub(super) process: ProcessHandle,
    pub(super) scope: Alone,
}

impl KilledOnDrop {
    /// Kills it, and waits until it is gone. One that waits for a dead disk does not end; it is left to the reaper.
    pub(super) async fn end(&self) -> Exit {
        // Whatever it left running is killed while its group is still its own.
        let _ = self.process.kill_group();
        let ended = tokio::time::timeout(KILLED, self.process.wait()).await;
        self.scope.end().await;
        ended.unwrap_or(Exit::Unknown)
    }
}

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.process.kill_group();
        self.scope.kill();
    }
}

impl Interpreter {
    fn start(children: &Children, inspection: &Inspection) -> io::Result<Interpreter> {
        let scope = Alone::of(children, &inspection.app, ScopePurpose::Settings);
        let title = format!("ostler: {} [settings]", inspection.app);
        let spec = LaunchSpec { scope: scope.place(), ..inspection.launch_spec(title) };
        let orders = inspection.orders();
        let (ours, theirs) = io::pipe()?;
        let output = pipe::Receiver::from_owned_fd(ours.into())?;
        let (process, wire) = start_interpreter(
            children,
            &spec,
            (&bundle(), &orders.to_json()),
            &[(theirs.as_fd(), 1), (theirs.as_fd(), 2)],
        )?;
        let process = KilledOnDrop { process, scope };
        Ok(Interpreter { process, wire, output, output_read: Vec::new() })
    }

    /// The same, forked.
    async fn forked(children: &Children, warm: &Warm, inspection: &Inspection) -> Option<Interpreter> {
        let (ours, theirs) = io::pipe().ok()?;
        let output = pipe::Receiver::from_owned_fd(ours.into()).ok()?;
        let mut orders = inspection.orders();
        orders.surroundings = Some(inspection.surroundings());
        let (process, wire) = warm.fork(children, &orders, theirs.as_fd()).await?;
        let process = KilledOnDrop { process, scope: Alone::none() };
        Some(Interpreter { process, wire, output, output_read: Vec::new() })
    }

    /// Waits for what it tells, and ends it.
    async fn outcome(mut self, inspection: &Inspection, limit: Duration) -> AskOutcome {
        let received = tokio::time::timeout(limit, self.listen()).await.ok();
        let stand = match received {
            None => stand::of(&self.process.process, &self.wire.report, &inspection.directory).await,
            Some(_) => None,
        };
        let exit = self.process.end().await;
        let output = self.output_so_far();
        match received {
            Some(Some(SettingsAnswer::Settings(settings))) => AskOutcome::Settings(settings),
            Some(Some(SettingsAnswer::Failed(refusal))) if refusal.detail.is_empty() => {
                AskOutcome::Failed(Refusal { detail: output, ..refusal })
            }
            Some(Some(SettingsAnswer::Failed(refusal))) => AskOutcome::Failed(refusal),
            Some(None) => AskOutcome::Failed(ended_without_answer(inspection, exit, output)),
            None => AskOutcome::Hangs(has_not_answered(inspection, limit, stand, output)),
        }
    }

    /// Listens until there is an answer, or until the process has ended without one.
    async fn listen(&mut self) -> Option<SettingsAnswer> {
        let (mut control_open, mut output_open) = (true, true);
        let mut buffer = vec![0; 8192];
        loop {
            let ended = tokio::select! {
                biased;
                _ = self.wire.control.readable(), if control_open => false,
                () = self.process.process.ended() => true,
                read = self.output.read(&mut buffer), if output_open => {
                    output_open = matches!(read, Ok(count) if count > 0);
                    keep_end(&mut self.output_read, &buffer[..read.unwrap_or(0)]);
                    false
                }
            };
            if control_open || ended {
                let received = self.wire.read(&self.process.process, ended);
                control_open = !received.closed;
                if let Some(answer) = received.messages.into_iter().find_map(answer_of) {
                    return Some(answer);
                }
            }
            if ended {
                return None;
            }
        }
    }

    /// The end of what the process wrote, with what is still in the pipe.
    fn output_so_far(&mut self) -> String {
        let mut buffer = vec![0; 8192];
        // Bounded: a descendant that got away may write for ever.
        for _ in 0..64 {
            match nix::unistd::read(&self.output, &mut buffer) {
                Ok(count) if count > 0 => keep_end(&mut self.output_read, &buffer[..count]),
                _ => break,
            }
        }
        shown(String::from_utf8_lossy(&self.output_read).trim(), 2 * OUTPUT_KEPT)
    }
}

fn keep_end(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    let excess = kept.len().saturating_sub(OUTPUT_KEPT);
    kept.drain(..excess);
}

fn answer_of(message: Message) -> Option<SettingsAnswer> {
    match message {
        Message::Settings(settings) => Some(SettingsAnswer::Settings(settings)),
        Message::Failed(failed) => {
            let words = last_words(&failed);
            Some(SettingsAnswer::Failed(Refusal { detail: words.traceback, ..Refusal::new(words.message) }))
        }
        Message::Here
        | Message::Proved(_)
        | Message::Loaded
        | Message::Ready
        | Message::Tables(_)
        | Message::Ran(_)
        | Message::Forked => None,
    }
}
