//! The limits of the apps, as properties of their slices: systemd puts them in force and keeps them when ostlerd dies.
//!
//! ```text
//! set ──► one task, in order ──► systemctl set-property --runtime ostler-shop.slice MemoryMax=…
//!                                  └─ /run/systemd/system.control/ostler-shop.slice.d/50-MemoryMax.conf
//! ```
//!
//! systemd's files are the memory of what was set: a limit that is no longer wanted is taken back where there is one,
//! also by an ostlerd that did not set it, and what nobody ever limited is left to the machine's owner.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::captured::captured;
use super::children::Children;
use super::scope;
use crate::config::AppName;
use crate::plan::Resources;
use crate::supervise::Exit;

const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// How long systemd may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where systemd keeps what `set-property --runtime` has set.
const SET: &str = "/run/systemd/system.control";

/// A limit by its names, here, there and in the kernel, and what it is where nobody sets it.
struct Limit {
    key: &'static str,
    property: &'static str,
    controller: &'static str,
    unlimited: &'static str,
    wanted: fn(&Resources) -> Option<u64>,
}

const LIMITS: [Limit; 4] = [
    Limit {
        key: "memory_high",
        property: "MemoryHigh",
        controller: "memory",
        unlimited: "infinity",
        wanted: |it| it.memory_high,
    },
    Limit {
        key: "memory_max",
        property: "MemoryMax",
        controller: "memory",
        unlimited: "infinity",
        wanted: |it| it.memory_max,
    },
    Limit {
        key: "cpu_weight",
        property: "CPUWeight",
        controller: "cpu",
        unlimited: "100",
        wanted: |it| it.cpu_weight,
    },
    Limit {
        key: "tasks_max",
        property: "TasksMax",
        controller: "pids",
        unlimited: "infinity",
        wanted: |it| it.tasks_max,
    },
];

#[derive(Debug)]
enum LimitOrder {
    Set(AppName, Resources),
    Done(oneshot::Sender<()>),
}

/// The limits of every app.
#[derive(Debug)]
pub(super) struct AppLimits {
    children: Children,
    orders: Option<mpsc::UnboundedSender<LimitOrder>>,
}

impl AppLimits {
    /// Nothing is limited.
    pub(super) fn new(children: Children) -> AppLimits {
        AppLimits { children, orders: None }
    }

    /// Has these limits put in force, and no others, after what was asked before. What cannot be done is said.
    pub(super) fn set(&mut self, app: AppName, resources: Resources) {
        if self.children.scopes().is_none() {
            let keys = keys(wanted(&resources));
            if !keys.is_empty() {
                tracing::warn!(
                    app = app.as_str(),
                    "{app}: not in force: {keys} of [limits]: that takes scopes of systemd's, which there are none of here"
                );
            }
            return;
        }
        let orders = self.orders.get_or_insert_with(|| {
            let (orders, inbox) = mpsc::unbounded_channel();
            tokio::spawn(carry_out(inbox, self.children.clone()));
            orders
        });
        // The task ends with the last sender.
        let _ = orders.send(LimitOrder::Set(app, resources));
    }

    /// Waits until all that was asked is done.
    pub(super) async fn close(&mut self) {
        if let Some(orders) = self.orders.take() {
            let (done, waits) = oneshot::channel();
            let _ = orders.send(LimitOrder::Done(done));
            let _ = waits.await;
        }
    }
}

/// Takes systemd's memory of what ostlerd has set away: the slices are gone.
pub(super) fn forget() {
    for folder in fs::read_dir(SET).into_iter().flatten().flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        if name.starts_with("ostler-") && name.ends_with(".slice.d") {
            for limit in &LIMITS {
                // Most were never set.
                let _ = fs::remove_file(file_in(&folder.path(), limit));
            }
            // Only if empty: what somebody else has set stays.
            let _ = fs::remove_dir(folder.path());
        }
    }
}

async fn carry_out(mut inbox: mpsc::UnboundedReceiver<LimitOrder>, children: Children) {
    while let Some(order) = inbox.recv().await {
        match order {
            LimitOrder::Set(app, resources) => set(&children, &app, &resources).await,
            // Whoever waits may have gone.
            LimitOrder::Done(done) => drop(done.send(())),
        }
    }
}

async fn set(children: &Children, app: &AppName, resources: &Resources) {
    let slice = crate::plan::slice_of(app);
    let folder = Path::new(SET).join(format!("{slice}.d"));
    let properties = properties(resources, |limit| file_in(&folder, limit).exists());
    if properties.is_empty() {
        return;
    }
    let told = properties.join(" ");
    let mut argv = ["systemctl", "set-property", "--runtime", &slice].map(str::to_owned).to_vec();
    argv.extend(properties);
    let why = match captured(children, Path::new(SYSTEMCTL), argv, PATIENCE).await {
        Ok((Exit::Code(0), _)) => lacking(resources),
        Ok((exit, output)) if output.trim().is_empty() => Some(exit.to_string()),
        Ok((_, output)) => Some(output.trim().to_owned()),
        Err(error) => Some(error.to_string()),
    };
    match why {
        None => tracing::info!(app = app.as_str(), "{app}: limits in force: {told}"),
        Some(why) => {
            tracing::warn!(app = app.as_str(), "{app}: [limits] not in force: {told} of {slice}: {why}");
        }
    }
}

/// Which of the wanted limits systemd keeps, but cannot put in force here.
fn lacking(resources: &Resources) -> Option<String> {
    let has = fs::read_to_string(Path::new(scope::ROOT).join("cgroup.controllers")).unwrap_or_default();
    let lacks = |limit: &&Limit| !has.split_whitespace().any(|it| it == limit.controller);
    let keys = keys(wanted(resources).filter(lacks));
    let has = if has.trim().is_empty() { "none" } else { has.trim() };
    let words = "this machine's control groups lack the controller for";
    (!keys.is_empty()).then(|| format!("{words} {keys} (they have: {has})"))
}

/// What systemd is told: all that is wanted, and the end of what no longer is.
fn properties(resources: &Resources, was_set: impl Fn(&Limit) -> bool) -> Vec<String> {
    let property = |limit: &Limit| match (limit.wanted)(resources) {
        Some(wanted) => Some(format!("{}={wanted}", limit.property)),
        None => was_set(limit).then(|| format!("{}={}", limit.property, limit.unlimited)),
    };
    LIMITS.iter().filter_map(property).collect()
}

fn wanted(resources: &Resources) -> impl Iterator<Item = &'static Limit> {
    LIMITS.iter().filter(|limit| (limit.wanted)(resources).is_some())
}

fn keys(limits: impl Iterator<Item = &'static Limit>) -> String {
    limits.map(|limit| limit.key).collect::<Vec<_>>().join(", ")
}

fn file_in(folder: &Path, limit: &Limit) -> PathBuf {
    folder.join(format!("50-{}.conf", limit.property))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_set_and_only_what_was_set_is_taken_back() {
        let some = Resources { memory_max: Some(1 << 30), cpu_weight: Some(50), ..Resources::default() };
        assert_eq!(properties(&some, |_| false), ["MemoryMax=1073741824", "CPUWeight=50"]);
        assert_eq!(
            properties(&some, |limit| limit.key == "tasks_max"),
            ["MemoryMax=1073741824", "CPUWeight=50", "TasksMax=infinity"]
        );
        assert_eq!(properties(&Resources::default(), |_| false), [""; 0]);
        let all = ["MemoryHigh=infinity", "MemoryMax=infinity", "CPUWeight=100", "TasksMax=infinity"];
        assert_eq!(properties(&Resources::default(), |_| true), all);
    }

    #[test]
    fn the_keys_are_named_as_in_the_file() {
        let all =
            Resources { memory_high: Some(1), memory_max: Some(2), cpu_weight: Some(3), tasks_max: Some(4) };
        assert_eq!(keys(wanted(&all)), "memory_high, memory_max, cpu_weight, tasks_max");
    }
}
