//! gunicorn's worker classes: a row for each, and its module in `classes/`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a class is like; whoever has to know asks here.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// What people are told to write for it.
    pub shown: &'static str,
    /// How many requests a worker answers at once.
    pub answers: Answers,
    /// How long it keeps an idle connection.
    pub keeps: Keeps,
    /// Whom it believes what the headers of an edge say.
    pub believes: Believes,
    /// Whether websockets go through.
    pub has_websockets: bool,
    /// The first gunicorn whose workers of this class lose nothing when they are replaced, if there are older ones.
    pub since: Option<(u32, u32)>,
}

/// How many requests a worker answers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// One. It is busy from the connection's first moment: it waits for a client that is silent or slow.
    One,
    /// One in each of its threads.
    Threads,
    /// As many as come, or as `worker_connections`: neither says when it is busy.
    Many,
}

/// How long a worker keeps an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// It closes each after its answer.
    Nothing,
    /// As gunicorn's `keepalive` says.
    AsSet,
    /// For an hour, whatever the setting says.
    AnHour,
}

/// Whom a worker believes what the headers of an edge say, `X-Forwarded-Proto` first of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Believes {
    /// The addresses of `forwarded_allow_ips`, and whoever comes over a Unix socket.
    Gunicorn,
    /// The addresses and networks of it; over a Unix socket it sees no address, and believes nobody but where it is `*`.
    Uvicorn,
    /// Nobody: it does not look.
    Nobody,
}

/// What most are like.
const USUAL: Traits = Traits {
    shown: "",
    answers: Answers::Many,
    keeps: Keeps::AsSet,
    believes: Believes::Gunicorn,
    has_websockets: false,
    since: None,
};

/// Declares the classes, a row for each.
macro_rules! classes {
    ($($(#[doc = $doc:literal])+ $Class:ident = $name:literal, $traits:expr;)+) => {
        /// The worker classes that ostlerd knows how to drain and watch.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum WorkerClass {
            $($(#[doc = $doc])+ $Class,)+
        }

        impl WorkerClass {
            /// Every class.
            pub const ALL: [WorkerClass; [$($name),+].len()] = [$(WorkerClass::$Class),+];

            /// The name of its module, and of itself in messages.
            pub fn name(self) -> &'static str {
                match self {
                    $(WorkerClass::$Class => $name,)+
                }
            }

            /// What it is like.
            pub fn traits(self) -> Traits {
                match self {
                    $(WorkerClass::$Class => $traits,)+
                }
            }
        }

        /// The modules, as they are named in the shim.
        pub(super) const MODULES: &[(&str, &str)] =
            &[$((concat!("classes.", $name), include_str!(concat!("classes/", $name, ".py")))),+];
    };
}

classes! {
    /// One request at a time.
    Sync = "sync", Traits { shown: "sync", answers: Answers::One, keeps: Keeps::Nothing, ..USUAL };
    /// Threads.
    Gthread = "gthread", Traits { shown: "gthread", answers: Answers::Threads, ..USUAL };
    /// Greenlets.
    Gevent = "gevent", Traits { shown: "gevent", ..USUAL };
    /// Tornado's loop.
    Tornado = "tornado", Traits { shown: "tornado", keeps: Keeps::AnHour, believes: Believes::Nobody, ..USUAL };
    /// Gunicorn's own ASGI worker.
    Asgi = "asgi", Traits { shown: "asgi (gunicorn's own)", has_websockets: true, since: Some((27, 0)), ..USUAL };
    /// uvicorn's worker class for gunicorn.
    Uvicorn = "uvicorn", Traits {
        shown: "uvicorn_worker.UvicornWorker",
        believes: Believes::Uvicorn,
        has_websockets: true,
        ..USUAL
    };
}

impl WorkerClass {
    /// Whether a worker answers one request at a time.
    pub fn answers_one(self) -> bool {
        self.traits().answers == Answers::One
    }
}

impl fmt::Display for WorkerClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
