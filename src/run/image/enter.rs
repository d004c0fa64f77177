//! Entering an image: a step of the launcher, while it is still root and one thread.
//!
//! ostlerd may mount nothing, and need not: the launcher makes itself a user namespace in which every user is who it is
//! outside, and is allowed to mount in a mount namespace of that one alone. Whatever of the machine is mounted there is looked
//! up as the app's user, and stays his to use or not; the launcher's rights end with its becoming that user.
//!
//! ```text
//! /           rootfs of the release, read-only unless it is said otherwise, nothing set-user-id, no devices
//! /tmp /run   tmp and run of the release
//! /proc /sys  the machine's, /sys read-only
//! /dev        null, zero, full, random, urandom, tty, pts, shm and no more
//! /etc/resolv.conf /etc/hosts   the machine's, read-only
//! volumes     as they are configured
//! ```

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Uid, fork, pivot_root, setfsgid, setfsuid, setgroups};
use rustix::fs::{CWD, FileType};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_change,
    move_mount, open_tree, unmount,
};

use super::ROOT;
use crate::plan::{Account, ImageRoot};

/// Nodes of the machine's `/dev`.
const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// `mount_setattr(2)`; the C library has no name for them yet.
const READ_ONLY: u64 = 0x1;
const NO_SUID: u64 = 0x2;
const NO_DEV: u64 = 0x4;

/// Makes the image the root of the calling process, which has all rights in there until it becomes `account`. The error is
/// words.
pub(in crate::run) fn enter(image: &ImageRoot, account: &Account) -> Result<(), String> {
    make_namespaces()?;
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", slave).map_err(|error| format!("cannot keep its mounts to itself: {error}"))?;
    look_as(account)?;
    let mounts = Mounted::of(image)?;
    let root = Tree::of(&image.release.join(ROOT))?;
    become_root(root.tree.as_fd(), &image.release.join(ROOT))?;
    make_dev(&mounts.nodes)?;
    for mounted in mounts.others {
        mounted.place()?;
    }
    let read_only = if image.writable { 0 } else { READ_ONLY };
    set(CWD, "/", read_only | NO_SUID | NO_DEV, false)
        .map_err(|error| format!("cannot protect the image: {error}"))
}

/// Drops what the namespace has given; what is left is what any process of the app's user has.
pub(in crate::run) fn drop_capabilities() -> Result<(), Errno> {
    for capability in 0.. {
        // SAFETY: it takes numbers alone.
        let dropped = Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) });
        match dropped {
            Ok(_) => {}
            // There are no more.
            Err(Errno::EINVAL) if capability > 0 => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A user namespace and a mount namespace of the calling process's own. Who everybody is in there can only be said from
/// outside, by a child that stays there.
fn make_namespaces() -> Result<(), String> {
    let (ready, told) =
        nix::unistd::pipe().map_err(|error| format!("cannot make a pipe: {}", error.desc()))?;
    let parent = std::process::id();
    // SAFETY: the launcher has one thread.
    let child = match unsafe { fork() }.map_err(|error| format!("cannot make a process: {}", error.desc()))? {
        ForkResult::Child => {
            drop(told);
            let is_made = nix::unistd::read(&ready, &mut [0]) == Ok(1);
            let status = if is_made { map_everybody(parent) } else { 0 };
            // SAFETY: it ends here, and nothing of its parent's is done twice.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => child,
    };
    drop(ready);
    let made = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS);
    if made.is_ok() {
        let _ = nix::unistd::write(&told, b"m");
    }
    drop(told);
    let status = waitpid(child, None);
    made.map_err(|error| {
        format!(
            "the kernel lets nobody make a namespace ({}): see `sysctl user.max_user_namespaces \
             kernel.unprivileged_userns_clone kernel.apparmor_restrict_unprivileged_userns`, and ostler-security(7)",
            error.desc()
        )
    })?;
    match status {
        Ok(WaitStatus::Exited(_, 0)) => Ok(()),
        Ok(WaitStatus::Exited(_, number)) => Err(format!(
            "the kernel does not let ostlerd say who is who in a namespace ({}): it needs CAP_SETUID, CAP_SETGID and \
             CAP_SETFCAP, as ostler.service has them",
            Errno::from_raw(number).desc()
        )),
        _ => Err("the process that says who is who in a namespace was killed".to_owned()),
    }
}

/// Everybody is who he is outside. Returns 0, or the number of the error.
fn map_everybody(process: u32) -> i32 {
    for kind in ["uid_map", "gid_map"] {
        if let Err(error) = fs::write(format!("/proc/{process}/{kind}"), "0 0 4294967295\n") {
            return error.raw_os_error().unwrap_or(libc::EIO);
        }
    }
    0
}

/// From here on, paths are looked up and files made as the app's user.
fn look_as(account: &Account) -> Result<(), String> {
    let failed = |error: Errno| format!("cannot look as user {}: {}", account.name, error.desc());
    let groups: Vec<Gid> = account.groups.iter().map(|&group| Gid::from_raw(group)).collect();
    setgroups(&groups).map_err(failed)?;
    setfsgid(Gid::from_raw(account.gid));
    setfsuid(Uid::from_raw(account.uid));
    let is_he = setfsuid(Uid::from_raw(u32::MAX)) == Uid::from_raw(account.uid);
    is_he.then_some(()).ok_or_else(|| failed(Errno::EPERM))
}

/// A part of the machine's tree, held by nothing yet.
struct Tree {
    tree: OwnedFd,
    is_folder: bool,
}

impl Tree {
    fn of(path: &Path) -> Result<Tree, String> {
        let failed = |error: rustix::io::Errno| {
            let why = io::Error::from(error).to_string();
            format!("cannot mount {}: {}", path.display(), why.split(" (os error").next().unwrap_or_default())
        };
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(CWD, path, flags).map_err(failed)?;
        let meta = rustix::fs::fstat(&tree).map_err(failed)?;
        Ok(Tree { tree, is_folder: FileType::from_raw_mode(meta.st_mode) == FileType::Directory })
    }
}

/// What is to be mounted at a path of the image.
struct Mounted {
    tree: Tree,
    at: PathBuf,
    attributes: u64,
}

struct Mounts {
    nodes: Vec<(&'static str, Tree)>,
    others: Vec<Mounted>,
}

impl Mounted {
    /// Everything but the root, taken before the machine's paths are gone; outer places before inner ones.
    fn of(image: &ImageRoot) -> Result<Mounts, String> {
        let nodes = NODES.into_iter().map(|name| Ok((name, Tree::of(&Path::new("/dev").join(name))?)));
        let nodes = nodes.collect::<Result<Vec<_>, String>>()?;
        let mut others = Vec::new();
        let mut add = |from: &Path, at: &Path, attributes| -> Result<(), String> {
            others.push(Mounted { tree: Tree::of(from)?, at: at.to_owned(), attributes });
            Ok(())
        };
        let own = NO_SUID | NO_DEV;
        for (from, attributes) in [("/proc", NO_SUID), ("/sys", READ_ONLY | NO_SUID), ("/dev/shm", own)] {
            add(Path::new(from), Path::new(from), attributes)?;
        }
        for (from, at) in [("tmp", "/tmp"), ("run", "/run")] {
            add(&image.release.join(from), Path::new(at), own)?;
        }
        for file in ["/etc/resolv.conf", "/etc/hosts"].map(Path::new) {
            // A machine without one has an image without it.
            if file.exists() {
                add(file, file, READ_ONLY | own)?;
            }
        }
        for (at, volume) in &image.volumes {
            let read_only = if volume.read_only { READ_ONLY } else { 0 };
            add(&volume.host, at, read_only | own)?;
        }
        Ok(Mounts { nodes, others })
    }

    /// By now the image is the root.
    fn place(&self) -> Result<(), String> {
        let shown = self.at.display();
        set(self.tree.tree.as_fd(), "", self.attributes, true)
            .map_err(|error| format!("cannot protect {shown} in the image: {error}"))?;
        make_place(&self.at, self.tree.is_folder)
            .map_err(|error| format!("the image has no {shown}, and it cannot be made there: {error}"))?;
        put(self.tree.tree.as_fd(), &self.at)
            .map_err(|error| format!("cannot mount {shown} in the image: {error}"))
    }
}

/// Makes what is to be mounted upon, where it is not there.
fn make_place(at: &Path, is_folder: bool) -> io::Result<()> {
    if at.exists() {
        return Ok(());
    }
    if is_folder {
        return fs::create_dir_all(at);
    }
    at.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::OpenOptions::new().create_new(true).write(true).open(at).map(drop)
}

/// The tree at `from` becomes the root, and the machine's is gone.
fn become_root(root: BorrowedFd<'_>, from: &Path) -> Result<(), String> {
    let failed =
        |what: &str, error: io::Error| format!("cannot {what} the image {}: {error}", from.display());
    put(root, from).map_err(|error| failed("mount", error))?;
    std::env::set_current_dir(from).map_err(|error| failed("enter", error))?;
    pivot_root(".", ".").map_err(|error| failed("turn to", error.into()))?;
    unmount(".", UnmountFlags::DETACH)
        .map_err(|error| failed("leave the machine's root for", error.into()))?;
    std::env::set_current_dir("/").map_err(|error| failed("enter", error))
}

/// A small `/dev`, which nobody can add to.
fn make_dev(nodes: &[(&'static str, Tree)]) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot make /dev in the image: {error}");
    let dev = Path::new("/dev");
    make_place(dev, true).map_err(failed)?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("tmpfs", dev, "tmpfs", flags, c"mode=755,size=64k").map_err(|error| failed(error.into()))?;
    for (name, node) in nodes {
        let at = dev.join(name);
        make_place(&at, node.is_folder).map_err(failed)?;
        put(node.tree.as_fd(), &at).map_err(failed)?;
    }
    for folder in ["pts", "shm"] {
        fs::create_dir(dev.join(folder)).map_err(failed)?;
    }
    let pts = mount("devpts", dev.join("pts"), "devpts", flags, c"newinstance,ptmxmode=0666,mode=620");
    pts.map_err(|error| failed(error.into()))?;
    for (name, to) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(to, dev.join(name)).map_err(failed)?;
    }
    set(CWD, "/dev", READ_ONLY, false).map_err(failed)
}

fn put(tree: BorrowedFd<'_>, at: &Path) -> io::Result<()> {
    Ok(move_mount(tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Adds attributes to a mount, and to those below it if it is said so. None is taken away.
fn set(folder: BorrowedFd<'_>, path: &str, attributes: u64, recursive: bool) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let attr = MountAttr { set: attributes, clear: 0, propagation: 0, user_namespace: 0 };
    let path = std::ffi::CString::new(path)?;
    let empty = if path.is_empty() { libc::AT_EMPTY_PATH } else { 0 };
    let recursive = if recursive { libc::AT_RECURSIVE } else { 0 };
    let folder = std::os::fd::AsRawFd::as_raw_fd(&folder);
    // SAFETY: the path ends with a NUL, and the structure is the kernel's own, of the size that is said.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            folder,
            path.as_ptr(),
            (empty | recursive) as libc::c_uint,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    Errno::result(done).map(drop).map_err(io::Error::from)
}
