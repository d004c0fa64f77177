//! `[limits]`: when a worker is replaced, what its process may have, and what the whole app may take of the machine.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::{Checker, Section};
use super::error::Fault;
use super::key::{Shape, keys};
use super::kinds::{Number, Size, Time};

const MIB: u64 = 1024 * 1024;
const TIB: u64 = MIB << 20;
const BILLION: u64 = 1_000_000_000;
const SHORTEST: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `[limits]`.
pub(super) static LIMITS: Shape =
    Shape { title: "limits", groups: &[Limits::KEYS, ProcessLimits::KEYS, Resources::KEYS] };

keys! {
    /// `[limits]`; its own keys say when a worker is replaced.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Limits with {
        /// What the kernel limits of each process.
        process: ProcessLimits,
        /// What the kernel limits of the whole app.
        resources: Resources,
    } {
        /// resident memory of a worker
        max_rss: Option<u64> = Size(MIB..=TIB), [unset "no limit"], "\"512MiB\"", InPlace;
        /// requests that a worker serves
        max_requests: Option<u64> = Number(0..=BILLION), [unset "gunicorn's `max_requests`"], "10000", InPlace;
        /// up to this many more, at random
        max_requests_jitter: Option<u64> = Number(0..=BILLION), [unset "gunicorn's `max_requests_jitter`"], "1000", InPlace;
        /// time since a worker's start
        max_age: Option<Duration> = Time::or_never(SECOND..=365 * DAY), [unset "no limit"], "\"12h\"", InPlace;
        /// age of a request; its worker leaves its stacks in the log and is replaced
        request_timeout: Option<Duration> = Time::or_never(SHORTEST..=DAY), [unset "no limit"], "\"60s\"", InPlace;
        /// time without a heartbeat; the same follows
        // Workers beat once a second: a shorter patience would take every one of them for hung.
        timeout: Option<Duration> = Time::or_never(2 * SECOND..=DAY), [unset "gunicorn's `timeout`"], "\"30s\"", InPlace;
        /// how long requests may take to finish when a worker drains
        graceful_timeout: Option<Duration> = Time::within(Duration::ZERO..=DAY), [unset "gunicorn's `graceful_timeout`"], "\"30s\"", InPlace;
        /// unexpected deaths that are made good at once; beyond it replacements wait
        restarts_per_minute: Option<u32> = Number(1..=10_000),
            [unset "60, or 15 for each worker if that is more"], "60", InPlace;
    }
}

keys! {
    /// What each process of an app starts with.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct ProcessLimits {
        /// descriptors that a worker may open
        nofile: Option<u64> = Number(64..=1_048_576), [unset "ostlerd's own limit"], "65536", Rollout;
        /// which processes the kernel kills first if the machine runs out of memory: -1000 (never these) to 1000 (these)
        oom_score_adjust: Option<i32> = Number(-1000..=1000), [unset "ostlerd's own, 0"], "500", Rollout;
    }
}

keys! {
    /// The limits of an app's slice: of its workers, what they start, and its migration together. `None` is none.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Resources {
        /// memory above which the kernel slows the app down and takes memory back, `"16MiB"` at least
        memory_high: Option<u64> = Size(16 * MIB..=TIB), [unset "no limit"], "\"2GiB\"", InPlace;
        /// memory above which the kernel kills one of its processes
        memory_max: Option<u64> = Size(16 * MIB..=TIB), [unset "no limit"], "\"2GiB\"", InPlace;
        /// share of a busy processor, 1 to 10000, against 100 of everything else
        cpu_weight: Option<u64> = Number(1..=10_000), [unset "`100`"], "200", InPlace;
        /// processes and threads; each scope has systemd's own `DefaultTasksMax` besides
        tasks_max: Option<u64> = Number(1..=4_194_304), [unset "no limit"], "512", InPlace;
    }
}

/// The section, with what contradicts itself.
pub(super) fn check(checker: &mut Checker<'_>, section: &Section<'_, '_>) -> Limits {
    let process = ProcessLimits::read(checker, section);
    let resources = Resources::read(checker, section);
    if let (Some(high), Some(max)) = (resources.memory_high, resources.memory_max)
        && high > max
        && let Some(field) = section.field("memory_high", "")
    {
        let rule = "must not be above `memory_max`: what is killed first is never slowed down";
        let fault = Fault::new("is more than `memory_max`", rule, "lower it, or leave it out");
        checker.fault(&field, field.value, fault);
    }
    Limits::read(checker, section, process, resources)
}
