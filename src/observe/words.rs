//! Words for people: states, times, sizes, and other people's text without what would steer a terminal. Pure.

use std::borrow::Cow;

use crate::config::{counted, visible};
use crate::supervise::{AppState, PhaseView, RolloutView, ScalingView, WorkerState};

/// How something is to be taken; a colour where there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As usual.
    #[default]
    Plain,
    /// Well.
    Good,
    /// Under way.
    Busy,
    /// To be looked at.
    Warn,
    /// Wrong.
    Bad,
    /// Of no weight.
    Faint,
}

/// `text` without control characters other than tabs and line ends, and with what is hidden as escapes: what an app writes
/// must not steer a terminal, nor be read as something else.
pub fn plain(text: &str) -> Cow<'_, str> {
    visible(text)
}

/// The same with all lines but the first indented: none of them can pass for a line of ostler's own.
pub fn indented(text: &str) -> String {
    plain(text).trim_end().replace('\n', "\n    ")
}

/// `text` on one line.
pub fn one_line(text: &str) -> String {
    plain(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `0.3s`, `42s`, `2m05s`, `3h12m`, `4d03h`.
pub fn duration(seconds: f64) -> String {
    let whole = if seconds.is_finite() { seconds.max(0.0) as u64 } else { 0 };
    match whole {
        0..10 => format!("{:.1}s", seconds.max(0.0)),
        10..60 => format!("{whole}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        3600..86400 => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
        _ => format!("{}d{:02}h", whole / 86400, whole / 3600 % 24),
    }
}

/// `812 B`, `84.2 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `rollout to g8: replacing workers, 2 of 4 ready`
pub fn rollout_words(rollout: &RolloutView) -> String {
    let to = rollout.generation.map(|id| format!(" to {id}")).unwrap_or_default();
    let phase = match rollout.phase {
        PhaseView::Preparing => "preparing",
        PhaseView::Migrating => "migrating",
        PhaseView::Replacing => "replacing workers",
        PhaseView::Settling => "watching the new workers",
        PhaseView::RollingBack => "rolling back",
    };
    let failures = match rollout.failures {
        0 => String::new(),
        failures => format!(", {}", counted(failures, "failure")),
    };
    format!("rollout{to}: {phase}, {} of {} ready{failures}", rollout.ready, rollout.wanted)
}

/// `2 to 16 workers, as the load needs; grown from 2 to 4 workers: all 2 workers are busy`
pub fn scaling_words(scaling: &ScalingView) -> String {
    let range = format!("{} to {} workers, as the load needs", scaling.min, scaling.max);
    match (scaling.by_hand, &scaling.last) {
        (true, _) => format!("{range}: not now, their number was given by hand"),
        (false, Some(last)) => format!("{range}; {last}"),
        (false, None) => range,
    }
}

/// How an app is, in a word.
pub fn app_word(state: AppState) -> (&'static str, Tone) {
    match state {
        AppState::Starting => ("starting", Tone::Busy),
        AppState::Serving => ("serving", Tone::Good),
        AppState::RollingOut => ("rolling out", Tone::Busy),
        AppState::RollingBack => ("rolling back", Tone::Warn),
        AppState::Degraded => ("degraded", Tone::Warn),
        AppState::Failed => ("failed", Tone::Bad),
        AppState::Stopping => ("stopping", Tone::Warn),
        AppState::Stopped => ("stopped", Tone::Faint),
    }
}

/// How a worker is, in a word.
pub fn worker_word(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Booting => "booting",
        WorkerState::Held => "held",
        WorkerState::Ready => "ready",
        WorkerState::Draining => "draining",
        WorkerState::Ending => "ending",
    }
}

/// How a worker's state is to be taken.
pub fn worker_tone(state: WorkerState) -> Tone {
    match state {
        WorkerState::Ready => Tone::Good,
        WorkerState::Booting | WorkerState::Held => Tone::Busy,
        WorkerState::Draining => Tone::Warn,
        WorkerState::Ending => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_writes_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\tc\nd"), "a\u{fffd}[2Jb\tc\nd");
        assert_eq!(one_line("a\n  b\r\nc"), "a b\u{fffd} c");
        assert!(matches!(plain("häuser"), Cow::Borrowed(_)));
    }

    #[test]
    fn no_line_of_an_app_passes_for_one_of_ostlers_own() {
        let forged = "worker w3 failed\nE: no\n2026-11-29T10:00:00Z  INFO generation g2 serves\n";
        assert_eq!(
            indented(forged),
            "worker w3 failed\n    E: no\n    2026-11-29T10:00:00Z  INFO generation g2 serves"
        );
    }

    #[test]
    fn durations_are_short() {
        let cases =
            [(0.34, "0.3s"), (42.9, "42s"), (125.0, "2m05s"), (11_520.0, "3h12m"), (356_400.0, "4d03h")];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(duration(f64::NAN), "0.0s");
        assert_eq!(duration(-1.0), "0.0s");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(812), "812 B");
        assert_eq!(bytes(84 * 1024 * 1024 + 200 * 1024), "84.2 MiB");
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
    }
}
