//! Becoming the app's user: a hostile image can do at most what that user can.

use std::env::var_os;
use std::ffi::{CString, OsString};
use std::path::PathBuf;

use nix::sys::prctl;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, User, geteuid, initgroups, setgid, setuid};

use crate::cli::error::VerbError;
use crate::control::protocol::exit;
use crate::plan::ServedApp;

/// Whose rights the pull has, and where that user's files are.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Person {
    home: PathBuf,
    /// `$XDG_RUNTIME_DIR` and `$XDG_CONFIG_HOME`, where it has them.
    runtime: Option<PathBuf>,
    config: Option<PathBuf>,
    /// `$REGISTRY_AUTH_FILE`, from whoever typed the command.
    auth_file: Option<PathBuf>,
}

/// For the rest of the process: root becomes the app's user, who stays who it is; nobody else may go on.
///
/// No other process of that user can look into this one, and children have no terminal (`program`).
pub(in crate::cli) fn become_user(app: &ServedApp) -> Result<Person, VerbError> {
    // A release is for everybody to read, as the app's static files are.
    umask(Mode::from_bits_truncate(0o022));
    let Some(name) = &app.user else { return Ok(Person::here(None)) };
    let user = account(name)?;
    match allowed(geteuid(), user.uid) {
        Allowed::Is => Ok(Person::here(Some(&user))),
        Allowed::Becomes => {
            drop_to(&user).map_err(|error| {
                VerbError::said(
                    exit::FAILED,
                    format!("cannot become {name}, the user of {}: {error}", app.name),
                )
            })?;
            Ok(Person::become_now(&user))
        }
        Allowed::No => Err(VerbError::said(
            exit::NOT_ALLOWED,
            format!(
                "the images of {} belong to its user: become {name} or root, for example by `sudo`",
                app.name
            ),
        )),
    }
}

impl Person {
    /// Whoever runs this.
    fn here(user: Option<&User>) -> Person {
        let home = set("HOME").or_else(|| user.map(|user| user.dir.clone())).unwrap_or_else(|| "/".into());
        Person {
            home,
            runtime: set("XDG_RUNTIME_DIR"),
            config: set("XDG_CONFIG_HOME"),
            auth_file: auth_file(),
        }
    }

    /// Somebody whose environment this is not.
    fn become_now(user: &User) -> Person {
        let runtime = PathBuf::from(format!("/run/user/{}", user.uid));
        let runtime = Some(runtime).filter(|it| it.is_dir());
        Person { home: user.dir.clone(), runtime, config: None, auth_file: auth_file() }
    }

    /// What a child has to know of it.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let home = Some(("HOME", self.home.clone().into_os_string()));
        let more = [
            ("XDG_RUNTIME_DIR", &self.runtime),
            ("XDG_CONFIG_HOME", &self.config),
            ("REGISTRY_AUTH_FILE", &self.auth_file),
        ];
        let more = more.into_iter().filter_map(|(name, it)| Some((name, it.clone()?.into_os_string())));
        home.into_iter().chain(more).collect()
    }

    /// Where the passwords for registries are looked for, as containers-auth.json(5) says.
    pub(super) fn auth_files(&self) -> String {
        if let Some(file) = &self.auth_file {
            return format!("{} ($REGISTRY_AUTH_FILE)", file.display());
        }
        let runtime = self.runtime.clone().unwrap_or_else(|| format!("/run/containers/{}", geteuid()).into());
        let first = match self.runtime {
            Some(_) => runtime.join("containers/auth.json"),
            None => runtime.join("auth.json"),
        };
        let config = self.config.clone().unwrap_or_else(|| self.home.join(".config"));
        let second = config.join("containers/auth.json");
        format!(
            "{}, {} and {}",
            first.display(),
            second.display(),
            self.home.join(".docker/config.json").display()
        )
    }
}

fn set(name: &str) -> Option<PathBuf> {
    var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from)
}

/// Children have another folder than who types this.
fn auth_file() -> Option<PathBuf> {
    set("REGISTRY_AUTH_FILE").and_then(|file| std::path::absolute(file).ok())
}

#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    Is,
    Becomes,
    No,
}

fn allowed(caller: Uid, user: Uid) -> Allowed {
    match caller == user {
        true => Allowed::Is,
        false if caller.is_root() => Allowed::Becomes,
        false => Allowed::No,
    }
}

fn account(name: &str) -> Result<User, VerbError> {
    let unknown = |why: String| VerbError::said(exit::FAILED, format!("there is no user {name} here{why}"));
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(unknown(String::new())),
        Err(error) => Err(unknown(format!(": {error}"))),
    }
}

fn drop_to(user: &User) -> nix::Result<()> {
    let name = CString::new(user.name.as_str()).expect("names of users have no zero byte");
    initgroups(&name, user.gid)?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    // Whoever may look into a process of root's terminal could type into it. The kernel sees to that by itself, unless it was
    // told to write cores of such processes.
    prctl::set_dumpable(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_becomes_the_user_and_nobody_else_does() {
        let [root, shop, other] = [0, 1000, 1001].map(Uid::from_raw);
        assert_eq!(allowed(shop, shop), Allowed::Is);
        assert_eq!(allowed(root, root), Allowed::Is);
        assert_eq!(allowed(root, shop), Allowed::Becomes);
        assert_eq!(allowed(other, shop), Allowed::No);
        assert_eq!(allowed(shop, root), Allowed::No);
    }
}
