//! What came out of an image, looked at: nothing in it may be more than files, folders and links.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::walk::walk;

/// set-user-id and set-group-id.
const SPECIAL: u32 = 0o6000;

/// An owner who cannot look into a folder could not remove it either.
const LOOK: u32 = 0o700;

/// What was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cleaned {
    /// Of so many files and folders the bits were removed.
    pub(super) bits: u64,
    /// So many devices, pipes and sockets are gone.
    pub(super) special: u64,
    pub(super) files: u64,
}

/// Takes out of `rootfs` what a release has no use for.
pub(super) async fn clean(rootfs: &Path) -> io::Result<Cleaned> {
    let mut cleaned = Cleaned::default();
    mend(rootfs, &fs::symlink_metadata(rootfs)?, &mut cleaned)?;
    walk(rootfs, |path, metadata| mend(&rootfs.join(path), metadata, &mut cleaned)).await?;
    Ok(cleaned)
}

fn mend(path: &Path, metadata: &Metadata, cleaned: &mut Cleaned) -> io::Result<()> {
    if metadata.is_symlink() {
        return Ok(());
    }
    if !metadata.is_file() && !metadata.is_dir() {
        cleaned.special += 1;
        return fs::remove_file(path);
    }
    cleaned.files += u64::from(metadata.is_file());
    let mode = metadata.permissions().mode();
    cleaned.bits += u64::from(mode & SPECIAL != 0);
    let wanted = mode & !SPECIAL | if metadata.is_dir() { LOOK } else { 0 };
    match wanted == mode {
        true => Ok(()),
        false => fs::set_permissions(path, Permissions::from_mode(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bits_and_pipes_go_and_closed_folders_are_opened_for_their_owner() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("closed")).unwrap();
        fs::write(path("closed/su"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path("link")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::set_permissions(path("closed/su"), Permissions::from_mode(0o6755)).unwrap();
        fs::set_permissions(path("closed"), Permissions::from_mode(0o2000)).unwrap();
        let cleaned = clean(root.path()).await.unwrap();
        assert_eq!(cleaned, Cleaned { bits: 2, special: 1, files: 1 });
        let mode = |name: &str| fs::symlink_metadata(path(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("closed"), mode("closed/su")), (0o700, 0o755));
        assert!(!path("pipe").exists() && path("link").is_symlink());
    }
}
