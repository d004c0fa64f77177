//! How much the apps have to do whose workers follow the load.

use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::{AppRuntime, Running, Shell};
use crate::config::AppName;
use crate::run::scoreboard::monotonic_now;
use crate::run::{listen_queue, memory};
use crate::supervise::{AppLoad, Event, LoadLook, ProcessId, WorkerLoad};

impl Shell {
    /// A look at the load as it is asked for.
    pub fn look_at_load(&self, LoadLook { apps, memory, .. }: LoadLook) -> Event {
        let now = monotonic_now();
        let apps = apps.into_iter().map(|app| self.load_of(app, now, memory)).collect();
        Event::LoadObserved { apps, memory: memory.then(memory::of_machine).flatten() }
    }

    /// One that cannot be looked at has nothing to do.
    fn load_of(&self, app: AppName, now: u64, memory: bool) -> AppLoad {
        let Some(runtime) = self.apps.get(&app) else {
            return AppLoad { app, workers: Vec::new(), waiting: None, memory: None };
        };
        let its = self.workers.iter().filter(|(_, running)| running.blueprint.app == app);
        let workers = its.filter_map(|(id, running)| Some((*id, one(runtime, running, now)?)));
        let workers: Vec<(ProcessId, WorkerLoad)> = workers.collect();
        let queues = listen_queue::of(runtime.listeners.all()).into_iter();
        let waiting = queues.map(|it| it.waiting).reduce(u32::saturating_add);
        AppLoad { workers, waiting, memory: memory.then(|| memory::of_slice(&app)).flatten(), app }
    }
}

fn one(runtime: &AppRuntime, running: &Running, now: u64) -> Option<WorkerLoad> {
    let seen = runtime.scoreboard.read(running.slot.as_ref()?, now)?;
    // Where requests are bounded, they say how busy it is.
    let cpu = match running.blueprint.capacity {
        Some(_) => None,
        None => cpu_time(running.handle.pid()),
    };
    Some(WorkerLoad { in_flight: seen.in_flight, cpu })
}

/// Processor time that a process has used; `None` where it is gone.
fn cpu_time(pid: i32) -> Option<Duration> {
    let time = clock_gettime(clock_getcpuclockid(Pid::from_raw(pid)).ok()?).ok()?;
    Some(Duration::new(u64::try_from(time.tv_sec()).ok()?, u32::try_from(time.tv_nsec()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_told_of_a_process_and_not_of_none() {
        let own = std::process::id() as i32;
        let before = cpu_time(own).unwrap();
        let mut sum = 0_u64;
        while cpu_time(own).unwrap() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        // The kernel hands out no such number.
        assert_eq!(cpu_time(4_194_304), None);
    }
}
