//! What a process that boots can write down for ostlerd, whatever has become of its descriptors: why it cannot serve, and
//! where it stands. It is the memory of its orders, with room behind them.

use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{files, memory_file};
use crate::worker::{Message, ROOM};

/// The process's number for it.
pub(super) const ORDERS: i32 = 4;

/// Our descriptor of it, by which the place is chosen too where the process writes next.
#[derive(Debug)]
pub(super) struct BootReport {
    file: std::fs::File,
    /// Where the reason begins; behind it are the stacks.
    start: u64,
}

impl BootReport {
    /// Memory with these orders, and room behind them.
    pub(super) fn with(orders: &[u8]) -> io::Result<BootReport> {
        let mut content = orders.to_vec();
        // Blanks, which are nothing in the JSON before them.
        content.resize(orders.len() + 2 * ROOM, b' ');
        let file = std::fs::File::from(memory_file::of_one_size("ostler-orders", &content)?);
        Ok(BootReport { file, start: orders.len() as u64 })
    }

    /// What was written down of a failure.
    pub(super) fn reason(&self) -> Option<Message> {
        let text = self.read(self.start)?;
        let line = text.split_inclusive(|&byte| byte == b'\n').next().filter(|it| it.ends_with(b"\n"))?;
        Message::parse(line).ok().filter(|message| matches!(message, Message::Failed(_)))
    }

    /// Makes room for stacks. Nothing is to be asked for where this is not what the process has there any more: it would be
    /// written into whatever the app has there now.
    pub(super) fn is_ready_for(&self, pid: i32) -> io::Result<bool> {
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let [own, theirs] = [own, format!("/proc/{pid}/fd/{ORDERS}")].map(|path| {
            let seen = files::known(Path::new(&path))?;
            Some((seen.stx_dev_major, seen.stx_dev_minor, seen.stx_ino))
        });
        if own.is_none() || own != theirs {
            return Ok(false);
        }
        let stacks = self.start + ROOM as u64;
        self.file.write_all_at(&vec![b' '; ROOM], stacks)?;
        (&self.file).seek(SeekFrom::Start(stacks))?;
        Ok(true)
    }

    /// The stacks, as far as they are written.
    pub(super) fn stacks(&self) -> String {
        let text = self.read(self.start + ROOM as u64).unwrap_or_default();
        String::from_utf8_lossy(&text).trim_end_matches([' ', '\0']).to_owned()
    }

    fn read(&self, from: u64) -> Option<Vec<u8>> {
        let mut text = vec![0; ROOM];
        self.file.read_exact_at(&mut text, from).ok()?;
        Some(text)
    }
}

impl AsFd for BootReport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
