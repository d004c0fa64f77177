//! The .rpm, put on a booted machine by the real rpm with its scriptlets.
//!
//! The machine is a Debian, so what the package depends on is not looked for there, and rpm itself is this machine's:
//! its programs and libraries are mounted below /host.

use crate::harness::{Said, until, venvs};
use crate::load::Load;
use crate::machine::Machine;
use crate::package::{Kind, NEW, OLD, Packages};
use crate::site::{put_shop, shop, target};

const RPM: &str = "/host/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --library-path /host/lib/x86_64-linux-gnu \
                   --argv0 rpm /host/bin/rpm";

fn machine(packages: &Packages) -> Machine {
    let venvs = std::fs::canonicalize(venvs()).expect("run `bash tests/venvs.sh` first");
    Machine::bare(&[
        (venvs.clone(), venvs),
        (packages.folder().into(), packages.folder().into()),
        ("/usr/bin".into(), "/host/bin".into()),
        ("/usr/lib".into(), "/host/lib".into()),
    ])
}

#[track_caller]
fn rpm(machine: &Machine, arguments: &str) -> Said {
    machine.sh(&format!("RPM_CONFIGDIR=/host/lib/rpm {RPM} {arguments} 2>&1"))
}

#[test]
fn an_rpm_is_installed_upgraded_in_place_and_removed() {
    let packages = Packages::new();
    let (old, new) = (packages.package(Kind::Rpm, OLD), packages.package(Kind::Rpm, NEW));
    let machine = machine(&packages);
    rpm(&machine, &format!("--install --nodeps --test {old}")).exits(0);
    rpm(&machine, &format!("--install --nodeps {old}")).exits(0);
    assert_eq!(machine.tell("systemctl is-enabled ostler; systemctl is-active ostler"), "enabled\nactive");
    rpm(&machine, "--verify --nodeps ostler").exits(0);
    put_shop(&machine, "workers = 2");
    until("the app serves", || (machine.property("ostler", "StatusText") == "1 app serves").then_some(()));
    let who = || {
        let pids: Vec<_> = shop(&machine).workers.into_iter().filter_map(|worker| worker.pid).collect();
        (machine.property("ostler", "MainPID"), pids)
    };
    let before = who();
    let clients = Load::on(&target(&machine)).connections(2).start();
    clients.more(50);
    rpm(&machine, &format!("--upgrade --nodeps {new}")).exits(0).says(&["its workers go on"]);
    assert_eq!(who(), before);
    assert!(machine.tell(&format!("/proc/{}/exe --version", before.0)).ends_with(NEW));
    rpm(&machine, &format!("--upgrade --oldpackage --nodeps {old}")).exits(0).says(&["its workers go on"]);
    assert_eq!(who(), before);
    clients.more(20);
    let tally = clients.stop();
    eprintln!("{tally}");
    tally.lost_nothing();
    // A stopped one stays so; a preset of the machine's own counts.
    machine.tell("systemctl stop ostler");
    rpm(&machine, &format!("--upgrade --nodeps {new}")).exits(0);
    assert_eq!(machine.sh("systemctl is-active ostler").out.trim(), "inactive");
    machine.tell("systemctl start ostler");
    rpm(&machine, "--erase ostler").exits(0);
    assert_eq!(
        machine.tell("find /proc -maxdepth 1 -user nobody; find /usr -name '*ostler*' -path '*bin*'"),
        ""
    );
    machine.tell("test -e /etc/ostler/apps.d/shop.toml && ! test -e /etc/systemd/system/multi-user.target.wants/ostler.service");
    machine.write("/etc/systemd/system-preset/00-site.preset", "disable ostler.service\n");
    rpm(&machine, &format!("--install --nodeps {new}")).exits(0);
    let state = machine.sh("systemctl is-enabled ostler; systemctl is-active ostler");
    assert_eq!(state.out.trim(), "disabled\ninactive");
}

#[test]
fn an_rpm_asks_for_what_el_9_has() {
    let packages = Packages::new();
    let package = packages.package(Kind::Rpm, OLD);
    let said = Said::of(std::process::Command::new("rpm").args(["-qp", "--requires", &package])).exits(0);
    let versions =
        said.out.lines().filter_map(|line| line.strip_prefix("libc.so.6(GLIBC_2.")?.split(')').next());
    let most = versions.filter_map(|minor| minor.split('.').next()?.parse::<u32>().ok()).max();
    assert!(most.is_some_and(|minor| minor <= 34), "{said}");
    let known =
        ["/bin/sh", "config(ostler)", "coreutils", "glibc >= 2.34", "ld-linux", "libc.so", "libgcc_s.so"];
    let more = ["libm.so", "rpmlib(", "rtld(GNU_HASH)", "systemd"];
    for line in said.out.lines() {
        assert!(known.iter().chain(&more).any(|it| line.starts_with(it)), "{line}: has EL 9 that?");
    }
}
