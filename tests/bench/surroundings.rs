//! The machine, and what else it had to do: figures mean nothing without it.

use std::fmt;
use std::fs;
use std::process::Command;

use crate::contestants::versions;

/// What stands above the figures.
pub struct Surroundings {
    cpus: usize,
    processor: String,
    memory: u64,
    kernel: String,
    python: String,
    versions: String,
    load: Vec<String>,
}

impl Surroundings {
    /// Looks around.
    pub fn look() -> Surroundings {
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let memory = read("/proc/meminfo");
        let kib = memory
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
        Surroundings {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            processor: model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
            memory: kib.unwrap_or(0u64) / (1 << 20),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            python: said("/usr/bin/python3", &["-V"]),
            versions: versions(),
            load: vec![load()],
        }
    }

    /// Notes the load once more.
    pub fn again(mut self) -> Surroundings {
        self.load.push(load());
        self
    }

    /// How many processors.
    pub fn cpus(&self) -> usize {
        self.cpus
    }

    /// The load averages of one minute, at the beginning and at the end.
    pub fn loads(&self) -> &[String] {
        &self.load
    }
}

impl fmt::Display for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Surroundings { cpus, processor, memory, kernel, python, versions, load } = self;
        write!(
            f,
            "Measured: ostler {} beside {versions}; {python}, Linux {kernel}, {cpus} × {processor}, {memory} GiB; load average {}",
            env!("CARGO_PKG_VERSION"),
            load.join(" at the beginning, at the end ")
        )
    }
}

fn load() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
}
