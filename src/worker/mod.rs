//! The Python side: a shim that runs one gunicorn worker of the configured class, and its contract.
//!
//! # Contract 1
//!
//! The app's interpreter is started as `python -c BOOTSTRAP NAME` with these descriptors and no others:
//!
//! | descriptor | what |
//! | --- | --- |
//! | 0 | `/dev/null` |
//! | 1, 2 | the app's output; where that is the journal, `JOURNAL_STREAM` is `DEVICE:INODE` of it, as systemd has it |
//! | 3 | the shim: a JSON array of `[module, source]`, executed in that order as `_ostler.MODULE` |
//! | 4 | the orders: the JSON object below, and room behind it |
//! | 5 | control: a Unix stream socket to ostlerd |
//! | 6 | the app's scoreboard (worker mode only) |
//! | 7… | the listeners, in the order of `listeners` |
//!
//! Descriptors 3 and 4 are memfds to be read from offset 0 (with `pread`); 3 is closed then; 4 and up are made close-on-exec.
//! The last `room` bytes of 4 are blanks that the process may write over: in the first half goes a copy of the message
//! `failed`, for an app that has closed its control socket; in the second half go stacks, from where the descriptor's offset
//! is. SIGRTMIN+5 has the stacks of all threads written there, SIGRTMIN+6 those of greenlets and asyncio tasks. The process
//! closes 4 when it is ready; SIGRTMIN+5 then writes to standard error.
//!
//! Orders:
//!
//! ```json
//! {"contract": 1, "mode": "worker", "app": "shop", "worker": 17, "generation": 3,
//!  "entry": "shop.wsgi:application", "args": ["-k", "gthread"],
//!  "listeners": [{"fd": 7, "family": "inet", "address": ["127.0.0.1", 8000], "backlog": 2048},
//!                {"fd": 8, "family": "unix", "address": "/run/ostler/shop.sock", "backlog": 2048}],
//!  "slot": {"offset": 4096, "size": 4096}, "hold": true,
//!  "probe": {"path": "/healthz", "host": "shop.example.com", "scheme": "https", "timeout_seconds": 10.0,
//!            "asked": true, "tolerate": {"errors": false, "late": false}},
//!  "log_file": "/var/log/shop.log", "room": 131072}
//! ```
//!
//! `entry` (gunicorn's `wsgi_app` says it then), `probe`, `probe.host` and `log_file` may be null; `mode` may be
//! `inspect` (no scoreboard, no listeners): load the settings, send one `settings` message, exit 0; or `hooks` (the
//! same descriptors as `inspect`): load the settings, then run hooks of gunicorn's master as ostlerd names them, see
//! below, with `addresses` beside the rest, which are where the app listens, described as in `listeners`; or `zygote`: load
//! the app once and fork workers, or `settings`: load the settings alone and fork workers, which then import the app
//! themselves; see below too. The last two may have `addresses`, and `begin`, a hook of the master as below, `on_starting`
//! or `on_reload`, that runs once what is to be loaded is there, before the first fork. `tables`, which is left out where it is
//! false, asks a worker for the message of that name.
//!
//! A listener may be bound and not listen, while the app has failed: the worker has it listen, with `backlog`, when its
//! probe has passed and it is admitted, just before it takes its first client.
//!
//! Before the probe a Django app loads what it would load with its first request only: its URLs, all the way down, and its
//! template tags; a zygote does so once for all its workers. A probe that is `asked` for is good if it is answered 2xx or
//! 3xx: many apps redirect a plain request to a login. Another is good below 500. A redirect on the same host is followed, at
//! most three times: to https always, elsewhere only if the probe was not `asked` for. What is bad and not in `tolerate` is a failure; what is in there is warned of. An application
//! of tornado's own kind cannot be called in process: it passes, with a warning in its log if the probe was asked for.
//!
//! Messages on control, one JSON object a line, worker to ostlerd, no line over 64 KiB:
//!
//! | message | meaning |
//! | --- | --- |
//! | `{"event": "here"}` | the shim runs; the kernel adds the pid, and one that is not that of the process that was started is refused: its Python would be left running |
//! | `{"event": "proved", "urls": …, "probe": …}` | before `loaded` and `ready`: how many URLs of Django's are loaded, or null; the answer to the probe (`path`, `status` or null, `seconds`, `late`, `good`, `message`), or null if there was none |
//! | `{"event": "loaded"}` | only where `hold` is true: the app is loaded and the probe passed; the worker now waits for one byte `g` before it takes requests, and exits quietly on end of file |
//! | `{"event": "ready"}` | the first heartbeat; of a zygote: it can fork |
//! | `{"event": "tables", "text": …}` | after `ready`, where `tables` is true: what the app's models use of the database, as the module `tables` makes a text of it; null if the app is not Django's, or it cannot be told |
//! | `{"event": "forked"}` | from a worker that a zygote has made: here it is; see below |
//! | `{"event": "failed", "stage": …, "message": …, "traceback": …}` | it cannot serve and exits, or is killed soon; `stage` is `settings`, `import`, `attribute`, `hook`, `probe` or `boot`; `message` is one sentence; `traceback` may be empty, and is the start of the body where the probe was answered badly |
//! | `{"event": "settings", …}` | the answer to `inspect`: see [`Settings`] |
//! | `{"event": "ran", "hook": …, "error": …}` | in mode `hooks`: the hook has run; `error` is what it raised, and absent where it raised nothing |
//!
//! ostlerd may close its end after `ready`, or after `tables` where it has asked for them.
//!
//! In mode `hooks` ostlerd writes one JSON object a line, each after the answer to the one before. On the end of file
//! the process runs nothing more and exits 0: `on_exit` is a hook like the others and has to be named.
//!
//! ```json
//! {"hook": "on_starting", "workers": 4}
//! {"hook": "pre_fork", "workers": 4, "worker": {"id": 17, "pid": 4711}}
//! {"hook": "child_exit", "workers": 4, "worker": {"id": 17, "pid": 4711}}
//! {"hook": "nworkers_changed", "workers": 6, "from": 4}
//! ```
//!
//! `workers` is how many are wanted now, `server.num_workers`; `worker.age` is the worker's `id`, as in the worker
//! itself. `on_starting`, `when_ready`, `on_reload` and `on_exit` have no more fields than the first line.
//! SIGUSR1 opens the log files anew, as in a worker; SIGTERM, SIGINT, SIGHUP and SIGUSR2 do nothing.
//! `pre_fork` runs beside the start of its worker, and so may run after it: `worker.pid` is known.
//!
//! In the modes `zygote` and `settings` the process loads what it is for, sends `ready`, and forks workers. It has a slot of its own, which it beats
//! as a worker does, no listeners, and at descriptor 7 ostlerd's end of its control socket, so that the next ostlerd can
//! take it from there. A command is one byte with descriptors beside it (`SCM_RIGHTS`): the orders (mode `worker`), the
//! worker's control socket, the scoreboard, the listeners. The worker that comes of it is ostlerd's child where ostlerd
//! is the zygote's parent, has a session of its own, and sends `forked` on its own control socket: by the credentials
//! that the kernel adds ostlerd knows its pid. It then waits for one byte before it does anything, and exits quietly on
//! end of file. From there on it is a worker like others, with its descriptors as they are listed above; only the
//! listeners have other numbers. Where the zygote cannot fork, it sends `failed` on the worker's control socket.
//! With mode `hooks` in the orders, what is forked runs hooks of gunicorn's master. In place of listeners comes ostlerd's end
//! of its control socket, which it keeps at 7, as its zygote does: the next ostlerd takes it from there. It answers for the
//! hook that its zygote has run as `begin`, and does not run it again.
//! In the mode `warm` the process has read no settings: it has imported what those of every app need, sends `ready`, and forks
//! one process for each command, whose third descriptor is the output. The orders are those of `inspect`, with `surroundings`:
//! `env`, the whole environment, `python`, `directory` and `umask`. What is forked sends `forked`, waits for one byte, and
//! then `settings`; where it cannot answer as a fresh interpreter would, it exits without a word. Where no fork could, the
//! process itself sends `failed`.
//!
//! SIGTERM, SIGQUIT and SIGINT end a zygote at once, SIGUSR1 opens the log files anew, SIGHUP and SIGUSR2 do nothing.
//!
//! The worker's slot of the scoreboard, native byte order, 8-byte fields, times in nanoseconds of `CLOCK_MONOTONIC`:
//!
//! | offset | field |
//! | --- | --- |
//! | 0 | contract, 1 |
//! | 8 | state: 0 empty, 1 booting, 2 loaded, 3 ready, 4 draining |
//! | 16 | time of the last heartbeat |
//! | 24 | requests finished |
//! | 32 | requests started that found no free entry below, not yet finished |
//! | 56 | written by ostlerd: 1 once the app stops, 0 before |
//! | 64… | one start time for each request in flight; 0 is a free entry |
//!
//! A worker that drains keeps idle connections for its keep-alive, and for 2 s where the field at 56 is not 0.
//!
//! A worker that was told to drain writes that state at once. gevent goes on accepting for up to a second then;
//! gevent and asgi exit up to a second after their last answer.
//!
//! Exit statuses: 0 as asked, 1 configuration, 2 usage, 3 the app did not boot, 4 its attribute is missing, 255 an
//! error of the server after it was ready.
//!
//! # The modules
//!
//! In the order of their execution: `text` fits words into messages, `tables` describes what the app's models use of the database, `boot_report` is the memory at descriptor 4, `wire` talks to ostlerd, `output` is what is printed, `slot` writes the
//! scoreboard, `foresight` says whether an app may load Django, `settings` reads gunicorn's settings; `django_app` is what is known of Django, `answer` and `probe` the request that a worker
//! asks of itself; `listen` has its sockets; `drain`, `http2` and `admission` are the rules for going and coming, `entry` is which app fits which class; `mixin` is
//! what all classes share; then one module for each class, in `classes`: a new one is that file and its row in `class.rs`; `zygote` loads the app, or the settings alone, and forks; `warm` forks for the settings of many apps; `main` is what gunicorn's arbiter
//! does for a worker.
//! None may import asyncio or threading before the app's worker class does: gevent patches them first.

mod class;
mod hook;
mod message;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use class::{Answers, Believes, Keeps, Traits, WorkerClass};
pub use hook::{Hook, HookOrder, HookWorker};
pub use message::{
    AnswerMessage, FailedMessage, FailureStage, LINE_LIMIT, ListenerAddress, ListenerOrder, Message,
    MessageError, Orders, ProbeOrder, ProvedMessage, ROOM, RanMessage, ShimMode, SlotRange, Surroundings,
    TablesMessage, ToleranceOrder,
};

/// The text for `python -c`: it takes the bundle and the orders from their descriptors and begins.
pub const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// The module that the other programs in an app's interpreter begin with too.
pub const TEXT: (&str, &str) = ("text", include_str!("text.py"));

/// The module that describes the tables that an app uses, for both.
pub const TABLES: (&str, &str) = ("tables", include_str!("tables.py"));

/// The shim's modules in the order in which they are executed: each imports only earlier ones. Those of the worker classes
/// come next, then `LAST`.
const FIRST: [(&str, &str); 18] = [
    TEXT,
    TABLES,
    ("boot_report", include_str!("boot_report.py")),
    ("wire", include_str!("wire.py")),
    ("output", include_str!("output.py")),
    ("slot", include_str!("slot.py")),
    ("foresight", include_str!("foresight.py")),
    ("settings", include_str!("settings.py")),
    ("drain", include_str!("drain.py")),
    ("django_app", include_str!("django_app.py")),
    ("answer", include_str!("answer.py")),
    ("probe", include_str!("probe.py")),
    ("listen", include_str!("listen.py")),
    ("admission", include_str!("admission.py")),
    ("http2", include_str!("http2.py")),
    ("entry", include_str!("entry.py")),
    ("mixin", include_str!("mixin.py")),
    ("host", include_str!("host.py")),
];

const LAST: [(&str, &str); 3] = [
    ("zygote", include_str!("zygote.py")),
    ("warm", include_str!("warm.py")),
    ("main", include_str!("main.py")),
];

/// The content of descriptor 3: a JSON array of `[module, source]`.
pub fn bundle() -> Vec<u8> {
    let modules = [&FIRST, class::MODULES, &LAST].concat();
    serde_json::to_vec(&modules).expect("pairs of strings are JSON")
}

/// The version of the contract above.
pub const CONTRACT: u64 = 1;

/// The size of a worker's slot on the scoreboard: a page, so that a worker can map its own alone.
pub const SLOT_SIZE: usize = 4096;

/// What the app's gunicorn says of itself; untrusted, so every field is bounded by whoever uses it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Settings {
    /// `27.0.1`.
    pub gunicorn: String,
    /// `3.11.2`.
    pub python: String,
    /// The worker's class as configured, `gthread` or `uvicorn_worker.UvicornWorker`.
    pub class_name: String,
    /// The name of the `WorkerClass` that it is one of; `None` is unsupported.
    pub family: Option<String>,
    /// `workers`.
    pub workers: u32,
    /// `bind`, as gunicorn has it: `127.0.0.1:8000`, `unix:/path`; whether it was set at all is `bind_set`.
    pub bind: Vec<String>,
    /// Whether `bind` was set by the configuration.
    pub bind_set: bool,
    /// Whether `workers` was set by the configuration (or WEB_CONCURRENCY).
    pub workers_set: bool,
    /// `backlog`.
    pub backlog: u32,
    /// `timeout`, seconds; 0 is never.
    pub timeout: f64,
    /// `graceful_timeout`, seconds.
    pub graceful_timeout: f64,
    /// `keepalive`, seconds.
    pub keepalive: f64,
    /// `threads`, of gthread.
    pub threads: u32,
    /// `max_requests`.
    pub max_requests: u64,
    /// `max_requests_jitter`.
    pub max_requests_jitter: u64,
    /// `umask`.
    pub umask: u32,
    /// `umask` was set.
    pub umask_set: bool,
    /// `user`, numeric.
    pub uid: u32,
    /// `group`, numeric.
    pub gid: u32,
    /// `user` or `group` was set.
    pub user_set: bool,
    /// `chdir`, where it was set.
    pub chdir: Option<String>,
    /// `preload_app`.
    pub preload_app: bool,
    /// The file or module of settings that was run, `./gunicorn.conf.py`; `None` where there is none.
    #[serde(default)]
    pub conf: Option<String>,
    /// Names of settings that ostlerd does not follow (`daemon`, `pidfile`, `control_socket`, …), where set.
    pub ignored: Vec<String>,
    /// Hooks of the master that the configuration sets (`when_ready`, `on_starting`, …).
    pub master_hooks: Vec<String>,
    /// What there is of Django; `None` where the interpreter has none, or was not asked.
    #[serde(default)]
    pub django: Option<DjangoFound>,
    /// `forwarded_allow_ips`: whom it believes what an edge says of the client.
    #[serde(default)]
    pub forwarded_allow_ips: Option<Vec<String>>,
}

/// What an interpreter that has Django says of the app, which it has not loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct DjangoFound {
    /// `DJANGO_SETTINGS_MODULE`, where the environment has it.
    pub settings: Option<String>,
    /// Whether that, or anything in the app's files, says that the app loads Django.
    pub loads: bool,
}
