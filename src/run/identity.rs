//! Users and groups of the machine: whom ostlerd is, and whom an app's workers become.

use std::ffi::CString;
use std::path::PathBuf;

use nix::unistd::{Group, Uid, User, getegid, geteuid, getgrouplist, getgroups};

use crate::config::AppConfig;
use crate::plan::{Account, Refusal};

pub(super) mod local;

/// Whom the app's workers become: `None` where ostlerd is not root, and they stay what it is.
///
/// # Errors
///
/// An unknown user or group, or one that an ostlerd that is not root cannot become.
pub fn account_of(app: &AppConfig, own: &Account) -> Result<Option<Account>, Refusal> {
    if own.uid == 0 {
        let Some(user) = &app.user else {
            return Err(Refusal::new(format!(
                "{}: `user` is missing: ostlerd runs as root, and only an explicit user = \"root\" makes root workers",
                app.name
            )));
        };
        return account(user, app.group.as_deref()).map(Some);
    }
    if let Some(user) = &app.user
        && account(user, None)?.uid != own.uid
    {
        return Err(cannot_become(own, &format!("the user {user}"), "user"));
    }
    if let Some(name) = &app.group
        && group(name)?.gid.as_raw() != own.gid
    {
        return Err(cannot_become(own, &format!("the group {name}"), "group"));
    }
    Ok(None)
}

fn cannot_become(own: &Account, whom: &str, key: &str) -> Refusal {
    Refusal::new(format!(
        "ostlerd runs as {} and cannot become {whom}; run ostlerd as root, or take `{key}` out",
        own.name
    ))
}

/// A user of the machine with the groups that a login would give; `group` replaces the primary one.
pub fn account(user: &str, group: Option<&str>) -> Result<Account, Refusal> {
    let found = User::from_name(user).map_err(|error| {
        Refusal::new(format!(
            "the user {user} cannot be looked up: {}; see `getent passwd {user}`",
            error.desc()
        ))
    })?;
    let found = found.ok_or_else(|| {
        let create = format!("create it (useradd --system --no-create-home {user})");
        Refusal::new(format!("there is no user {user} on this machine; {create}, or correct `user`"))
    })?;
    let gid = match group {
        Some(name) => self::group(name)?.gid,
        None => found.gid,
    };
    let name = CString::new(found.name.clone())
        .map_err(|_| Refusal::new(format!("the user name {user:?} contains a NUL")))?;
    let groups = getgrouplist(&name, gid).map_err(|error| {
        Refusal::new(format!("the groups of {user} cannot be looked up: {}; see `id {user}`", error.desc()))
    })?;
    let mut groups: Vec<u32> = groups.into_iter().map(|group| group.as_raw()).collect();
    groups.sort_unstable();
    groups.dedup();
    Ok(Account { name: found.name, uid: found.uid.as_raw(), gid: gid.as_raw(), groups, home: found.dir })
}

/// The user of this number, and where there is none of that name (a container), the bare number with `gid`.
pub fn account_of_uid(uid: u32, gid: u32) -> Account {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let known = user.and_then(|user| account(&user.name, None).ok());
    let home = PathBuf::from("/");
    known.unwrap_or_else(|| Account { name: uid.to_string(), uid, gid, groups: vec![gid], home })
}

fn group(name: &str) -> Result<Group, Refusal> {
    let found = Group::from_name(name).map_err(|error| {
        Refusal::new(format!(
            "the group {name} cannot be looked up: {}; see `getent group {name}`",
            error.desc()
        ))
    })?;
    found.ok_or_else(|| {
        let create = format!("create it (groupadd --system {name})");
        Refusal::new(format!("there is no group {name} on this machine; {create}, or correct `group`"))
    })
}

/// Whom ostlerd runs as; a number without a name (a container) gets the number for its name and `/` for its home.
pub fn own_account() -> Account {
    let (uid, gid) = (geteuid(), getegid());
    let user = User::from_uid(Uid::from_raw(uid.as_raw())).ok().flatten();
    let mut groups: Vec<u32> =
        getgroups().unwrap_or_default().into_iter().map(|group| group.as_raw()).collect();
    groups.push(gid.as_raw());
    groups.sort_unstable();
    groups.dedup();
    let (name, home) = match user {
        Some(user) => (user.name, user.dir),
        None => (uid.to_string(), PathBuf::from("/")),
    };
    Account { name, uid: uid.as_raw(), gid: gid.as_raw(), groups, home }
}

#[cfg(test)]
mod tests;
