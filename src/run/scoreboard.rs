//! An app's scoreboard: one page for each worker, in which the workers say how they are.
//!
//! The workers write it and may write anything, or cut one short that is a file still: it is read with `pread`, never mapped,
//! and every number is bounded before it is believed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::time::{ClockId, clock_gettime};

use super::board_file::{self, BoardFileId};
use crate::supervise::{Observation, SlotStage};
use crate::worker::{CONTRACT, SLOT_SIZE};

/// Where the table of requests in flight begins.
const TABLE: usize = 64;

/// Where ostlerd says that the app stops.
const HURRY: u64 = 56;

/// A worker reads the clock itself; a little ahead of our own reading is in order, more is garbage.
const AHEAD: u64 = 1_000_000_000;

/// More requests than this in one worker are garbage.
const MOST_UNLISTED: u64 = 1 << 20;

/// How often the slot of a worker that boots is looked at.
const BOOT_PAUSE: Duration = Duration::from_millis(100);

/// More workers than this no app has at once: ten times as many as may be configured.
const MOST_SLOTS: u32 = 10_000;

/// So large it is, for ever. What was never written takes no memory.
const SIZE: u64 = MOST_SLOTS as u64 * SLOT_SIZE as u64;

/// So much of it may always be in use: what is left of workers that there were, in pages of whatever size.
const ROOM: u64 = 4 << 20;

/// The unit in which the kernel says how much is in use.
const BLOCK: u64 = 512;

/// The scoreboard of one app.
#[derive(Debug)]
pub struct Scoreboard {
    file: File,
    taken: BTreeSet<u32>,
    /// Whether it has been cut back; it is said once.
    cut: bool,
    /// Whether it can be made no longer: all but a file that an ostlerd before this way has made.
    is_fixed: bool,
}

/// A worker's place on the scoreboard.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    /// Where it begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.order().offset
    }

    /// Its number.
    pub(super) fn index(&self) -> u32 {
        self.0
    }

    /// The same in a worker's orders.
    pub(super) fn order(&self) -> crate::worker::SlotRange {
        crate::worker::SlotRange::at(u64::from(self.0))
    }
}

impl Scoreboard {
    /// Makes an empty scoreboard, known by a note at `path` and usable by ostlerd's user alone. Whatever was there before
    /// is removed.
    pub fn create(path: &Path) -> io::Result<Scoreboard> {
        let file = board_file::make(path, SIZE)?;
        Ok(Scoreboard { file, taken: BTreeSet::new(), cut: false, is_fixed: true })
    }

    /// The scoreboard that is open, its workers' slots still to be taken over.
    ///
    /// # Errors
    ///
    /// It is no file of our own user's that nobody else can open.
    pub(super) fn of_file(file: File) -> io::Result<Scoreboard> {
        let meta = file.metadata()?;
        let own = meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o077 == 0;
        if !meta.is_file() || !own {
            let words = "it is not a file that only ostlerd's own user can open";
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        let is_fixed = board_file::is_fixed(&file);
        Ok(Scoreboard { file, taken: BTreeSet::new(), cut: false, is_fixed })
    }

    /// Whether it is the memory of this note.
    pub(super) fn is(&self, identity: BoardFileId) -> bool {
        board_file::identity(&self.file).is_ok_and(|own| own == identity)
    }

    /// Takes over the slot of a worker that lives; `None` where it is another's or makes no sense.
    pub(super) fn take_over(&mut self, index: u32) -> Option<Slot> {
        (index < MOST_SLOTS && self.taken.insert(index)).then_some(Slot(index))
    }

    /// How far a worker has come; `None` where its slot holds what no worker writes.
    pub(super) fn stage(&self, slot: &Slot) -> Option<SlotStage> {
        stage_at(&self.file, slot.offset())
    }

    /// The same slot, to be read by whoever waits for its worker.
    pub(super) fn place(&self, slot: &Slot) -> io::Result<WatchedSlot> {
        Ok(WatchedSlot { file: self.file.try_clone()?, offset: slot.offset() })
    }

    /// Writes into a worker's slot that its app stops: all that ostlerd ever says there.
    pub(super) fn hurry(&self, slot: &Slot) -> io::Result<()> {
        self.file.write_all_at(&1u64.to_ne_bytes(), slot.offset() + HURRY)
    }

    /// The file, for the workers.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Takes the smallest free slot, all zeros.
    pub fn claim(&mut self) -> io::Result<Slot> {
        let free = (0..).find(|index| !self.taken.contains(index)).expect("fewer workers than numbers");
        let slot = Slot(free);
        // It grows a file, also where a worker has cut it; memory ends where it ends.
        self.file.write_all_at(&[0; SLOT_SIZE], slot.offset())?;
        self.taken.insert(free);
        Ok(slot)
    }

    /// Gives a slot back; its worker must be gone.
    pub fn release(&mut self, slot: Slot) {
        self.taken.remove(&slot.0);
    }

    /// Gives back what stands behind every slot: a worker that writes on and on would have it for nothing, and in a file
    /// fill the runtime directory, with what systemd and every app keep there. True the first time.
    pub(super) fn cut_back(&mut self) -> io::Result<bool> {
        let slots = self.taken.last().map_or(0, |last| u64::from(*last) + 1);
        let most = (slots * SLOT_SIZE as u64).max(ROOM);
        let meta = self.file.metadata()?;
        if meta.blocks() * BLOCK <= most && (self.is_fixed || meta.len() <= most) {
            return Ok(false);
        }
        if self.is_fixed {
            let how = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            fallocate(&self.file, how, most.cast_signed(), (SIZE - most).cast_signed())?;
        } else {
            self.file.set_len(most)?;
        }
        Ok(!std::mem::replace(&mut self.cut, true))
    }

    /// What a worker says of itself, as of `now` ([`monotonic_now`]); `None` before its first heartbeat, and
    /// where its slot cannot be read or holds what no worker writes. Memory is not read here.
    pub fn read(&self, slot: &Slot, now: u64) -> Option<Observation> {
        let mut page = [0; SLOT_SIZE];
        self.file.read_exact_at(&mut page, slot.offset()).ok()?;
        observe(&page, now)
    }
}

/// A slot that is watched until its worker serves: of one that an earlier ostlerd started, nothing else says so.
#[derive(Debug)]
pub(super) struct WatchedSlot {
    file: File,
    offset: u64,
}

impl WatchedSlot {
    /// Waits until the worker serves; of one that drains, or writes what no worker does, for ever.
    pub(super) async fn serves(&self) {
        loop {
            match stage_at(&self.file, self.offset) {
                Some(SlotStage::Ready) => return,
                Some(SlotStage::Empty | SlotStage::Booting) => tokio::time::sleep(BOOT_PAUSE).await,
                _ => std::future::pending().await,
            }
        }
    }
}

fn stage_at(file: &File, offset: u64) -> Option<SlotStage> {
    let mut head = [0; 16];
    file.read_exact_at(&mut head, offset).ok()?;
    stage(&head)
}

/// How far a worker has come, by the beginning of its slot.
pub(super) fn stage(head: &[u8; 16]) -> Option<SlotStage> {
    let (contract, state) = head.split_at(8);
    let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
    Some(match (number(contract), number(state)) {
        (0, 0) => SlotStage::Empty,
        (CONTRACT, 0 | 1) => SlotStage::Booting,
        (CONTRACT, 2) => SlotStage::Loaded,
        (CONTRACT, 3) => SlotStage::Ready,
        (CONTRACT, 4) => SlotStage::Draining,
        _ => return None,
    })
}

pub(super) fn observe(page: &[u8; SLOT_SIZE], now: u64) -> Option<Observation> {
    let field = |at: usize| {
        let bytes = page[at..at + 8].try_into().expect("eight bytes");
        u64::from_ne_bytes(bytes)
    };
    let (contract, state, beat) = (field(0), field(8), field(16));
    if contract != CONTRACT || !(1..=4).contains(&state) || beat == 0 || beat > now.saturating_add(AHEAD) {
        return None;
    }
    let started = (TABLE..SLOT_SIZE).step_by(8).map(field).filter(|&start| start != 0);
    let listed = started.clone().count() as u64;
    let oldest = started.filter(|&start| start <= now.saturating_add(AHEAD)).min();
    let age = |since: u64| Duration::from_nanos(now.saturating_sub(since));
    Some(Observation {
        beat_age: age(beat),
        requests: field(24),
        in_flight: (listed + field(32).min(MOST_UNLISTED)) as u32,
        oldest_request: oldest.map(age),
        rss: None,
    })
}

/// `CLOCK_MONOTONIC` in nanoseconds, the workers' clock.
pub fn monotonic_now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("the monotonic clock can always be read");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// The same as a time of the standard library's clock; `None` of one before the machine was started.
pub(super) fn time_at(nanoseconds: u64) -> Option<Instant> {
    let age = Duration::from_nanos(monotonic_now().saturating_sub(nanoseconds));
    Instant::now().checked_sub(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn page(fields: &[(usize, u64)]) -> [u8; SLOT_SIZE] {
        let mut page = [0; SLOT_SIZE];
        for (at, value) in fields {
            page[*at..at + 8].copy_from_slice(&value.to_ne_bytes());
        }
        page
    }

    #[test]
    fn a_slot_says_how_its_worker_is() {
        let page = page(&[
            (0, 1),
            (8, 3),
            (16, 90 * SECOND),
            (24, 7),
            (32, 2),
            (64, 95 * SECOND),
            (4088, 80 * SECOND),
        ]);
        let seen = observe(&page, 100 * SECOND).unwrap();
        assert_eq!(seen.beat_age, Duration::from_secs(10));
        assert_eq!((seen.requests, seen.in_flight), (7, 4));
        assert_eq!(seen.oldest_request, Some(Duration::from_secs(20)));
    }

    #[test]
    fn a_beat_later_than_the_look_is_fresh_and_one_in_the_far_future_is_garbage() {
        let beat = |at| observe(&page(&[(0, 1), (8, 3), (16, at)]), 100 * SECOND);
        assert_eq!(beat(100 * SECOND + 5).unwrap().beat_age, Duration::ZERO);
        assert_eq!(beat(200 * SECOND), None);
        assert_eq!(beat(u64::MAX), None);
        assert_eq!(beat(0), None);
    }

    #[test]
    fn garbage_is_bounded_and_never_a_panic() {
        assert_eq!(observe(&[0; SLOT_SIZE], SECOND), None);
        assert_eq!(observe(&[0xff; SLOT_SIZE], SECOND), None);
        let mut page = [0xff; SLOT_SIZE];
        for (at, value) in [(0, 1), (8, 4), (16, SECOND)] {
            page[at..at + 8].copy_from_slice(&u64::to_ne_bytes(value));
        }
        let seen = observe(&page, SECOND).unwrap();
        assert_eq!(seen.in_flight, 504 + (1 << 20));
        assert_eq!(seen.oldest_request, None);
        // Any bytes at all.
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            random.fill(&mut page);
            page[..16].copy_from_slice(&[[1, 0, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 0]].concat());
            let _ = observe(&page, random.u64(..));
        }
    }

    #[test]
    fn slots_are_reused_smallest_first_and_come_zeroed() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = Scoreboard::create(&folder.path().join("shop")).unwrap();
        let slots = [board.claim().unwrap(), board.claim().unwrap(), board.claim().unwrap()];
        assert_eq!(slots.each_ref().map(Slot::offset), [0, 4096, 8192]);
        board.file.write_all_at(&page(&[(0, 1), (8, 3), (16, 1)]), 4096).unwrap();
        assert!(board.read(&slots[1], 5).is_some());
        let [_, second, third] = slots;
        board.release(second);
        let again = board.claim().unwrap();
        assert_eq!(again.offset(), 4096);
        assert_eq!(board.read(&again, 5), None);
        assert_eq!(board.read(&third, 5), None);
        assert!(board.file.set_len(4100).is_err(), "no worker cuts it short");
    }

    #[test]
    fn what_a_worker_writes_behind_every_slot_is_given_back_and_no_slot_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = Scoreboard::create(&folder.path().join("shop")).unwrap();
        let slots: Vec<Slot> = (0..2000).map(|_| board.claim().unwrap()).collect();
        board.file.write_all_at(&page(&[(0, 1), (8, 3), (16, 1)]), slots[1999].offset()).unwrap();
        assert!(!board.cut_back().unwrap());
        for first in [true, false] {
            board.file.write_all_at(&[7; 8 << 20], 9 << 20).unwrap();
            assert_eq!(board.cut_back().unwrap(), first);
            assert!(board.file.metadata().unwrap().blocks() * BLOCK <= 2000 * 4096);
        }
        assert!(board.read(&slots[1999], 5).is_some());
        for slot in slots {
            board.release(slot);
        }
        assert!(!board.cut_back().unwrap(), "it was said");
        assert!(board.file.metadata().unwrap().blocks() * BLOCK <= ROOM);
    }

    #[test]
    fn a_scoreboard_that_is_a_file_still_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop");
        let options = File::options().read(true).write(true).create_new(true).clone();
        let file = std::os::unix::fs::OpenOptionsExt::mode(&mut options.clone(), 0o600).open(&path).unwrap();
        let mut board = Scoreboard::of_file(file).unwrap();
        let slot = board.claim().unwrap();
        for first in [true, false] {
            board.file.set_len(1 << 40).unwrap();
            assert_eq!(board.cut_back().unwrap(), first);
            assert_eq!(board.file.metadata().unwrap().len(), ROOM);
        }
        board.release(slot);
    }

    #[test]
    fn an_old_scoreboard_is_replaced_and_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop");
        let mut old = Scoreboard::create(&path).unwrap();
        let slot = old.claim().unwrap();
        let mut new = Scoreboard::create(&path).unwrap();
        let other = new.claim().unwrap();
        old.file.write_all_at(&page(&[(0, 1), (8, 3), (16, 1)]), slot.offset()).unwrap();
        assert_eq!(new.read(&other, 5), None);
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
