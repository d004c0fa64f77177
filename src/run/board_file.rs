//! Where the bytes of a scoreboard are: in memory of their own, whose size is fixed, held open by ostlerd and its workers.
//!
//! ```text
//! /run/ostler/scoreboards/shop    a note: which memory it is
//! /proc/PID/fd/6 of each worker   that memory, by which the next ostlerd finds it again
//! ```
//!
//! A file below /run could be written on and on by a worker, and what fills /run takes systemd and every app with it.
//! Before, it was one: such a file is used for as long as its workers live.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::stat::{major, minor};

use super::{memory_file, own_file};

/// How a note begins; two numbers follow.
const NOTE: &str = "memory";

/// A longer file is no note.
const LONGEST: u64 = 64;

/// The longest name that the kernel gives memory.
const NAME_MOST: usize = 249;

/// Which file it is: device and inode.
pub(super) type BoardFileId = (u64, u64);

/// Makes the memory, all zeros and of `size` bytes for ever, and the note at `path`. Whatever was there before is removed,
/// so that workers of an earlier ostlerd never write into this one.
pub(super) fn make(path: &Path, size: u64) -> io::Result<File> {
    own_file::clear(path)?;
    let file = File::from(memory_file::empty_of_one_size(&name(path), size)?);
    file.set_permissions(Permissions::from_mode(0o600))?;
    let (device, inode) = identity(&file)?;
    let mut note = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(note, "{NOTE} {device} {inode}")?;
    Ok(file)
}

/// The name of the memory of the scoreboard at `path`, as `/proc` shows it behind `/memfd:`.
fn name(path: &Path) -> String {
    let whole = path.to_string_lossy().into_owned();
    let mut begin = whole.len().saturating_sub(NAME_MOST);
    while !whole.is_char_boundary(begin) {
        begin += 1;
    }
    whole[begin..].to_owned()
}

/// The link that `/proc` shows for a descriptor of it.
pub(super) fn link(path: &Path) -> String {
    format!("/memfd:{} (deleted)", name(path))
}

/// Whether nobody can make it longer.
pub(super) fn is_fixed(file: &File) -> bool {
    let seals = fcntl(file, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_truncate);
    seals.is_ok_and(|seals| seals.contains(SealFlag::F_SEAL_GROW))
}

/// Whether it is in memory, as all is below /run, and not in a file system that may not answer: a worker can put what it
/// likes in the place of its scoreboard.
pub(super) fn is_memory(file: &File) -> bool {
    fcntl(file, FcntlArg::F_GET_SEALS).is_ok()
}

pub(super) fn identity(file: &File) -> io::Result<BoardFileId> {
    let meta = file.metadata()?;
    Ok((major(meta.dev()) << 32 | minor(meta.dev()), meta.ino()))
}

/// What was left at a path.
#[derive(Debug)]
pub(super) enum Left {
    /// A file that an ostlerd before this way has made.
    File(File),
    /// Memory, to be found where somebody has it open.
    Memory(BoardFileId),
}

/// What an earlier ostlerd has left at `path`.
pub(super) fn left(path: &Path) -> io::Result<Left> {
    // What is no file, such as a pipe that nobody writes to, must not be waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if meta.len() > LONGEST || !meta.is_file() {
        return Ok(Left::File(file));
    }
    let mut text = String::new();
    // What is no text is no note.
    let _ = (&mut file).take(LONGEST).read_to_string(&mut text);
    Ok(noted(&text).map_or(Left::File(file), Left::Memory))
}

fn noted(text: &str) -> Option<BoardFileId> {
    let mut words = text.trim_end().strip_prefix(NOTE)?.split_ascii_whitespace().map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?)).filter(|_| words.next().is_none())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn memory_is_known_again_by_its_note_and_by_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scoreboards").join("shop");
        fs::create_dir(path.parent().unwrap()).unwrap();
        let file = make(&path, 8192).unwrap();
        let Left::Memory(identity) = left(&path).unwrap() else { panic!("a note") };
        assert_eq!(identity, super::identity(&file).unwrap());
        let seen = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        assert_eq!(seen.to_str(), Some(link(&path).as_str()));
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn nobody_makes_it_longer_or_shorter() {
        let folder = tempfile::tempdir().unwrap();
        let file = make(&folder.path().join("shop"), 8192).unwrap();
        assert!(file.write_all_at(&[1; 4096], 8192).is_err());
        assert!(file.set_len(0).is_err() && file.set_len(1 << 30).is_err());
        file.write_all_at(&[1; 4096], 4096).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 8192);
    }

    #[test]
    fn what_is_no_note_is_a_scoreboard_as_it_was_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop");
        for content in
            [&[0_u8; 4096][..], b"", b"memory", b"memory 1", b"memory 1 2 3", b"\xff\xff", b"x 1 2"]
        {
            fs::write(&path, content).unwrap();
            assert!(matches!(left(&path), Ok(Left::File(_))), "{content:?}");
        }
        fs::write(&path, "memory 1 2\n").unwrap();
        assert!(matches!(left(&path), Ok(Left::Memory((1, 2)))));
        assert!(left(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_path_that_is_too_long_for_a_name_keeps_its_end() {
        let path = Path::new("/").join("é".repeat(200)).join("scoreboards/shop");
        let name = name(&path);
        assert!(name.len() <= NAME_MOST && name.ends_with("/scoreboards/shop"), "{name}");
    }
}
