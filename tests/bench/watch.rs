//! What processes cost: memory, processor time, wake-ups, as /proc counts them.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{Proc, eventually};

/// What some processes have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Time on a processor.
    pub cpu: Duration,
    /// How often one of their threads was put on a processor.
    pub switches: u64,
}

impl Used {
    /// Of all threads of these.
    pub fn by(processes: &[Proc]) -> Used {
        let threads = processes.iter().flat_map(|it| threads(*it));
        threads.fold(Used::default(), |sum, task| {
            let stat = fs::read_to_string(format!("{task}/schedstat")).unwrap_or_default();
            let mut fields = stat.split_whitespace().map(|it| it.parse::<u64>().unwrap_or(0));
            let (cpu, _waited) = (fields.next().unwrap_or(0), fields.next());
            Used {
                cpu: sum.cpu + Duration::from_nanos(cpu),
                switches: sum.switches + fields.next().unwrap_or(0),
            }
        })
    }

    /// From `earlier` to this.
    pub fn since(self, earlier: Used) -> Used {
        Used {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

fn threads(process: Proc) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.0)).into_iter().flatten().flatten();
    tasks.map(|task| task.path().to_string_lossy().into_owned()).collect()
}

/// The share of memory of these.
pub fn pss(processes: &[Proc]) -> u64 {
    processes.iter().map(|process| process.pss()).sum()
}

/// Lets so much time go by.
pub fn pass(time: Duration) {
    let began = Instant::now();
    eventually(time * 2, || (began.elapsed() >= time).then_some(()));
}
