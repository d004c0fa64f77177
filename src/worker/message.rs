//! What goes over the worker's descriptors: orders in, messages out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{CONTRACT, HookOrder, SLOT_SIZE, Settings};

/// The longest line that a worker may send, in bytes, without its newline.
pub const LINE_LIMIT: usize = 64 * 1024;

/// The longest text of a message that is kept, in bytes: what a worker says is not trusted to be short.
const TEXT_LIMIT: usize = 40 * 1024;

/// The room behind the orders for each of two things that the process can write down, in bytes: the message `failed`, and
/// stacks.
pub const ROOM: usize = 64 * 1024;

/// No probe takes longer, in seconds.
const DAY: f64 = 86_400.0;

/// What a worker is to do; serialised as the JSON object that descriptor 4 carries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Orders {
    contract: u64,
    /// Serve, or only tell the settings.
    pub mode: ShimMode,
    /// The app's name.
    pub app: String,
    /// The worker's number, never reused.
    pub worker: u64,
    /// The generation's number.
    pub generation: u64,
    /// `shop.wsgi:application`; `None` leaves it to gunicorn's `wsgi_app`.
    pub entry: Option<String>,
    /// gunicorn's own arguments.
    pub args: Vec<String>,
    /// The inherited listeners, in the order of their descriptors from 7 on.
    pub listeners: Vec<ListenerOrder>,
    /// Where the app listens, for the hooks of gunicorn's master: they get no sockets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<ListenerAddress>,
    /// Of a zygote: the hook of gunicorn's master that runs before it forks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begin: Option<HookOrder>,
    /// The worker's part of the scoreboard.
    pub slot: SlotRange,
    /// Whether to wait for admission once loaded.
    pub hold: bool,
    /// The request that the worker has to answer well before it takes requests.
    pub probe: Option<ProbeOrder>,
    /// Whether to tell, once ready, what the app's models use of the database.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tables: bool,
    /// The file that SIGUSR1 opens anew for descriptors 1 and 2.
    pub log_file: Option<String>,
    /// What it has not had from its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surroundings: Option<Surroundings>,
    /// The blanks behind the orders.
    room: usize,
}

/// What the process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ShimMode {
    /// Run one worker.
    Worker,
    /// Load the settings, send them, exit 0.
    Inspect,
    /// Load the settings, run the master's hooks as they are named.
    Hooks,
    /// Load the app, fork workers on command.
    Zygote,
    /// Load the settings alone, fork workers on command.
    Settings,
    /// Load neither, fork on command what tells the settings of an app.
    Warm,
}

/// What a fresh process has from its start, for one that is forked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Surroundings {
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// The interpreter.
    pub python: PathBuf,
    /// The working directory.
    pub directory: PathBuf,
    /// The file mode mask.
    pub umask: u32,
}

/// One inherited listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListenerOrder {
    /// Its descriptor.
    pub fd: i32,
    /// What it listens on.
    #[serde(flatten)]
    pub address: ListenerAddress,
    /// How many connections may wait, for one that does not listen yet.
    pub backlog: u32,
}

/// An address as gunicorn knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "family", content = "address", rename_all = "lowercase")]
pub enum ListenerAddress {
    /// IPv4 address and port.
    Inet(String, u16),
    /// IPv6 address and port.
    Inet6(String, u16),
    /// A path.
    Unix(String),
}

/// Where the worker's slot lies on the scoreboard, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SlotRange {
    /// From the scoreboard's start.
    pub offset: u64,
    /// Its size.
    pub size: u64,
}

impl SlotRange {
    /// The slot with this index.
    pub fn at(index: u64) -> Self {
        let size = SLOT_SIZE as u64;
        Self { offset: index * size, size }
    }
}

/// The probe of one worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeOrder {
    /// The path, with its query if it has one.
    pub path: String,
    /// The Host header; `None` is the first name of Django's ALLOWED_HOSTS, else `localhost`.
    pub host: Option<String>,
    /// `http` or `https`: the URL scheme, and X-Forwarded-Proto.
    pub scheme: String,
    /// How long the answer may take.
    pub timeout_seconds: f64,
    /// Whether the configuration asks for it: then the answer has to be below 400, else below 500.
    pub asked: bool,
    /// Which bad answers are only warned of.
    pub tolerate: ToleranceOrder,
}

/// What a worker may fail at and serve all the same, because what it replaces does no better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ToleranceOrder {
    /// A bad status, an exception, no status at all.
    pub errors: bool,
    /// No answer in time.
    pub late: bool,
}

impl Orders {
    /// Orders to tell the settings of an app.
    pub fn inspect(app: &str, entry: Option<String>, args: Vec<String>) -> Self {
        Self {
            contract: CONTRACT,
            mode: ShimMode::Inspect,
            app: app.to_owned(),
            worker: 0,
            generation: 0,
            entry,
            args,
            listeners: Vec::new(),
            addresses: Vec::new(),
            begin: None,
            slot: SlotRange::at(0),
            hold: false,
            probe: None,
            tables: false,
            log_file: None,
            surroundings: None,
            room: 2 * ROOM,
        }
    }

    /// Orders to run the hooks of gunicorn's master, for the generation's workers, which listen at `addresses`.
    pub fn hooks(
        (app, generation): (&str, u64),
        entry: Option<String>,
        args: Vec<String>,
        addresses: Vec<ListenerAddress>,
    ) -> Self {
        Self { mode: ShimMode::Hooks, generation, addresses, ..Self::inspect(app, entry, args) }
    }

    /// Orders to run worker `worker` of `generation` on slot `slot`; the rest is for the caller to fill in.
    pub fn worker(app: &str, worker: u64, generation: u64, slot: SlotRange) -> Self {
        Self { mode: ShimMode::Worker, worker, generation, slot, ..Self::inspect(app, None, Vec::new()) }
    }

    /// The content of descriptor 4.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("orders have string keys only")
    }
}

/// One line from a worker.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Message {
    /// Its Python runs the shim.
    Here,
    /// It has loaded its app and waits for admission.
    Loaded,
    /// What it has shown of itself; comes before `loaded` and `ready`.
    Proved(ProvedMessage),
    /// It serves.
    Ready,
    /// What the app's models use of the database; comes after `ready`, where it was asked for.
    Tables(TablesMessage),
    /// It cannot serve and exits.
    Failed(FailedMessage),
    /// The answer to `inspect`.
    Settings(Box<Settings>),
    /// A hook of the master has run.
    Ran(RanMessage),
    /// A zygote has made this worker, and it waits to be known.
    Forked,
}

/// What a worker has shown of itself before it took its first client.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct ProvedMessage {
    /// How many URLs of Django's it has loaded; `None` if the app is not Django's.
    pub urls: Option<u32>,
    /// Its answer to the probe; `None` if there was none.
    pub probe: Option<AnswerMessage>,
}

/// An answer to the probe.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AnswerMessage {
    /// The path that was asked for.
    pub path: String,
    /// The status, if there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub seconds: f64,
    /// Whether it did not come in time.
    pub late: bool,
    /// Whether it is good; a bad one was tolerated.
    pub good: bool,
    /// What is bad about it, in one sentence; else empty.
    #[serde(default)]
    pub message: String,
}

/// What an app's models use of the database, as the module `tables` has put it; ostlerd only hands it on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct TablesMessage {
    /// `None` if the app is not Django's, or it cannot be told.
    #[serde(default)]
    pub text: Option<String>,
}

/// The answer to a [`HookOrder`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RanMessage {
    /// The hook's name.
    pub hook: String,
    /// What it raised, in one line.
    #[serde(default)]
    pub error: Option<String>,
}

/// Why a worker cannot serve.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FailedMessage {
    /// Where it failed.
    pub stage: FailureStage,
    /// One sentence.
    pub message: String,
    /// Its traceback, or the probe's answer; may be empty.
    #[serde(default)]
    pub traceback: String,
}

/// Where a worker failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureStage {
    /// gunicorn's settings, or gunicorn itself.
    Settings,
    /// The app's import.
    Import,
    /// The app's module has no such attribute, or it is not callable.
    Attribute,
    /// A hook of gunicorn's configuration.
    Hook,
    /// The probe.
    Probe,
    /// Anything else before the first heartbeat.
    Boot,
    /// A stage that this ostlerd does not know.
    #[serde(other)]
    Unknown,
}

/// Why a line from a worker is no message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Longer than [`LINE_LIMIT`].
    #[error("the worker sent a line of {0} bytes; the limit is {LINE_LIMIT}")]
    TooLong(usize),
    /// Not the JSON of the contract.
    #[error("the worker sent a line that is no message of contract {CONTRACT}: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Message {
    /// Parses one line, with or without its newline. Never panics, whatever the bytes; texts are cut to 40 KiB.
    pub fn parse(line: &[u8]) -> Result<Self, MessageError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.len() > LINE_LIMIT {
            return Err(MessageError::TooLong(line.len()));
        }
        let mut message: Self = serde_json::from_slice(line)?;
        match &mut message {
            Self::Failed(failed) => {
                keep_end(&mut failed.message);
                keep_end(&mut failed.traceback);
            }
            Self::Proved(ProvedMessage { probe: Some(answer), .. }) => {
                keep_end(&mut answer.message);
                keep_end(&mut answer.path);
                answer.seconds =
                    if answer.seconds.is_finite() { answer.seconds.clamp(0.0, DAY) } else { 0.0 };
            }
            Self::Tables(TablesMessage { text }) => {
                let plain = |c: u8| c.is_ascii_alphanumeric() || b"+/=".contains(&c);
                *text = text.take().filter(|text| text.bytes().all(plain));
            }
            _ => {}
        }
        Ok(message)
    }
}

/// Cuts a text to its last [`TEXT_LIMIT`] bytes, at a line's beginning: a traceback's end says what happened.
fn keep_end(text: &mut String) {
    if text.len() <= TEXT_LIMIT {
        return;
    }
    let start = (text.len() - TEXT_LIMIT..).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    let end = &text[start..];
    let line = end.trim_end_matches('\n').find('\n').map_or(0, |at| at + 1);
    text.drain(..start + line);
}
