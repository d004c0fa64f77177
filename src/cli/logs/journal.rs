//! What is in the journal, shown by journalctl itself.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::arguments::{LineLimit, Logs, ProcessFilter};
use super::program::{self, LogProgram};
use crate::cli::error::VerbError;
use crate::cli::screen::{complain, plain};
use crate::config::AppName;
use crate::control::protocol::exit;
use crate::observe::Status;
use crate::plan::{scope_of, slice_of};

const JOURNALCTL: LogProgram = LogProgram { name: "journalctl", of: "systemd" };

/// Where journald keeps its files, on the disk and in memory; each machine has a folder there.
const FOLDERS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// The name of this machine's folder.
const MACHINE: &str = "/etc/machine-id";

pub(super) async fn show(
    app: &AppName,
    wanted: &Logs,
    status: Option<&Status>,
    json: bool,
) -> Result<u8, VerbError> {
    let matches = matches(app, wanted.process, status)?;
    if !has_any(&matches, wanted)? {
        if !may_read() {
            let why = "you may not read the journal: root and members of the groups `adm` and `systemd-journal` may; \
                       use sudo, or `adduser NAME systemd-journal` and log in again";
            return Err(VerbError::said(exit::NOT_ALLOWED, why));
        }
        let since = if wanted.since.is_some() { " since then" } else { " yet" };
        let who = wanted.process.map_or_else(|| app.to_string(), |it| format!("{} of {app}", name_of(it)));
        complain(&format!("ostler: {who} has written nothing to the journal{since}"));
        if !wanted.follow {
            return Ok(0);
        }
    }
    let mut arguments = base(&matches, wanted);
    match (wanted.lines, &wanted.since) {
        (Some(LineLimit::Last(lines)), _) => arguments.push(format!("--lines={lines}")),
        (Some(LineLimit::All), _) | (None, Some(_)) => arguments.push("--lines=all".to_owned()),
        (None, None) => arguments.push("--lines=10".to_owned()),
    }
    if wanted.follow {
        arguments.push("--follow".to_owned());
    }
    if json {
        arguments.push("--output=json".to_owned());
    }
    program::run(&JOURNALCTL, &arguments).await
}

fn base(matches: &[String], wanted: &Logs) -> Vec<String> {
    let quiet = ["--quiet", "--no-pager"].map(str::to_owned).into_iter();
    let since = wanted.since.iter().map(|since| format!("--since={since}"));
    // Numbers of processes begin anew with the machine, and those of generations may.
    let boot = wanted.process.map(|_| "--boot".to_owned());
    quiet.chain(since).chain(boot).chain(matches.iter().cloned()).collect()
}

/// What journalctl is to look for. Fields that begin with `_` are journald's own: no other program can pass for the app.
fn matches(
    app: &AppName,
    process: Option<ProcessFilter>,
    status: Option<&Status>,
) -> Result<Vec<String>, VerbError> {
    let slice = format!("_SYSTEMD_SLICE={}", slice_of(app));
    // Without scopes, and of a process that had ended before journald looked, the writer's unit is that of ostlerd.
    let service = ["_SYSTEMD_UNIT=ostler.service".to_owned(), format!("SYSLOG_IDENTIFIER={app}")];
    Ok(match process {
        Some(ProcessFilter::Generation(number)) => {
            vec![format!("_SYSTEMD_UNIT={}", scope_of(app, &format!("g{number}")))]
        }
        Some(ProcessFilter::Worker(number)) => {
            let pid = format!("_PID={}", pid_of(app, number, status)?);
            let [unit, name] = service;
            vec![slice, pid.clone(), "+".to_owned(), unit, name, pid]
        }
        None => {
            let [unit, name] = service;
            vec![slice, "+".to_owned(), unit, name]
        }
    })
}

fn name_of(process: ProcessFilter) -> String {
    match process {
        ProcessFilter::Worker(number) => format!("w{number}"),
        ProcessFilter::Generation(number) => format!("g{number}"),
    }
}

/// The journal knows processes by their pids, and only ostlerd knows whose they are.
fn pid_of(app: &AppName, number: u64, status: Option<&Status>) -> Result<u32, VerbError> {
    let Some(status) = status else {
        let why = format!(
            "only a running ostlerd knows which process w{number} is, and it does not answer; \
             --process gN shows a generation without it"
        );
        return Err(VerbError::said(exit::UNREACHABLE, why));
    };
    let workers = status.apps.iter().filter(|it| it.name == *app).flat_map(|it| &it.workers);
    let named: Vec<_> = workers.filter_map(|it| Some((it.id.0, it.pid?))).collect();
    if let Some((_, pid)) = named.iter().find(|(id, _)| *id == number) {
        return u32::try_from(*pid).map_err(|error| VerbError::said(exit::FAILED, error.to_string()));
    }
    let names: Vec<String> = named.iter().map(|(id, _)| format!("w{id}")).collect();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let why = format!(
        "{app} has no worker w{number} now (workers: {there}); what one has written that is gone is under its \
         generation, --process gN"
    );
    Err(VerbError::said(exit::USAGE, why))
}

/// Whether there is a line to show. What is wrong with the arguments comes up here.
fn has_any(matches: &[String], wanted: &Logs) -> Result<bool, VerbError> {
    let mut command = Command::new(JOURNALCTL.name);
    command.args(base(matches, wanted)).args(["--lines=1", "--output=cat"]).stdin(Stdio::null());
    let said = command.output().map_err(|error| JOURNALCTL.missing(&error))?;
    let error = String::from_utf8_lossy(&said.stderr);
    match said.status.success() {
        true => Ok(!said.stdout.is_empty()),
        false if !may_read() => Ok(false),
        false => {
            let code = if wanted.since.is_some() { exit::USAGE } else { exit::FAILED };
            Err(VerbError::said(code, format!("journalctl: {}", plain(error.trim()))))
        }
    }
}

/// Whether the machine's own part of the journal is open to this user; true also if there is none.
fn may_read() -> bool {
    let machine = fs::read_to_string(MACHINE).unwrap_or_default();
    let file = |folder: &str| Path::new(folder).join(machine.trim()).join("system.journal");
    let is_refused = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    !FOLDERS.into_iter().any(|folder| File::open(file(folder)).is_err_and(is_refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_its_slice_and_a_generation_its_scope() {
        let app: AppName = "my-shop".parse().unwrap();
        let all = matches(&app, None, None).unwrap();
        assert_eq!(
            all,
            [
                r"_SYSTEMD_SLICE=ostler-my\x2dshop.slice",
                "+",
                "_SYSTEMD_UNIT=ostler.service",
                "SYSLOG_IDENTIFIER=my-shop"
            ]
        );
        let one = matches(&app, Some(ProcessFilter::Generation(3)), None).unwrap();
        assert_eq!(one, [r"_SYSTEMD_UNIT=ostler-my\x2dshop-g3.scope"]);
        let unknown = matches(&app, Some(ProcessFilter::Worker(3)), None).unwrap_err();
        assert!(unknown.to_string().contains("only a running ostlerd knows"), "{unknown}");
    }
}
