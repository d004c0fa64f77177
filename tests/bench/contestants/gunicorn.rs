//! gunicorn under its own master: `kill -HUP`.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::Gunicorn;
use crate::load::Target;

use super::Shop;
use super::tree::{Folder, Reload, Tree, Workers, address};

/// Starts it.
pub fn start(shop: &Shop) -> Tree {
    start_with(shop, &[])
}

/// The same with more arguments.
pub fn start_with(shop: &Shop, args: &[&str]) -> Tree {
    let target = Target::Tcp(address());
    let mut command = Command::new(Gunicorn::V27.program("gunicorn"));
    command.args(words(shop, &target.to_string())).args(args);
    Tree::start(
        Folder::with(&shop.text),
        target,
        &mut command,
        Workers::Children,
        Reload::Signal(Signal::SIGHUP),
    )
}

/// gunicorn's arguments.
pub fn words(shop: &Shop, bind: &str) -> Vec<String> {
    let workers = shop.workers.to_string();
    let words = ["--bind", bind, "--workers", &workers].into_iter().chain(shop.class.args.iter().copied());
    words.chain([shop.class.entry]).map(str::to_owned).collect()
}
