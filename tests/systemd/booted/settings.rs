//! Where an app's `gunicorn.conf.py` runs while it is read: never beside ostlerd, and nothing of it stays.

use super::scopes::units;
use crate::harness::until;
use crate::machine::Machine;
use crate::site::{nobodys, put_shop, start};

/// Says where it runs, and leaves a process that slips away from it.
const CONF: &str = r#"
import os, pathlib, subprocess
app = os.path.basename(os.getcwd())
groups = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
with open("/srv/where", "a") as where:
    where.writelines("%s %s\n" % (app, group) for group in groups if group.startswith("0::"))
subprocess.Popen(["setsid", "sh", "-c", "setsid sleep 7200 & sleep 7200"], stdin=subprocess.DEVNULL,
                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"#;

fn wheres(machine: &Machine) -> Vec<String> {
    machine.read("/srv/where").unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn settings_are_read_outside_of_ostlerds_control_group_and_what_they_leave_ends() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 1");
    machine.write("/srv/shop/gunicorn.conf.py", CONF);
    machine.tell("touch /srv/where && chown -R nobody /srv/where /srv/shop");
    start(&machine);
    // The first is that of the interpreter that was asked; the workers read them too.
    let first = wheres(&machine).into_iter().next().expect("they were read");
    assert!(first.contains("/ostler.slice/ostler-shop.slice/ostler-shop-settings-"), "{first}");
    until("only the workers' scope is left", || {
        let units = units(&machine);
        (units.matches(".scope").count() == 1 && units.contains("ostler-shop-g1.scope")).then_some(())
    });

    // Those that share an interpreter and a user; their files come at once, for they are watched.
    for app in ["one", "two"] {
        let text = machine.read("/etc/ostler/apps.d/shop.toml").expect("it is there");
        let text = text.replace("/srv/shop", &format!("/srv/{app}")).replace("shop", app);
        machine.tell(&format!("cp -a /srv/shop /srv/{app}"));
        machine.write(&format!("/srv/{app}.toml"), &text);
    }
    machine.tell("mv /srv/one.toml /srv/two.toml /etc/ostler/apps.d/");
    machine.run(&["ostler", "reload"]).exits(0);
    for app in ["one", "two"] {
        let wheres = wheres(&machine);
        let first = wheres.iter().find(|line| line.starts_with(app)).expect("they were read");
        assert!(first.contains("/ostler.slice/ostler-settings-"), "{first}");
    }
    until("only the workers' scopes are left", || {
        let units = units(&machine);
        (units.matches(".scope").count() == 3 && !units.contains("settings")).then_some(())
    });
    assert!(!machine.journal("ostler").contains("has died left"), "{}", machine.journal("ostler"));
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    until("no process is left", || nobodys(&machine).is_empty().then_some(()));
}
