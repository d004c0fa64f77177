//! circus: it opens the socket, and keeps as many uvicorn on it as there are to be workers.
//!
//! The WSGI server of its documentation, chaussette, has had no release since 2015 and does not start with a current
//! waitress; uvicorn's documentation names circus.

use std::process::Command;

use crate::load::Target;

use super::tree::{Folder, Reload, Tree, Workers, address, program};
use super::{ASGI, Shop};

/// Starts it.
pub fn start(shop: &Shop) -> Tree {
    let address = address();
    let folder = Folder::with(&shop.text);
    let endpoint = format!("ipc://{}", folder.file("control.sock"));
    let uvicorn = program("uvicorn");
    folder.write(
        "circus.ini",
        &format!(
            "[circus]\nendpoint = {endpoint}\npubsub_endpoint = ipc://{}\nstatsd = False\n\
             [socket:web]\nhost = {}\nport = {}\n\
             [watcher:web]\ncmd = {} --fd $(circus.sockets.web) --no-access-log {ASGI}\n\
             use_sockets = True\nnumprocesses = {}\nworking_dir = {}\ncopy_env = True\n",
            folder.file("events.sock"),
            address.ip(),
            address.port(),
            uvicorn.display(),
            shop.workers,
            folder.path().display(),
        ),
    );
    let mut command = Command::new(program("circusd"));
    command.arg(folder.file("circus.ini"));
    let circusctl = program("circusctl").to_string_lossy().into_owned();
    let reload = [circusctl, "--endpoint".to_owned(), endpoint, "reload".to_owned(), "web".to_owned()];
    Tree::start(folder, Target::Tcp(address), &mut command, Workers::Children, Reload::Command(reload.into()))
}
