//! `[probe]`: one request that each new worker answers to itself before it takes clients.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::key::{Shape, keys};
use super::kinds::{Flag, ParsedText, Time};
use super::names;

const SECOND: Duration = Duration::from_secs(1);

/// `[probe]`.
pub(super) static PROBE: Shape = Shape { title: "probe", groups: &[ProbeConfig::KEYS] };

keys! {
    /// `[probe]`.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct ProbeConfig {
        /// `false`: no probe
        enabled: bool = Flag, [default true], "false", Rollout;
        /// path and query; with it any 2xx or 3xx is good, and everything else refuses the worker
        path: Option<String> = ParsedText(names::url_path), [unset "`/`, by the milder rule above"], "\"/healthz\"", Rollout;
        /// the `Host` header
        host: Option<String> = ParsedText(names::host),
            [unset "the first name of Django's `ALLOWED_HOSTS`, else `\"localhost\"`"], "\"shop.example.com\"", Rollout;
        /// `"http"` or `"https"`, which the app sees as `X-Forwarded-Proto`
        scheme: String = ParsedText(names::scheme), [default "http".to_owned()], "\"https\"", Rollout;
        /// how long the answer may take
        timeout: Duration = Time::within(Duration::from_millis(100)..=600 * SECOND), [default 10 * SECOND], "\"10s\"", Rollout;
    }
}

impl ProbeConfig {
    /// What proves a new worker, in words.
    pub fn proof(&self) -> String {
        let loads = "each new worker loads the app, its URLs too if it is Django's";
        match &self.path {
            _ if !self.enabled => loads.to_owned(),
            Some(path) => format!("{loads}, and answers {path} below 400"),
            None => format!("{loads}, and answers / below 500, or no worse than what serves"),
        }
    }
}
