//! A process with nothing but a command, run as a worker is: as the app's user, with its environment, in its scope.

use std::path::PathBuf;
use std::sync::Arc;

use super::children::{Children, Gate};
use super::launch_spec::LaunchSpec;
use super::process::ProcessHandle;
use super::scope::ScopeContents;
use super::worker_process::launch_spec;
use crate::plan::Blueprint;
use crate::supervise::GenerationId;

/// What was started: the process, the gate that it waits at, and the control group that it enters.
pub(super) type Started = (Arc<ProcessHandle>, Gate, Option<String>);

/// Starts the command of this name; the error is words.
pub(super) fn start(
    children: &Children,
    generation: GenerationId,
    blueprint: &Blueprint,
    name: &str,
) -> Result<Started, String> {
    let app = &blueprint.app;
    let command = blueprint.processes.get(name).ok_or_else(|| format!("{app} has no command {name}"))?;
    let scope = children.place(app, ScopeContents::Generation(generation));
    let cgroup = scope.as_ref().map(|place| place.cgroup());
    let program = PathBuf::from(command.first().map(String::as_str).unwrap_or_default());
    let spec = launch_spec(blueprint, String::new());
    let mut spec = LaunchSpec { program, argv: command.clone(), scope, ..spec };
    spec.env.extend(children.variables(blueprint));
    let stream = children.stream(blueprint);
    let outputs: Vec<_> = stream.iter().flat_map(|stream| stream.outputs()).collect();
    let (process, gate) = children
        .spawn_held(&spec, &outputs)
        .map_err(|error| format!("cannot make a process for {name} of {app}: {error}"))?;
    Ok((Arc::new(process), gate, cgroup))
}
