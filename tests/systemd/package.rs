//! The packages, made by the scripts that `make packages` runs, of what cargo has built for the tests.
//!
//! The programs are those of the tests, stripped; `make packages` puts the released ones in. Nothing else differs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::Said;
use crate::pages;

/// The version of the programs as they are.
pub const OLD: &str = env!("CARGO_PKG_VERSION");

/// A later one, of the same length.
pub const NEW: &str = "9.9.9";

/// Packages, and what they are made of. Gone with the tests that use it.
pub struct Packages {
    folder: TempDir,
}

/// A package of either kind.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Deb,
    Rpm,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Deb => "deb",
            Kind::Rpm => "rpm",
        }
    }
}

impl Packages {
    pub fn new() -> Packages {
        Packages { folder: TempDir::with_prefix("ostler-packages-").expect("/tmp is writable") }
    }

    /// Where they are; machines have it under the same path.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What goes into a package, of another version where that is not the programs' own.
    #[track_caller]
    pub fn stage(&self, kind: Kind, version: &str) -> PathBuf {
        let programs = Path::new(env!("CARGO_BIN_EXE_ostlerd")).parent().expect("it is in a folder");
        let made = self.folder().join("pages");
        pages::write(&made).expect("the folder is ours");
        let staged = self.folder().join(format!("staged-{}-{version}", kind.name()));
        run("stage.sh", &[kind.name().as_ref(), programs, &made, &staged]);
        if version != OLD {
            for program in ["ostlerd", "ostler"] {
                let program = staged.join("usr/bin").join(program);
                let bytes = fs::read(&program).expect("it is laid out");
                fs::write(&program, renamed(bytes, version)).expect("the folder is ours");
            }
        }
        staged
    }

    /// Packs what was laid out; the package.
    #[track_caller]
    pub fn pack(&self, kind: Kind, staged: &Path, version: &str) -> String {
        let script = format!("{}.sh", kind.name());
        let said = run(&script, &[staged, version.as_ref(), self.folder()]);
        said.out.trim().to_owned()
    }

    /// A package of that version.
    #[track_caller]
    pub fn package(&self, kind: Kind, version: &str) -> String {
        let staged = self.stage(kind, version);
        self.pack(kind, &staged, version)
    }
}

#[track_caller]
fn run(script: &str, arguments: &[&Path]) -> Said {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(script);
    let mut command = Command::new("bash");
    command.arg(path).args(arguments);
    // Each is unpacked once or twice.
    let quickly = [("OSTLER_DEB_COMPRESSION", "none"), ("OSTLER_RPM_PAYLOAD", "w1.gzdio")];
    command.env("SOURCE_DATE_EPOCH", "1700000000").envs(quickly);
    Said::of(&mut command).exits(0)
}

/// The same program but for what it says its version is.
fn renamed(mut program: Vec<u8>, version: &str) -> Vec<u8> {
    let (old, new) = (OLD.as_bytes(), version.as_bytes());
    assert_eq!(old.len(), new.len());
    let last = program.len() - old.len();
    let mut at = 0;
    while at <= last {
        if program[at] == old[0] && program[at..].starts_with(old) {
            program[at..at + new.len()].copy_from_slice(new);
        }
        at += 1;
    }
    program
}
