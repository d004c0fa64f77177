//! Small sealed files in memory, by which orders and code reach a program.

use std::io::{self, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// A memfd that holds `content` and can no more be changed: several programs may share it.
pub(super) fn sealed(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    with_seals(name, content, SealFlag::F_SEAL_WRITE)
}

/// A memfd whose content can be changed, but never its size: whoever maps it can rely on that.
pub(super) fn of_one_size(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    with_seals(name, content, SealFlag::empty())
}

fn with_seals(name: &str, content: &[u8], more: SealFlag) -> io::Result<OwnedFd> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(content)?;
    let seals = SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals | more))?;
    Ok(file.into())
}
