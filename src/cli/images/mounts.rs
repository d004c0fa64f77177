//! The places in an image that its processes get from the machine: made where the image has none.
//!
//! Every path is resolved by the kernel with the image as its root, so that no link of the image leads out of it.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, statat, unlinkat};
use rustix::io::Errno;

const FOLDERS: [&str; 5] = ["proc", "dev", "sys", "tmp", "run"];
const ETC: &str = "etc";
const FILES: [&str; 2] = ["resolv.conf", "hosts"];

/// Beside the image: what becomes its processes' /tmp and /run.
const BESIDE: [(&str, u32); 2] = [("tmp", 0o1777), ("run", 0o755)];

/// Makes the folders beside `rootfs`, and in it what is missing.
pub(super) fn make(bundle: &Path) -> io::Result<()> {
    for (name, mode) in BESIDE {
        fs::create_dir(bundle.join(name))?;
        fs::set_permissions(bundle.join(name), Permissions::from_mode(mode))?;
    }
    let root: OwnedFd = File::open(bundle.join("rootfs"))?.into();
    for name in FOLDERS {
        let is_folder = statat(&root, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        // A link or a file there is nothing that could be mounted on.
        if !is_folder {
            replace_by_folder(&root, name)?;
        }
    }
    let inside = || within(&root, Path::new(ETC), OFlags::PATH | OFlags::DIRECTORY);
    let etc = match inside() {
        Ok(etc) => etc,
        Err(_) => {
            replace_by_folder(&root, ETC)?;
            inside()?
        }
    };
    FILES.into_iter().try_for_each(|name| file(&etc, name))
}

/// Opens a path of the image.
pub(super) fn within(root: impl AsFd, path: &Path, how: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(root, path, how | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}

fn replace_by_folder(root: &OwnedFd, name: &str) -> io::Result<()> {
    match unlinkat(root, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(mkdirat(root, name, Mode::from_raw_mode(0o755))?)
}

/// A file of the image's own stays; a link, which would lead to another one, becomes an empty file.
fn file(etc: &OwnedFd, name: &str) -> io::Result<()> {
    let name = OsStr::new(name);
    match statat(etc, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => return Ok(()),
        Ok(_) => unlinkat(etc, name, AtFlags::empty())?,
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let how = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(etc, name, how, Mode::from_raw_mode(0o644))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_missing_is_made_and_no_link_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        let bundle = tempfile::tempdir().unwrap();
        let path = |name: &str| bundle.path().join("rootfs").join(name);
        fs::create_dir_all(path("inside")).unwrap();
        symlink("/inside", path("etc")).unwrap();
        symlink(outside.path(), path("run")).unwrap();
        symlink("../../../../../../../..", path("tmp")).unwrap();
        symlink(outside.path().join("victim"), path("inside/hosts")).unwrap();
        fs::write(path("proc"), "a file").unwrap();
        make(bundle.path()).unwrap();
        for name in FOLDERS {
            assert!(fs::symlink_metadata(path(name)).unwrap().is_dir(), "{name}");
        }
        for name in ["inside/hosts", "inside/resolv.conf"] {
            assert!(fs::symlink_metadata(path(name)).unwrap().is_file(), "{name}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        let mode = |name: &str| fs::metadata(bundle.path().join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("tmp"), mode("run")), (0o1777, 0o755));
    }
}
