//! Files that are run. A process of its own writes them: were a descriptor of the tests' open for writing while another
//! test forks, the program would be "busy" (ETXTBSY) until that child has become what it is to be.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Puts that program there, for everybody.
pub fn write(path: &Path, code: &[u8]) {
    let mut command = Command::new("install");
    command.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut install = command.spawn().expect("install is part of every Debian");
    install.stdin.take().expect("it is piped").write_all(code).expect("install reads to the end");
    assert!(install.wait().expect("the child is ours").success(), "{}", path.display());
}

/// Puts a copy of that program there, for everybody.
pub fn copy(program: impl AsRef<Path>, to: &Path) {
    let mut install = Command::new("install");
    install.args(["-m", "755", "--"]).arg(program.as_ref()).arg(to);
    assert!(install.status().expect("install is part of every Debian").success(), "{}", to.display());
}
