//! Why a process is to end.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a worker is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A newer generation takes its place, or the older one takes it back.
    Rollout,
    /// Fewer workers are wanted.
    Resize,
    /// It has served `max_requests`.
    MaxRequests,
    /// It is older than `max_age`.
    MaxAge,
    /// It is larger than `max_rss`.
    MaxRss,
    /// Its heartbeat is too old.
    Hung,
    /// A request in it is too old.
    RequestTimeout,
    /// It was not ready within `boot_timeout`.
    BootTimeout,
    /// A hook of gunicorn's master has not ended.
    HookTimeout,
    /// The app stops.
    Stop,
    /// It was not ready yet when its ostlerd ended, or the next one cannot tell it anything.
    Orphaned,
    /// It has said itself that it cannot serve.
    Failed,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Rollout => "replaced by a rollout",
            Cause::Resize => "fewer workers are wanted",
            Cause::MaxRequests => "max_requests reached",
            Cause::MaxAge => "max_age reached",
            Cause::MaxRss => "max_rss exceeded",
            Cause::Hung => "no heartbeat within the timeout",
            Cause::RequestTimeout => "a request exceeded request_timeout",
            Cause::BootTimeout => "not ready within boot_timeout",
            Cause::HookTimeout => {
                "a hook of gunicorn's master has not ended; none runs until the next rollout"
            }
            Cause::Stop => "the app stops",
            Cause::Orphaned => "it was not ready yet when ostlerd ended, or cannot be told anything any more",
            Cause::Failed => "it had failed to boot",
        })
    }
}
