//! The environment of a worker: all of it, made from nothing. Nothing of ostlerd's own leaks into it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::{AppConfig, env_name_fault, shortened};

use super::facts::{EnvFile, ReleasePaths};
use super::types::{Account, Refusal};

/// The kernel takes no string longer than this, `NAME=` and the NUL included.
const STRING_MOST: usize = 128 * 1024;

/// A folder of every image that can be written.
const IMAGE_HOME: &str = "/tmp";

/// Well under what the kernel takes of arguments and environment together.
const TOTAL_MOST: usize = 1024 * 1024;

/// The complete environment of the app's processes: a base (`PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`),
/// in an image what that says, then the files in their order, then `env`; the later wins.
///
/// `paths` are those of the release, `account` is whom the processes run as.
///
/// # Errors
///
/// A variable, or all of them together, longer than the kernel takes; a reserved or malformed name.
pub fn environment(
    app: &AppConfig,
    paths: &ReleasePaths,
    account: &Account,
    env_files: &[EnvFile],
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut env = base(&paths.python, account);
    if let Some(image) = &paths.image {
        // The machine's home of the user is not in there.
        env.insert("HOME".to_owned(), IMAGE_HOME.to_owned());
        env.extend(image.env.iter().cloned());
    }
    for (_, variables) in env_files {
        env.extend(variables.iter().cloned());
    }
    env.extend(app.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    check(&app.name.to_string(), &env)?;
    Ok(env)
}

fn base(python: &Path, account: &Account) -> BTreeMap<String, String> {
    const SYSTEM: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
    let own = python.parent().map(|bin| bin.to_string_lossy().into_owned());
    let own = own.filter(|bin| !SYSTEM.contains(&bin.as_str()) && !bin.contains(':') && !bin.is_empty());
    let path: Vec<&str> = own.as_deref().into_iter().chain(SYSTEM).collect();
    let home = account.home.to_string_lossy();
    let pairs = [
        ("PATH", path.join(":")),
        ("HOME", home.into_owned()),
        ("USER", account.name.clone()),
        ("LOGNAME", account.name.clone()),
        ("SHELL", "/bin/sh".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn check(app: &str, env: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let mut total = 0;
    for (name, value) in env {
        let shown = shortened(name, 60);
        let length = name.len() + value.len() + 2;
        total += length;
        if let Some(fault) = env_name_fault(name) {
            return Err(Refusal::new(format!("{app}: the environment variable {shown:?} {fault}")));
        }
        if value.contains('\0') {
            return Err(Refusal::new(format!(
                "{app}: the environment variable {shown} contains a NUL, which no program can take; leave it out"
            )));
        }
        if length > STRING_MOST {
            return Err(Refusal::new(format!(
                "{app}: the environment variable {shown} is {length} bytes long; the kernel takes {STRING_MOST}; \
                 put it into a file and its path into the variable"
            )));
        }
    }
    if total > TOTAL_MOST {
        return Err(Refusal::new(format!(
            "{app}: the environment is {total} bytes long in all; {TOTAL_MOST} is the most; put large values into files"
        )));
    }
    Ok(())
}
