//! Memory that is free and that the allocator keeps all the same: given back, so that a rush of connections leaves no
//! mark for the rest of ostlerd's life.

/// Less is not worth the look through the heap; it is used again soon.
const WORTH: usize = 2 << 20;

/// What the allocator keeps, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Heap {
    /// What is free and was given back: it is counted as free for ever, and gone all the same.
    given: usize,
}

impl Heap {
    /// Gives back what has become free since the last time, where it is worth it. Takes no longer than a millisecond for
    /// tens of megabytes.
    pub(super) fn give_back(&mut self) {
        let free = free();
        self.given = self.given.min(free);
        if free - self.given > WORTH {
            trim();
            self.given = self::free();
        }
    }
}

#[cfg(target_env = "gnu")]
fn free() -> usize {
    // SAFETY: it only counts.
    unsafe { nix::libc::mallinfo2() }.fordblks
}

#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: what is in use is not touched.
    unsafe { nix::libc::malloc_trim(0) };
}

/// Another C library's allocator gives memory back by itself, or not at all.
#[cfg(not(target_env = "gnu"))]
fn free() -> usize {
    0
}

#[cfg(not(target_env = "gnu"))]
fn trim() {}
