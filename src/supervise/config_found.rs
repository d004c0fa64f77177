//! What the shell is asked to read of the configuration, what it finds, and how that stands to what runs.

use std::collections::BTreeMap;

use crate::config::AppName;
use crate::plan::{AppPlan, MachinePolicy, Refusal};

/// Why the configuration is read anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPurpose {
    /// To put it in force; apps that are configured as before keep their release.
    Reload,
    /// To put it in force with the releases as they are now.
    Hangup,
    /// To tell what [`ReadPurpose::Reload`] would change.
    DryRun,
}

/// What was found when the configuration was read, and nothing in it refused all of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigFound {
    /// What is to run, of every app but those of `held`.
    pub apps: BTreeMap<AppName, AppPlan>,
    /// Apps that cannot be looked at through no fault of the configuration: what of them runs goes on as it is.
    pub held: BTreeMap<AppName, Refusal>,
    /// What holds for the machine.
    pub machine: MachinePolicy,
    /// Keys that are configured otherwise than they run.
    pub needs_restart: Vec<String>,
}

/// How the configuration's files, as they were read last, stand to what runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigState {
    /// They are in force, but for these keys, which need a restart of ostlerd.
    InForce(Vec<String>),
    /// So they are, but for some apps: which, and why.
    InPart(Vec<String>, String),
    /// Nothing of them is, and why.
    Refused(String),
}
