//! What an earlier release has already: one file on disk for both.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use super::walk::walk;

const PART: usize = 64 * 1024;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// Links each file of `rootfs` that is the same in `earlier`: its size, mode, owner, time and content. `spare` is a name on
/// the same disk. What cannot be linked stays as it is.
pub(super) async fn share(rootfs: &Path, earlier: &Path, spare: &Path) -> io::Result<Shared> {
    let mut shared = Shared::default();
    let mut buffers = (vec![0; PART], vec![0; PART]);
    walk(rootfs, |path, new| {
        if !new.is_file() || new.len() == 0 {
            return Ok(());
        }
        let Some((old, twin)) = twin(earlier, path, new) else { return Ok(()) };
        let (ours, theirs) = (rootfs.join(path), old);
        if !is_equal(&ours, &theirs, &mut buffers).unwrap_or(false) {
            return Ok(());
        }
        if link(&theirs, &ours, spare).is_ok() {
            shared.files += 1;
            shared.bytes += twin.blocks() * 512;
        }
        Ok(())
    })
    .await?;
    Ok(shared)
}

/// The file of the same path, if no link leads to it and it looks the same.
fn twin(earlier: &Path, path: &Path, new: &Metadata) -> Option<(PathBuf, Metadata)> {
    let mut old = earlier.to_owned();
    for part in path.parent()?.components() {
        old.push(part);
        fs::symlink_metadata(&old).ok().filter(Metadata::is_dir)?;
    }
    old.push(path.file_name()?);
    let metadata = fs::symlink_metadata(&old).ok().filter(Metadata::is_file)?;
    let looks =
        |it: &Metadata| (it.len(), it.mode(), it.uid(), it.gid(), it.mtime(), it.mtime_nsec(), it.dev());
    let same_inode = metadata.ino() == new.ino();
    (looks(&metadata) == looks(new) && !same_inode).then_some((old, metadata))
}

fn is_equal(one: &Path, other: &Path, buffers: &mut (Vec<u8>, Vec<u8>)) -> io::Result<bool> {
    let open = |path: &Path| {
        fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
    };
    let (mut one, mut other) = (open(one)?, open(other)?);
    loop {
        let (read, theirs) = (fill(&mut one, &mut buffers.0)?, fill(&mut other, &mut buffers.1)?);
        if buffers.0[..read] != buffers.1[..theirs] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

/// As much as there is room for, or as there is.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// In one step: at any moment one of both is there.
fn link(theirs: &Path, ours: &Path, spare: &Path) -> io::Result<()> {
    fs::hard_link(theirs, spare)?;
    fs::rename(spare, ours).inspect_err(|_| {
        let _ = fs::remove_file(spare);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, SystemTime};

    fn file(path: &Path, text: &str, mode: u32, age: u64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(age);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[tokio::test]
    async fn a_file_is_linked_if_all_of_it_is_the_same_and_no_link_leads_to_the_other() {
        let root = tempfile::tempdir().unwrap();
        let [new, old, outside] = ["new", "old", "outside"].map(|name| root.path().join(name));
        for side in [&new, &old] {
            file(&side.join("a/same"), "text", 0o644, 1);
            file(&side.join("empty"), "", 0o644, 1);
        }
        for (name, [ours, theirs], [mode, their_mode], [age, their_age]) in [
            ("content", ["text", "tex2"], [0o644; 2], [1; 2]),
            ("mode", ["text"; 2], [0o644, 0o755], [1; 2]),
            ("time", ["text"; 2], [0o644; 2], [1, 2]),
        ] {
            file(&new.join(name), ours, mode, age);
            file(&old.join(name), theirs, their_mode, their_age);
        }
        file(&new.join("link/secret"), "text", 0o644, 1);
        file(&outside.join("secret"), "text", 0o644, 1);
        symlink(&outside, old.join("link")).unwrap();
        let shared = share(&new, &old, &root.path().join("spare")).await.unwrap();
        assert_eq!(shared.files, 1);
        let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(new.join("a/same")), inode(old.join("a/same")));
        assert_ne!(inode(new.join("link/secret")), inode(outside.join("secret")));
        assert!(!root.path().join("spare").exists());
        assert_eq!(share(&new, &old, &root.path().join("spare")).await.unwrap().files, 0, "once is enough");
    }
}
