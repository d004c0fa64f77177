//! What a process of an app is for, and what follows from that alone. Everything else is the same for all of them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ladder::Ladder;
use crate::plan::{Policy, Preload};
use crate::supervise::inspection::SlotStage;

/// What a process is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It listens, proves itself by the probe and its heartbeat, and drains.
    Web,
    /// It loads this much once, and workers of its generation are forked from it.
    Zygote(Preload),
    /// It runs the hooks of gunicorn's master for its generation, one after the other.
    Hooks,
    /// It runs the app's command of this name, and is up as soon as it is started.
    Background(String),
}

/// How a role is spoken of: `worker w3 of g1 ...`.
pub(super) struct Work {
    pub(super) begins: String,
    pub(super) has_begun: String,
    /// Said after that.
    pub(super) then: &'static str,
    pub(super) ends: &'static str,
    pub(super) fails: String,
    pub(super) dies: String,
    /// It could not be started, it has ended before it was ready, it has had its time.
    pub(super) not_started: String,
    pub(super) not_booted: String,
    pub(super) not_ready: String,
}

impl Role {
    pub(in crate::supervise) fn noun(&self) -> &'static str {
        match self {
            Role::Web => "worker",
            Role::Zygote(_) => "zygote",
            Role::Hooks => "hook host",
            Role::Background(_) => "process",
        }
    }

    /// Its noun as programs read it.
    pub(super) fn key(&self) -> String {
        self.noun().replace(' ', "_")
    }

    /// What programs read of it beside its noun.
    pub(super) fn special(&self) -> Option<(&'static str, Value)> {
        match self {
            Role::Web | Role::Hooks => None,
            Role::Zygote(loads) => Some(("loads", serde_json::to_value(loads).ok()?)),
            Role::Background(name) => Some(("name", name.as_str().into())),
        }
    }

    /// The role that stands in what programs read.
    pub(super) fn read(fields: &Map<String, Value>) -> Option<Role> {
        if fields.contains_key("zygote") {
            let loads = serde_json::from_value(fields.get("loads")?.clone()).ok()?;
            return Some(Role::Zygote(loads));
        }
        if fields.contains_key("process") {
            return Some(Role::Background(fields.get("name")?.as_str()?.to_owned()));
        }
        if fields.contains_key("hook_host") {
            return Some(Role::Hooks);
        }
        fields.contains_key("worker").then_some(Role::Web)
    }

    pub(super) fn work(&self) -> Work {
        match self {
            Role::Web => Work {
                begins: "started".to_owned(),
                has_begun: "ready".to_owned(),
                then: "",
                ends: "drains",
                fails: "failed to boot".to_owned(),
                dies: "died".to_owned(),
                not_started: "could not be started".to_owned(),
                not_booted: "did not boot".to_owned(),
                not_ready: "was not ready".to_owned(),
            },
            Role::Hooks => {
                let no_more = "ended: the hooks of gunicorn's master run no more until the next rollout, and the \
                               workers are not affected";
                Work {
                    begins: "runs the hooks of gunicorn's master".to_owned(),
                    has_begun: "runs the hooks of gunicorn's master".to_owned(),
                    then: "",
                    ends: "ends when it has run what is due",
                    fails: no_more.to_owned(),
                    dies: no_more.to_owned(),
                    not_started: "could not be started".to_owned(),
                    not_booted: "did not start".to_owned(),
                    not_ready: "had not started".to_owned(),
                }
            }
            Role::Background(name) => Work {
                begins: format!("runs {name}"),
                has_begun: format!("runs {name}"),
                then: "",
                ends: "is asked to end",
                fails: format!("failed to run {name}"),
                dies: format!("({name}) ended by itself; another one is started"),
                not_started: format!("could not run {name}"),
                not_booted: format!("could not run {name}"),
                not_ready: format!("had not run {name}"),
            },
            Role::Zygote(loads) => {
                let what = loads.what();
                let could_not = format!("could not load {what}");
                Work {
                    begins: format!("loads {what}"),
                    has_begun: format!("has loaded {what}"),
                    then: "; workers are forked from it",
                    ends: "ends",
                    fails: format!("failed to load {what}"),
                    dies: format!("died; its workers serve on, and another loads {what} when it is needed"),
                    not_started: could_not.clone(),
                    not_booted: could_not,
                    not_ready: format!("had not loaded {what}"),
                }
            }
        }
    }

    /// Whether it serves clients. Only then is its loss while it is up one of the app's, does it grow old, and is it
    /// replaced before it is ended.
    pub(in crate::supervise) fn serves(&self) -> bool {
        match self {
            Role::Web => true,
            Role::Zygote(_) | Role::Hooks | Role::Background(_) => false,
        }
    }

    /// Whether it is up when it has shown so, and shows from then on that it lives.
    pub fn proves(&self) -> bool {
        !matches!(self, Role::Hooks | Role::Background(_))
    }

    /// Whether it opens its log files anew when it is told to. A command of the app's own may die of the signal.
    pub fn reopens_logs(&self) -> bool {
        !matches!(self, Role::Background(_))
    }

    /// How it is ended.
    pub(in crate::supervise) fn ladder(&self, policy: &Policy) -> Ladder {
        match self {
            Role::Web => Ladder::serving(policy.drain_timeout),
            Role::Zygote(_) => Ladder::IDLE,
            Role::Hooks => Ladder::HOOKS,
            Role::Background(_) => Ladder::finishing(policy.drain_timeout),
        }
    }

    /// Whether the next ostlerd can use one that was found at this stage; `ready` is whether it was up before.
    pub(in crate::supervise) fn goes_on(&self, ready: bool, stage: Option<SlotStage>) -> bool {
        match self {
            Role::Web if ready => true,
            // Nobody has heard whether it was let in, or it has been told to go.
            Role::Web => !matches!(stage, Some(SlotStage::Empty | SlotStage::Loaded | SlotStage::Draining)),
            Role::Background(_) => true,
            Role::Hooks => stage == Some(SlotStage::Ready),
            Role::Zygote(_) if ready => stage == Some(SlotStage::Ready),
            Role::Zygote(_) => matches!(stage, Some(SlotStage::Booting | SlotStage::Ready)),
        }
    }
}
