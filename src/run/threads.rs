//! What may only be done before there is a second thread: to change the environment, and to adopt descriptors by number.

/// Whether this process has one thread, as far as can be seen.
pub(super) fn is_alone() -> bool {
    std::fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() == 1)
}
