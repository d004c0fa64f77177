//! Who may do what, by the credentials that the kernel gives for the other end of the socket.
//!
//! | who | may |
//! | --- | --- |
//! | root, and ostlerd's own user | everything |
//! | an app's own user | look, and change that app |
//! | members of group `ostler` | look |

use std::collections::BTreeMap;
use std::ffi::CString;
use std::time::Duration;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use tokio::net::unix::UCred;
use tokio::sync::Semaphore;

use super::places::ConnectionOwner;
use crate::config::AppName;
use crate::supervise::Permission;

/// Members of this group may look.
const GROUP: &str = "ostler";

/// A directory server that does not answer must not keep a place at the socket.
const GROUP_LOOKUP: Duration = Duration::from_secs(5);

/// Look-ups at once: one that hangs keeps its thread, also when nobody waits for it any more.
static LOOKUPS: Semaphore = Semaphore::const_new(8);

/// Whether `uid` may do everything, which needs no look-up.
pub(super) fn is_master(uid: u32) -> bool {
    uid == 0 || uid == Uid::effective().as_raw()
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientIdentity {
    pub(super) uid: u32,
    pub(super) master: bool,
    pub(super) member: bool,
}

impl ClientIdentity {
    /// The client with these credentials. Groups are looked up off the loop, for that may ask the network, and only of
    /// whom nothing else gives the right to look.
    pub(super) async fn of(caller: ConnectionOwner, credentials: UCred) -> ClientIdentity {
        let (uid, gid) = (credentials.uid(), credentials.gid());
        match caller {
            ConnectionOwner::Master => ClientIdentity { uid, master: true, member: true },
            ConnectionOwner::Owner(_) => ClientIdentity { uid, master: false, member: false },
            ConnectionOwner::Other(_) => {
                let member = tokio::time::timeout(GROUP_LOOKUP, looked_up(uid, gid)).await.unwrap_or(false);
                ClientIdentity { uid, master: false, member }
            }
        }
    }

    /// Whether it may do what takes `permission`, `what` it is, to `app` if it is about one; else why not.
    pub(super) fn may(
        &self,
        permission: Permission,
        what: &str,
        app: Option<&AppName>,
        owners: &BTreeMap<AppName, u32>,
    ) -> Result<(), String> {
        match (permission, app) {
            (Permission::Look, _) => self.may_look(owners),
            (Permission::ChangeApp, Some(app)) => self.may_change(app, owners),
            (Permission::ChangeApp, None) | (Permission::ChangeMachine, _) => self.may_change_all(what),
        }
    }

    /// Whether status and events are for this client; else why not.
    pub(super) fn may_look(&self, owners: &BTreeMap<AppName, u32>) -> Result<(), String> {
        if self.master || self.member || owners.values().any(|owner| *owner == self.uid) {
            return Ok(());
        }
        Err(format!(
            "the user with uid {} may not look: root, members of group `{GROUP}` and the apps' own users may; \
             use sudo, or `adduser NAME {GROUP}` and log in again",
            self.uid
        ))
    }

    /// Whether this client may change `app`; else why not.
    fn may_change(&self, app: &AppName, owners: &BTreeMap<AppName, u32>) -> Result<(), String> {
        if self.master || owners.get(app) == Some(&self.uid) {
            return Ok(());
        }
        Err(format!(
            "the user with uid {} may not change `{app}`: only root and the app's own user may; use sudo",
            self.uid
        ))
    }

    /// Whether this client may change the machine as a whole; else why not.
    fn may_change_all(&self, what: &str) -> Result<(), String> {
        if self.master {
            return Ok(());
        }
        Err(format!("the user with uid {} may not {what}: only root may; use sudo", self.uid))
    }
}

async fn looked_up(uid: u32, gid: u32) -> bool {
    let Ok(turn) = LOOKUPS.acquire().await else { return false };
    let lookup = tokio::task::spawn_blocking(move || {
        let found = is_member(uid, gid);
        drop(turn);
        found
    });
    lookup.await.unwrap_or(false)
}

/// Whether the user is in group `ostler`, by the primary group of the process or by the user database.
fn is_member(uid: u32, gid: u32) -> bool {
    let Ok(Some(group)) = Group::from_name(GROUP) else { return false };
    if group.gid.as_raw() == gid {
        return true;
    }
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else { return false };
    let Ok(name) = CString::new(user.name) else { return false };
    getgrouplist(&name, Gid::from_raw(gid)).is_ok_and(|groups| groups.contains(&group.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: ClientIdentity = ClientIdentity { uid: 0, master: true, member: true };
    const MEMBER: ClientIdentity = ClientIdentity { uid: 1001, master: false, member: true };
    const OWNER: ClientIdentity = ClientIdentity { uid: 2001, master: false, member: false };
    const STRANGER: ClientIdentity = ClientIdentity { uid: 3001, master: false, member: false };

    fn name(text: &str) -> AppName {
        text.parse().unwrap()
    }

    fn owners() -> BTreeMap<AppName, u32> {
        BTreeMap::from([(name("shop"), 2001), (name("blog"), 2002)])
    }

    #[test]
    fn all_but_strangers_may_look() {
        for client in [MASTER, MEMBER, OWNER] {
            assert!(client.may_look(&owners()).is_ok(), "{client:?}");
        }
        assert!(STRANGER.may_look(&owners()).unwrap_err().contains("uid 3001"));
    }

    #[test]
    fn an_app_is_changed_by_root_and_its_own_user_alone() {
        assert!(MASTER.may_change(&name("shop"), &owners()).is_ok());
        assert!(OWNER.may_change(&name("shop"), &owners()).is_ok());
        assert!(OWNER.may_change(&name("blog"), &owners()).is_err());
        assert!(OWNER.may_change(&name("unknown"), &owners()).is_err());
        assert!(MEMBER.may_change(&name("shop"), &owners()).is_err());
        assert!(STRANGER.may_change(&name("shop"), &owners()).is_err());
    }

    #[test]
    fn the_machine_is_changed_by_root_alone() {
        assert!(MASTER.may_change_all("reload").is_ok());
        for client in [MEMBER, OWNER, STRANGER] {
            assert!(client.may_change_all("reload").is_err(), "{client:?}");
        }
    }
}
