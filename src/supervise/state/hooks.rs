//! The processes of an app's hooks.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::Hook;
use crate::supervise::due_hook::DueHook;
use crate::supervise::ids::{GenerationId, ProcessId};
use crate::supervise::time::Moment;

/// How long one hook may take; the first one with the start of its process, which reads the settings.
pub(crate) const HOOK_PATIENCE: Duration = Duration::from_secs(60);

/// So many hooks may wait, with the one that runs.
pub(crate) const HOOKS_MOST: usize = 1024;

/// The processes of one app's hooks, from its start to its stop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hooks {
    pub(crate) current: Option<HookHost>,
    pub(crate) incoming: Option<HookHost>,
    /// How many workers are wanted.
    pub(crate) workers: u32,
    /// Whether `when_ready` has run.
    pub(crate) was_ready: bool,
}

/// The process of one generation's hooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HookHost {
    pub(crate) generation: GenerationId,
    /// Before the first worker of the generation is started there is none. One that has ended is not started again.
    pub(crate) process: Option<ProcessId>,
    /// What it was told and has not answered, the one that runs first. Another ostlerd does not know what of it has been
    /// told, and waits for none.
    #[serde(skip)]
    due: VecDeque<Hook>,
    /// Since when the first of them runs.
    #[serde(skip)]
    since: Moment,
    /// Whether the last one that was due was left out.
    #[serde(skip)]
    behind: bool,
}

/// What becomes of a hook that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HookPlace {
    /// It runs after those before it.
    Taken,
    /// It is left out, for too many wait; the one before it was not.
    Full,
    /// It is left out, as the one before it was.
    StillFull,
}

impl HookHost {
    pub(crate) fn of(generation: GenerationId) -> HookHost {
        HookHost { generation, process: None, due: VecDeque::new(), since: Moment::ZERO, behind: false }
    }

    /// A hook is due.
    pub(crate) fn take(&mut self, hook: Hook, now: Moment) -> HookPlace {
        let was_behind = std::mem::replace(&mut self.behind, self.due.len() >= HOOKS_MOST);
        if self.behind {
            return if was_behind { HookPlace::StillFull } else { HookPlace::Full };
        }
        if self.due.is_empty() {
            self.since = now;
        }
        self.due.push_back(hook);
        HookPlace::Taken
    }

    /// One has run, or had no process that it could be about.
    pub(crate) fn has_run(&mut self, hook: Hook, now: Moment) {
        if let Some(at) = self.due.iter().position(|it| *it == hook) {
            self.due.remove(at);
            self.since = now;
        }
    }

    /// The one that runs, and when it should have ended.
    pub(crate) fn running(&self) -> Option<(Hook, Moment)> {
        self.due.front().map(|hook| (*hook, self.since + HOOK_PATIENCE))
    }
}

impl Hooks {
    /// Where hooks about a worker of `generation` run: in its own process, or in that of what serves now.
    pub(crate) fn host(&mut self, generation: GenerationId) -> Option<&mut HookHost> {
        self.incoming.as_mut().filter(|host| host.generation == generation).or(self.current.as_mut())
    }

    /// The process of a generation is started: the hook that runs first.
    pub(crate) fn begin(&mut self, generation: GenerationId, process: ProcessId, now: Moment) -> DueHook {
        let is_incoming = self.incoming.as_ref().is_some_and(|host| host.generation == generation);
        let first = Hook::first(is_incoming);
        if let Some(host) = self.host(generation) {
            host.process = Some(process);
            host.take(first, now);
        }
        DueHook::new(first, self.workers)
    }

    /// Another ostlerd goes on with these generations. A stop may have ended what came in, and the hooks of what serves.
    pub(crate) fn go_on(&mut self, serving: Option<GenerationId>, rolling: Option<GenerationId>) {
        self.incoming.take_if(|host| Some(host.generation) != rolling);
        self.current.take_if(|host| Some(host.generation) != serving);
        if self.current.is_none() {
            self.current = serving.map(HookHost::of);
        }
    }

    /// All that there are.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &HookHost> {
        self.current.iter().chain(&self.incoming)
    }

    pub(crate) fn host_of(&mut self, process: ProcessId) -> Option<&mut HookHost> {
        self.current.iter_mut().chain(&mut self.incoming).find(|host| host.process == Some(process))
    }

    pub(crate) fn serving(&self) -> Option<GenerationId> {
        self.current.as_ref().map(|host| host.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_left_out_and_said_once_until_there_is_room_again() {
        let mut host = HookHost::of(GenerationId(1));
        let places: Vec<_> = (0..HOOKS_MOST).map(|_| host.take(Hook::PreFork, Moment::ZERO)).collect();
        assert!(places.iter().all(|it| *it == HookPlace::Taken));
        let two = |host: &mut HookHost| [0, 1].map(|_| host.take(Hook::ChildExit, Moment::ZERO));
        assert_eq!(two(&mut host), [HookPlace::Full, HookPlace::StillFull]);
        host.has_run(Hook::PreFork, Moment::ZERO);
        assert_eq!(two(&mut host), [HookPlace::Taken, HookPlace::Full]);
    }

    #[test]
    fn each_hook_has_its_time_from_when_it_is_the_first() {
        let at = |seconds| Moment::at(Duration::from_secs(seconds));
        let mut host = HookHost::of(GenerationId(1));
        assert_eq!(host.running(), None);
        host.take(Hook::PreFork, at(10));
        host.take(Hook::WhenReady, at(20));
        assert_eq!(host.running(), Some((Hook::PreFork, at(70))));
        host.has_run(Hook::PreFork, at(30));
        assert_eq!(host.running(), Some((Hook::WhenReady, at(90))));
        host.has_run(Hook::WhenReady, at(40));
        assert_eq!(host.running(), None);
    }
}
