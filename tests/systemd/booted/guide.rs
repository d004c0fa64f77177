//! The guide, followed to the letter: README and the pages that continue it, every block of commands that is marked so, in
//! its order, on a Debian with nothing but the base system. Of the world outside, the machine has an archive of packages (`tests/debs.sh`) and one of wheels.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ostler::supervise::WorkerState;

use crate::documents;
use crate::harness::{Said, until, venvs};
use crate::machine::{Debian, Machine};
use crate::package::{Kind, OLD, Packages};
use crate::readme::{RunBy, blocks};
use crate::site::status;

/// What somebody who comes from gunicorn has.
const GUNICORN: &str = "[Unit]\nDescription=gunicorn\nAfter=network.target\n\n[Service]\nUser=shop\nGroup=shop\n\
    WorkingDirectory=/srv/shop/current\nExecStart=/srv/shop/venv/bin/gunicorn --workers 1 --bind 127.0.0.1:8001 \
    shop.wsgi:application\nRestart=always\n\n[Install]\nWantedBy=multi-user.target\n";

/// What the answers to apt's questions, and a network, would be.
const APT: &str = "APT::Get::Assume-Yes \"true\";\nDpkg::Use-Pty \"false\";\n";
const SOURCES: &str = "deb [trusted=yes] file:/opt/debs ./\n";
const PIP: &str = "[global]\nno-index = true\nfind-links = /opt/wheels\ndisable-pip-version-check = true\n";

/// A database server or a virtual environment is installed in it, on a machine that may have much else to do.
const INSTALLATION: Duration = Duration::from_secs(900);

/// A folder that a script of tests/ makes.
#[track_caller]
fn made_by(script: &str, folder: PathBuf) -> PathBuf {
    assert!(folder.exists(), "{} is missing: run `bash tests/{script}` first", folder.display());
    fs::canonicalize(folder).expect("it is there")
}

fn newcomers_machine(packages: &Packages) -> Machine {
    let package = PathBuf::from(packages.package(Kind::Deb, OLD));
    let name = package.file_name().expect("it is a file").to_string_lossy().into_owned();
    let debian = Debian::here();
    let wheels = made_by("venvs.sh", venvs().join(format!("wheels-{}", debian.number())));
    let machine = Machine::bare(&[
        (made_by("debs.sh", debian.debs()), "/opt/debs".into()),
        (wheels, "/opt/wheels".into()),
        (package, format!("/root/{name}").into()),
    ]);
    machine.write("/etc/apt/apt.conf.d/90answers", APT);
    machine.write("/etc/apt/sources.list", SOURCES);
    machine.write("/etc/pip.conf", PIP);
    machine.write("/etc/systemd/system/gunicorn.service", GUNICORN);
    // The tests' Debian leaves documentation out, where the examples are.
    machine.tell("rm -f /etc/dpkg/dpkg.cfg.d/*mmdebstrap*");
    // A container has its host's, mounted, where the package tzdata wants to put a link.
    machine.tell("! mountpoint --quiet /etc/localtime || umount /etc/localtime; rm -f /etc/localtime");
    machine.tell("apt-get update");
    machine
}

#[test]
pub fn the_guide_is_true_from_the_first_line_to_the_last() {
    let packages = Packages::new();
    let machine = newcomers_machine(&packages);
    let mut page = None;
    for block in documents::all().iter().flat_map(blocks) {
        let RunBy::Guide { code, says } = block.run_by else { continue };
        let mut shell = machine.command(&["bash", "-euc", &format!("cd /root; {}", block.text)]);
        let said = Said::within(INSTALLATION, shell.env("DEBIAN_FRONTEND", "noninteractive"));
        let words: Vec<&str> = says.iter().map(String::as_str).collect();
        assert_eq!(said.code, Some(code), "{}: {}\n{said}", block.at, block.text);
        let said = said.says(&words);
        if block.text.contains("https://shop.example.com/") {
            page = Some(said.out);
        }
    }
    let page = page.expect("the guide visits the shop");
    assert!(page.contains("Django site admin"), "{page}");
    let migrated = machine
        .tell("runuser -u shop -- psql --tuples-only --command 'SELECT count(*) FROM django_migrations'");
    assert!(migrated.trim().parse::<u32>().is_ok_and(|count| count > 10), "{migrated}");
    // One that drains may be gone before it is looked at.
    let apps = status(&machine).apps;
    for worker in apps.iter().flat_map(|app| &app.workers).filter(|it| it.state == WorkerState::Ready) {
        let pid = worker.pid.expect("it runs");
        assert_eq!(machine.tell(&format!("stat --format=%U /proc/{pid}")), "shop");
    }
    until("the termination notice is watched for", || {
        (machine.property("ostler-termination-notice", "ActiveState") == "active").then_some(())
    });
}
