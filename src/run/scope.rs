//! Transient scopes of systemd: where the processes of a generation, or of a migration, are together for good.
//!
//! ```text
//! ostler.slice/ostler-shop.slice/ostler-shop-g7.scope        opened by the first process that enters it,
//!                                                            collected by systemd when the last one has ended
//! ```
//!
//! What is in a scope outlives ostlerd, and nothing gets out of it: `setsid` and double forks do not help. So it is
//! ended as a whole. Entering is the launcher's part: `enter`. Without systemd there are process groups, and
//! [`Scopes::detect`] says why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::config::AppName;
use crate::plan::{SLICE, scope_of, slice_of};

mod alone;
pub(super) mod enter;
mod group;
mod left;
mod place;

pub(super) use alone::Alone;
pub use group::ControlGroup;
pub(super) use group::ROOT;
pub(super) use left::{end, end_left};
pub use place::{ScopeContents, ScopePurpose, ScopeSpec};

/// From this version of systemd on a scope is stopped for one process that runs out of memory, unless told otherwise.
const KNOWS_OOM_POLICY: u32 = 253;

/// Why there are no scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Without {
    /// Another init, a container, or none.
    #[error("systemd does not run here")]
    Systemd,
    /// Only root may make scopes among the machine's own.
    #[error("ostlerd does not run as root")]
    Root,
    /// Version 1, or both side by side.
    #[error("control groups are not of version 2 alone")]
    Unified,
    /// Started from a shell, where nobody counts on workers that outlive it.
    #[error("ostlerd does not run as a service")]
    Service,
    /// It should be there where systemd is.
    #[error("systemd-run is missing")]
    Program,
}

/// Scopes, where systemd makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    service: String,
    oom_policy: bool,
}

impl Scopes {
    /// Whether there are scopes here for this process. Runs `systemd-run --version`, and so comes before the loop.
    pub fn detect() -> Result<Scopes, Without> {
        if !Path::new("/run/systemd/system").is_dir() {
            return Err(Without::Systemd);
        }
        if !nix::unistd::geteuid().is_root() {
            return Err(Without::Root);
        }
        if !Path::new(ROOT).join("cgroup.controllers").exists() {
            return Err(Without::Unified);
        }
        // Set for the process itself that systemd has started, not for those below a login.
        let own = std::env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let service = service_of(&groups).filter(|_| own).ok_or(Without::Service)?;
        let version = Command::new(enter::SYSTEMD_RUN).arg("--version").stdin(Stdio::null()).output();
        let version = version.map_err(|_| Without::Program)?;
        let version = version_of(&String::from_utf8_lossy(&version.stdout));
        Ok(Scopes { service, oom_policy: version >= KNOWS_OOM_POLICY })
    }

    /// The place for an app's process.
    pub fn place(&self, app: &AppName, contents: ScopeContents) -> ScopeSpec {
        let slice = slice_of(app);
        let unit = match contents {
            ScopeContents::Generation(generation) => scope_of(app, &generation.to_string()),
            ScopeContents::Migration => scope_of(app, "migrate"),
            ScopeContents::PostDeploy => scope_of(app, "post-deploy"),
            ScopeContents::Alone(purpose, number) => scope_of(app, &format!("{}-{number}", purpose.name())),
        };
        let group = group_of(&slice).join(&unit);
        ScopeSpec { unit, slice, before: self.service.clone(), group, oom_policy: self.oom_policy }
    }

    /// The place for a process that works for several apps.
    fn place_of_several(&self, purpose: ScopePurpose, number: u64) -> ScopeSpec {
        let (unit, slice) = (format!("{SLICE}-{}-{number}.scope", purpose.name()), format!("{SLICE}.slice"));
        let group = Path::new(ROOT).join(&slice).join(&unit);
        ScopeSpec { unit, slice, before: self.service.clone(), group, oom_policy: self.oom_policy }
    }

    /// The scopes of an app's generations that hold processes.
    pub(super) fn of_generations(&self, app: &AppName) -> Vec<ControlGroup> {
        // Of the generation that is no number.
        let any = scope_of(app, "g");
        let begins = any.trim_end_matches(".scope");
        let is_one = |name: &str| {
            let number = name.strip_prefix(begins).and_then(|rest| rest.strip_suffix(".scope"));
            number.is_some_and(|number| number.parse::<u64>().is_ok())
        };
        let items = fs::read_dir(group_of(&slice_of(app))).into_iter().flatten().flatten();
        let scopes = items.filter(|item| item.file_name().to_str().is_some_and(is_one));
        scopes.map(|item| ControlGroup::new(item.path())).filter(|group| !group.is_empty()).collect()
    }

    /// Every scope that holds processes: those of an ostlerd that has died, where this one has started nothing yet.
    pub fn inhabited(&self) -> Vec<ControlGroup> {
        let slice = Path::new(ROOT).join(format!("{SLICE}.slice"));
        let below = |folder: &Path, ending: &str| -> Vec<PathBuf> {
            let items = fs::read_dir(folder).into_iter().flatten().flatten().map(|item| item.path());
            items.filter(|path| path.extension().is_some_and(|it| it == ending)).collect()
        };
        let several = below(&slice, "scope");
        let of_apps = below(&slice, "slice").into_iter().flat_map(|app| below(&app, "scope"));
        let scopes = several.into_iter().chain(of_apps);
        scopes.map(ControlGroup::new).filter(|group| !group.is_empty()).collect()
    }

    /// Takes the empty slices away: systemd leaves them when their scopes are gone. Does not wait.
    pub fn drop_slices(&self) {
        let slice = Path::new(ROOT).join(format!("{SLICE}.slice"));
        if !slice.exists() || !ControlGroup::new(slice).is_empty() {
            return;
        }
        let mut command = Command::new("/usr/bin/systemctl");
        command.args(["stop", "--no-block", "--quiet", &format!("{SLICE}.slice")]).env_clear();
        if let Err(error) = command.stdin(Stdio::null()).status() {
            tracing::warn!("{SLICE}.slice is left behind: systemctl: {error}");
        }
    }
}

/// The control group of an app's slice.
pub(super) fn group_of(slice: &str) -> PathBuf {
    Path::new(ROOT).join(format!("{SLICE}.slice")).join(slice)
}

/// The service that a process is in, by its `/proc/PID/cgroup`.
fn service_of(groups: &str) -> Option<String> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let last = path.rsplit('/').next()?;
    last.ends_with(".service").then(|| last.to_owned())
}

/// The first number of `systemd 252 (252.39-1~deb12u2)`.
fn version_of(text: &str) -> u32 {
    let number = text.split_whitespace().nth(1).unwrap_or_default();
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::GenerationId;

    fn scopes() -> Scopes {
        Scopes { service: "ostler.service".to_owned(), oom_policy: false }
    }

    #[test]
    fn an_app_has_a_slice_and_each_generation_a_scope_in_it() {
        let app: AppName = "shop".parse().expect("a name");
        let place = scopes().place(&app, ScopeContents::Generation(GenerationId(7)));
        assert_eq!(place.unit, "ostler-shop-g7.scope");
        assert_eq!(place.slice, "ostler-shop.slice");
        let group = "/sys/fs/cgroup/ostler.slice/ostler-shop.slice/ostler-shop-g7.scope";
        assert_eq!(place.group, Path::new(group));
        assert_eq!(scopes().place(&app, ScopeContents::Migration).unit, "ostler-shop-migrate.scope");
        let database = scopes().place(&app, ScopeContents::Alone(ScopePurpose::Database, 3));
        assert_eq!(database.unit, "ostler-shop-database-3.scope");
        assert_eq!(database.slice, "ostler-shop.slice");
        // No app has a scope of this name: those have a letter behind the app's name.
        let several = scopes().place_of_several(ScopePurpose::Settings, 3);
        assert_eq!(several.unit, "ostler-settings-3.scope");
        assert_eq!(several.group, Path::new("/sys/fs/cgroup/ostler.slice/ostler-settings-3.scope"));
    }

    #[test]
    fn a_dash_in_an_apps_name_is_no_step_in_the_tree() {
        let app: AppName = "shop-api.v2".parse().expect("a name");
        let place = scopes().place(&app, ScopeContents::Migration);
        assert_eq!(place.slice, "ostler-shop\\x2dapi.v2.slice");
        assert_eq!(place.unit, "ostler-shop\\x2dapi.v2-migrate.scope");
    }

    #[test]
    fn only_a_service_of_systemds_has_scopes() {
        let v2 = "0::/system.slice/ostler.service\n";
        assert_eq!(service_of(v2).as_deref(), Some("ostler.service"));
        let both = "9:name=systemd:/\n0::/system.slice/system-ostler.slice/ostler@a.service\n";
        assert_eq!(service_of(both).as_deref(), Some("ostler@a.service"));
        assert_eq!(service_of("0::/user.slice/user-0.slice/session-3.scope\n"), None);
        assert_eq!(service_of("4:memory:/system.slice/ostler.service\n"), None);
        assert_eq!(service_of(""), None);
    }

    #[test]
    fn the_version_is_the_first_number() {
        assert_eq!(version_of("systemd 252 (252.39-1~deb12u2)\n+PAM"), 252);
        assert_eq!(version_of("systemd 257~rc1 (257)"), 257);
        assert_eq!(version_of(""), 0);
    }
}
