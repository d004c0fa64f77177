//! The two that bring a server of their own: Granian and uWSGI.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::load::Target;

use super::tree::{Folder, Reload, Tree, Workers, address, program};
use super::{Shop, WSGI};

/// Granian. A worker that dies would end all of it, were it not told to start another.
pub fn granian(shop: &Shop) -> Tree {
    let address = address();
    let mut command = Command::new(program("granian"));
    command.args(["--interface", "wsgi", "--host", &address.ip().to_string()]);
    command.args(["--port", &address.port().to_string(), "--workers", &shop.workers.to_string()]);
    command.args(["--blocking-threads", "4", "--respawn-failed-workers", "--no-ws", WSGI]);
    let (folder, hup) = (Folder::with(&shop.text), Reload::Signal(Signal::SIGHUP));
    Tree::start(folder, Target::Tcp(address), &mut command, Workers::Children, hup)
}

/// uWSGI, with what its own documentation recommends for graceful reloads: an app for each worker, one after the other.
pub fn uwsgi(shop: &Shop) -> Tree {
    let address = address();
    let folder = Folder::with(&shop.text);
    folder.write("reload", "");
    let mut command = Command::new(program("uwsgi"));
    command.args(["--http-socket", &address.to_string(), "--processes", &shop.workers.to_string()]);
    command.args(["--master", "--lazy-apps", "--enable-threads", "--threads", "4", "--single-interpreter"]);
    command.args([
        "--strict",
        "--need-app",
        "--die-on-term",
        "--vacuum",
        "--disable-logging",
        "--module",
        WSGI,
    ]);
    let touch = folder.path().join("reload");
    command.arg("--touch-chain-reload").arg(&touch);
    Tree::start(folder, Target::Tcp(address), &mut command, Workers::Children, Reload::Touch(touch)).closing()
}
