//! Asks an app's own interpreter what its gunicorn is configured to do.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::launch::LaunchSpec;
use super::messages::{last_words, shown};
use super::process::{Children, Process};
use super::stand;
use super::wire::Wire;
use super::worker_process::start_interpreter;
use crate::config::AppName;
use crate::plan::{Account, Refusal};
use crate::supervise::Exit;
use crate::worker::{BOOTSTRAP, Message, Orders, Settings, bundle};

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
    let mut interpreter = Interpreter::start(children, inspection).map_err(|error| Refusal {
        reason: format!("cannot make a process to read the settings of {}: {error}", inspection.app),
        detail: String::new(),
    })?;
    let heard = tokio::time::timeout(limit, interpreter.listen()).await.ok();
    let stand = match heard {
        None => stand::of(&interpreter.process.0, &interpreter.wire.paper, &inspection.directory).await,
        Some(_) => None,
    };
    // Whatever it left running is killed while its group is still its own.
    let _ = interpreter.process.0.kill_group();
    // One that waits for a dead disk does not end; it is left to the reaper.
    let ended = tokio::time::timeout(KILLED, interpreter.process.0.wait()).await;
    let exit = ended.unwrap_or(Exit::Unknown);
    let output = interpreter.output_so_far();
    match heard {
        Some(Some(Answer::Settings(settings))) => Ok(*settings),
        Some(Some(Answer::Failed(refusal))) if refusal.detail.is_empty() => {
            Err(Refusal { detail: output, ..refusal })
        }
        Some(Some(Answer::Failed(refusal))) => Err(refusal),
        Some(None) => Err(ended_without_answer(inspection, exit, output)),
        None => Err(Refusal {
            reason: format!(
                "{} has not read its settings within {limit:?}: gunicorn.conf.py, or what it imports, waits \
                 for something{}; the settings must load without the network",
                inspection.python.display(),
                stand.as_ref().map(|it| format!(" in {}", it.at)).unwrap_or_default()
            ),
            detail: stand.map(|it| format!("{}\n\n{output}", it.stacks)).unwrap_or(output),
        }),
    }
}

fn ended_without_answer(inspection: &Inspection, exit: Exit, output: String) -> Refusal {
    let below = if output.is_empty() { "it wrote nothing" } else { "what it wrote follows" };
    Refusal {
        reason: format!(
            "{} ended ({exit}) without having told its settings; {below}",
            inspection.python.display()
        ),
        detail: output,
    }
}

enum Answer {
    Settings(Box<Settings>),
    Failed(Refusal),
}

struct Interpreter {
    process: KilledOnDrop,
    wire: Wire,
    output: pipe::Receiver,
    output_read: Vec<u8>,
}

struct KilledOnDrop(Process);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill_group();
    }
}

impl Interpreter {
    fn start(children: &Children, inspection: &Inspection) -> io::Result<Interpreter> {
        let spec = LaunchSpec {
            program: inspection.python.clone(),
            argv: vec![
                inspection.python.display().to_string(),
                "-c".to_owned(),
                BOOTSTRAP.to_owned(),
                format!("ostler: {} [settings]", inspection.app),
            ],
            env: inspection.env.clone(),
            directory: inspection.directory.clone(),
            umask: inspection.umask,
            nofile: None,
            account: inspection.account.clone(),
            log_file: None,
            no_new_privs: true,
            scope: None,
        };
        let entry = Some(inspection.entry.clone());
        let orders = Orders::inspect(inspection.app.as_str(), entry, inspection.args.clone());
        let (ours, theirs) = io::pipe()?;
        let output = pipe::Receiver::from_owned_fd(ours.into())?;
        let (process, wire) = start_interpreter(
            children,
            &spec,
            (&bundle(), &orders.to_json()),
            &[(theirs.as_fd(), 1), (theirs.as_fd(), 2)],
        )?;
        Ok(Interpreter { process: KilledOnDrop(process), wire, output, output_read: Vec::new() })
    }

    /// Listens until there is an answer, or until the process has ended without one.
    async fn listen(&mut self) -> Option<Answer> {
        let (mut control_open, mut output_open) = (true, true);
        let mut buffer = vec![0; 8192];
        loop {
            let ended = tokio::select! {
                biased;
                _ = self.wire.control.readable(), if control_open => false,
                () = self.process.0.ended() => true,
                read = self.output.read(&mut buffer), if output_open => {
                    output_open = matches!(read, Ok(count) if count > 0);
                    keep_end(&mut self.output_read, &buffer[..read.unwrap_or(0)]);
                    false
                }
            };
            if control_open || ended {
                let heard = self.wire.hear(&self.process.0, ended);
                control_open = !heard.closed;
                if let Some(answer) = heard.messages.into_iter().find_map(answer_of) {
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

fn answer_of(message: Message) -> Option<Answer> {
    match message {
        Message::Settings(settings) => Some(Answer::Settings(settings)),
        Message::Failed(failed) => {
            let words = last_words(&failed);
            Some(Answer::Failed(Refusal { reason: words.message, detail: words.traceback }))
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
