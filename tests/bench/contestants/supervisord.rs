//! gunicorn under supervisord, restarted by `supervisorctl restart`. Sent a SIGHUP instead, it is what gunicorn is
//! without it.

use std::process::Command;

use crate::harness::Gunicorn;
use crate::load::Target;

use super::Shop;
use super::tree::{Folder, Reload, Tree, Workers, address, program};

/// Starts it.
pub fn start(shop: &Shop) -> Tree {
    let target = Target::Tcp(address());
    let folder = Folder::with(&shop.text);
    let gunicorn = Gunicorn::V27.program("gunicorn");
    let words = super::gunicorn::words(shop, &target.to_string()).join(" ");
    let config = folder.file("supervisord.conf");
    folder.write(
        "supervisord.conf",
        &format!(
            "[supervisord]\nnodaemon = true\nlogfile = {log}\npidfile = {pid}\n{user}\
             [unix_http_server]\nfile = {socket}\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
             [supervisorctl]\nserverurl = unix://{socket}\n\
             [program:shop]\ncommand = {} {words}\ndirectory = {}\nautorestart = true\nredirect_stderr = true\n\
             stdout_logfile = {out}\n",
            gunicorn.display(),
            folder.path().display(),
            log = folder.file("supervisord.log"),
            pid = folder.file("supervisord.pid"),
            user = if crate::harness::is_root() { "user = root\n" } else { "" },
            socket = folder.file("control.sock"),
            out = folder.file("shop.log"),
        ),
    );
    let mut command = Command::new(program("supervisord"));
    command.args(["-c", &config]);
    let supervisorctl = program("supervisorctl").to_string_lossy().into_owned();
    let restart = [supervisorctl, "-c".to_owned(), config, "restart".to_owned(), "shop".to_owned()];
    Tree::start(folder, target, &mut command, Workers::Grandchildren, Reload::Command(restart.into()))
}
