//! Small sealed files in memory, by which orders and code reach a program.

use std::io::{self, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

const FLAGS: MFdFlags = MFdFlags::MFD_CLOEXEC.union(MFdFlags::MFD_ALLOW_SEALING);
const ONE_SIZE: SealFlag = SealFlag::F_SEAL_GROW.union(SealFlag::F_SEAL_SHRINK).union(SealFlag::F_SEAL_SEAL);

/// A memfd that holds `content` and can no more be changed: several programs may share it.
pub(super) fn sealed(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    with_seals(name, content, SealFlag::F_SEAL_WRITE)
}

/// A memfd whose content can be changed, but never its size: whoever maps it can rely on that.
pub(super) fn of_one_size(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    with_seals(name, content, SealFlag::empty())
}

/// The same with nothing in it yet: all zeros, that take no memory until they are written.
pub(super) fn empty_of_one_size(name: &str, size: u64) -> io::Result<OwnedFd> {
    let file = std::fs::File::from(memfd_create(name, FLAGS)?);
    file.set_len(size)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(ONE_SIZE))?;
    Ok(file.into())
}

fn with_seals(name: &str, content: &[u8], more: SealFlag) -> io::Result<OwnedFd> {
    let fd = memfd_create(name, FLAGS)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(content)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(ONE_SIZE | more))?;
    Ok(file.into())
}
