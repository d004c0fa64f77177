//! Who has how many places at the control socket: whatever others hold, root and an app's user get in.
//!
//! | who | places |
//! | --- | --- |
//! | root, and ostlerd's own user | 16 of their own |
//! | each app's user | 16 of its own |
//! | everybody else | 48 together, 12 for each user: one alone cannot take all of them |

use std::collections::BTreeMap;

const OF_MASTERS: usize = 16;
const OF_EACH_OWNER: usize = 16;
const OF_OTHERS: usize = 48;
const OF_EACH_OTHER: usize = 12;

/// Whose a connection is, by the credentials that the kernel gives. Somebody may own many users (`/etc/subuid`), so what
/// is kept for one is never reached by the number of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ConnectionOwner {
    /// Root, or ostlerd's own user.
    Master,
    /// The user of an app.
    Owner(u32),
    /// Any other user.
    Other(u32),
}

/// Who is there.
#[derive(Debug)]
pub(super) struct ConnectionPlaces {
    times: usize,
    taken: BTreeMap<ConnectionOwner, usize>,
    by_others: usize,
}

impl ConnectionPlaces {
    /// All free, so many times as many as the table says.
    pub(super) fn new(times: usize) -> ConnectionPlaces {
        ConnectionPlaces { times, taken: BTreeMap::new(), by_others: 0 }
    }

    /// Takes a place, to be given back with the same caller; false where there is none for that one.
    pub(super) fn take(&mut self, caller: ConnectionOwner) -> bool {
        let held = self.taken.get(&caller).copied().unwrap_or_default();
        let is_free = match caller {
            ConnectionOwner::Master => held < self.times * OF_MASTERS,
            ConnectionOwner::Owner(_) => held < self.times * OF_EACH_OWNER,
            ConnectionOwner::Other(_) => {
                held < self.times * OF_EACH_OTHER && self.by_others < self.times * OF_OTHERS
            }
        };
        if is_free {
            self.taken.insert(caller, held + 1);
            self.by_others += usize::from(matches!(caller, ConnectionOwner::Other(_)));
        }
        is_free
    }

    /// A connection has ended.
    pub(super) fn give_back(&mut self, caller: ConnectionOwner) {
        let Some(held) = self.taken.get_mut(&caller) else { return };
        *held -= 1;
        if *held == 0 {
            self.taken.remove(&caller);
        }
        self.by_others -= usize::from(matches!(caller, ConnectionOwner::Other(_)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most(places: &mut ConnectionPlaces, caller: ConnectionOwner) -> usize {
        (0..1000).take_while(|_| places.take(caller)).count()
    }

    #[test]
    fn one_user_cannot_take_the_places_of_all() {
        let mut places = ConnectionPlaces::new(1);
        assert_eq!(most(&mut places, ConnectionOwner::Other(61_234)), OF_EACH_OTHER);
        assert!(places.take(ConnectionOwner::Other(61_235)));
    }

    #[test]
    fn whatever_others_hold_root_and_the_users_of_apps_get_in() {
        let mut places = ConnectionPlaces::new(1);
        let held: usize = (0..1000).map(|uid| most(&mut places, ConnectionOwner::Other(uid))).sum();
        assert_eq!(held, OF_OTHERS);
        assert_eq!(most(&mut places, ConnectionOwner::Owner(2001)), OF_EACH_OWNER);
        assert_eq!(most(&mut places, ConnectionOwner::Owner(2002)), OF_EACH_OWNER);
        assert_eq!(most(&mut places, ConnectionOwner::Master), OF_MASTERS);
    }

    #[test]
    fn what_is_given_back_is_free_again_and_nothing_is_kept_of_who_has_left() {
        let mut places = ConnectionPlaces::new(1);
        for caller in [ConnectionOwner::Master, ConnectionOwner::Owner(1), ConnectionOwner::Other(1)] {
            let taken = most(&mut places, caller);
            (0..taken).for_each(|_| places.give_back(caller));
            assert_eq!(most(&mut places, caller), taken, "{caller:?}");
            (0..taken).for_each(|_| places.give_back(caller));
        }
        places.give_back(ConnectionOwner::Master);
        assert!(places.taken.is_empty() && places.by_others == 0);
    }
}
