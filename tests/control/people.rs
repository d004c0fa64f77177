//! Who may do what, tried as another user; needs root to become one.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::fake::{Fake, name, text};
use crate::program;

/// A user id that nobody has, so that no group can be found for it either.
const SOMEBODY: u32 = 61_234;

/// The command where any user can run it.
fn public_command(fake: &Fake) -> PathBuf {
    let folder = fake.folder.path();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    let command = folder.join("ostler");
    program::copy(env!("CARGO_BIN_EXE_ostler"), &command);
    command
}

fn as_somebody(command: &Path, fake: &Fake, arguments: &[&str]) -> Output {
    let id = SOMEBODY.to_string();
    Command::new("setpriv")
        .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
        .arg(command)
        .args(arguments)
        .env("OSTLER_SOCKET", &fake.socket)
        .output()
        .unwrap()
}

#[test]
fn strangers_may_nothing_and_an_apps_own_user_may_look_and_change_that_app() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let fake = Fake::start();
    let command = public_command(&fake);
    let code = |arguments: &[&str]| as_somebody(&command, &fake, arguments).status.code();
    let verbs: [&[&str]; 11] = [
        &["status"],
        &["events"],
        &["restart", "shop"],
        &["restart", "nobody"],
        &["scale", "shop", "2"],
        &["reload"],
        &["drain"],
        &["undrain"],
        &["migrate", "shop"],
        &["migrate", "shop", "--plan"],
        &["migrate", "shop", "--history"],
    ];
    for verb in verbs {
        assert_eq!(code(verb), Some(77), "{verb:?}");
    }
    let refused = as_somebody(&command, &fake, &["status"]);
    assert!(text(&refused.stderr).contains("uid 61234 may not look"), "{}", text(&refused.stderr));

    fake.owners.send_replace(BTreeMap::from([(name("shop"), SOMEBODY), (name("broken"), 0)]));
    assert_eq!(code(&["status"]), Some(0));
    assert_eq!(code(&["restart", "shop"]), Some(0));
    assert_eq!(code(&["restart", "broken"]), Some(77));
    for flags in [&[][..], &["--plan"], &["--history"], &["--abort"], &["--resolve"]] {
        assert_eq!(code(&[&["migrate", "shop"][..], flags].concat()), Some(0), "{flags:?}");
        // What was run may be seen by who may look; all else is a change, or runs that app's code.
        let others = if flags == ["--history"] { 0 } else { 77 };
        assert_eq!(code(&[&["migrate", "broken"][..], flags].concat()), Some(others), "{flags:?}");
    }
    assert_eq!(code(&["restart", "shpo"]), Some(64));
    assert_eq!(code(&["reload"]), Some(77));
    assert_eq!(code(&["drain"]), Some(77), "the machine is not an app's user's");
    assert_eq!(code(&["undrain"]), Some(77));
}

/// Connections that other users hold open, half a request on each: `each` for every one of them.
fn held_by(users: std::ops::Range<u32>, each: u32, fake: &Fake) -> Vec<UnixStream> {
    let hold = |uid: u32| {
        let socket = fake.socket.clone();
        let thread = std::thread::spawn(move || {
            // SAFETY: changes the user of this thread alone, which then opens sockets and ends.
            assert_eq!(unsafe { nix::libc::syscall(nix::libc::SYS_setresuid, uid, uid, uid) }, 0);
            let one = |_| {
                let mut stream = UnixStream::connect(&socket).unwrap();
                // One for which there is no place may be closed at once.
                let _ = stream.write_all(b"GET /v1/sta");
                stream
            };
            (0..each).map(one).collect::<Vec<_>>()
        });
        thread.join().unwrap()
    };
    users.flat_map(hold).collect()
}

#[test]
fn whatever_strangers_hold_root_and_an_apps_own_user_get_in_at_once() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let fake = Fake::start();
    let command = public_command(&fake);
    fake.owners.send_replace(BTreeMap::from([(name("shop"), SOMEBODY), (name("broken"), 0)]));
    let _held = held_by(70_000..70_010, 60, &fake);
    for _ in 0..10 {
        let begun = Instant::now();
        let owner = as_somebody(&command, &fake, &["restart", "shop"]);
        assert_eq!(owner.status.code(), Some(0), "{}", text(&owner.stderr));
        assert_eq!(fake.get("/v1/status").0, 200, "root gets in");
        assert!(begun.elapsed() < Duration::from_secs(30), "at once: {:?}", begun.elapsed());
    }
}

#[test]
fn one_stranger_keeps_no_other_user_out() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let fake = Fake::start();
    let command = public_command(&fake);
    let _held = held_by(70_000..70_001, 200, &fake);
    let other = as_somebody(&command, &fake, &["status"]);
    assert_eq!(
        other.status.code(),
        Some(77),
        "it is heard, and told that it may not: {}",
        text(&other.stderr)
    );
}
