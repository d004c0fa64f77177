//! The commands that run beside an app's workers, as `status` shows them. Pure.

use serde::{Deserialize, Serialize};

use super::facts::ShellFacts;
use super::words::{Tone, bytes, duration};
use crate::config::counted;
use crate::supervise::{AppView, BackgroundView, GenerationId, ProcessId, Role, WorkerState};

/// A command that runs beside the workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackgroundStatus {
    /// Its name, as in `[processes.NAME]`.
    pub name: String,
    /// How it is.
    pub state: BackgroundState,
    /// The name of its process; `None` if there is none.
    pub id: Option<ProcessId>,
    /// The same process's number; `None` also between the decision to start it and its start.
    pub pid: Option<i32>,
    /// Its generation.
    pub generation: GenerationId,
    /// How often it was started again in this generation, because it had ended by itself or could not be started.
    pub restarts: u32,
    /// Since its start.
    pub age_seconds: Option<f64>,
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// How long until it is started, if it waits for that.
    pub next_start_seconds: Option<f64>,
}

/// How a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackgroundState {
    /// It runs.
    Running,
    /// It has ended by itself, or could not be started, and is started again soon.
    Waiting,
    /// It was asked to end.
    Ending,
}

/// What runs, then what waits.
pub(super) fn of(app: &AppView, facts: &ShellFacts) -> Vec<BackgroundStatus> {
    let there = app.processes.iter().filter_map(|process| {
        let Role::Background(name) = &process.role else { return None };
        let runs = process.state == WorkerState::Ready;
        let its = |it: &&BackgroundView| (&it.name, it.generation) == (name, process.generation);
        Some(BackgroundStatus {
            name: name.clone(),
            state: if runs { BackgroundState::Running } else { BackgroundState::Ending },
            id: Some(process.id),
            pid: facts.pids.get(&process.id).copied(),
            generation: process.generation,
            restarts: app.background.iter().find(its).map_or(0, |it| it.restarts),
            age_seconds: Some(process.age.as_secs_f64()),
            rss_bytes: facts.memory.get(&process.id).copied(),
            next_start_seconds: None,
        })
    });
    let waiting = app.background.iter().filter(|it| it.next_start.is_some()).map(|it| BackgroundStatus {
        name: it.name.clone(),
        state: BackgroundState::Waiting,
        id: None,
        pid: None,
        generation: it.generation,
        restarts: it.restarts,
        age_seconds: None,
        rss_bytes: None,
        next_start_seconds: it.next_start.map(|wait| wait.as_secs_f64()),
    });
    there.chain(waiting).collect()
}

/// `queue w8 of g7: running, pid 808, 2m05s old, 96.0 MiB, started again 2 times`
pub fn background_words(command: &BackgroundStatus) -> String {
    let BackgroundStatus { name, state, id, pid, generation, .. } = command;
    let state = match state {
        BackgroundState::Running => "running",
        BackgroundState::Waiting => "not running",
        BackgroundState::Ending => "ending",
    };
    let mut words = vec![state.to_owned()];
    words.extend(pid.map(|pid| format!("pid {pid}")));
    words.extend(command.age_seconds.map(|age| format!("{} old", duration(age))));
    words.extend(command.rss_bytes.map(bytes));
    words.extend(command.next_start_seconds.map(|wait| format!("next start in {}", duration(wait))));
    if command.restarts > 0 {
        words.push(format!("started again {}", counted(command.restarts, "time")));
    }
    let process = id.map(|id| format!(" {id}")).unwrap_or_default();
    format!("{name}{process} of {generation}: {}", words.join(", "))
}

/// How a command's state is to be taken.
pub fn background_tone(state: BackgroundState) -> Tone {
    match state {
        BackgroundState::Running => Tone::Plain,
        BackgroundState::Waiting | BackgroundState::Ending => Tone::Warn,
    }
}
