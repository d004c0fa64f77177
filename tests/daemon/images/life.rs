//! Rollouts, deaths, hooks, commands and migrations of apps that are images: as of any other.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use super::{Images, code, open_folder};
use crate::harness::{Proc, Site, kill, ready, until};
use crate::load::{Load, answers, get};

#[test]
fn an_image_takes_the_place_of_another_and_no_request_is_lost() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    images.add("1", &code("1"));
    images.add("2", &code("2"));
    images.add("3", "1 / 0");
    let app = images.app().write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let load = Load::on(&app.target()).start();
    images.switch(&ostlerd, "2").exits(0);
    answers(&app.target(), "2");
    images.switch(&ostlerd, "3").exits(1).says(&["ZeroDivisionError", "/app/app.py"]);
    answers(&app.target(), "2");
    ostlerd.ostler(&["rollback", "shop"]).exits(0);
    answers(&app.target(), "1");
    load.stop().lost_nothing();
}

#[test]
fn an_image_and_a_plain_release_take_the_place_of_each_other() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    let plain = images.releases.add("0", &[("app.py", &code("0"))]);
    images.add("1", &code("1"));
    // Only one of them has such a program.
    let python = plain.join("venv/bin/python");
    let app = images.app().python(images.releases.root.join("current/venv/bin/python")).write();
    assert!(python.exists());
    images.releases.link("releases/0");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    answers(&app.target(), "0");
    images.switch(&ostlerd, "1").exits(78).says(&["has no program", "correct `python`"]);
    answers(&app.target(), "0");
    let text = fs::read_to_string(&app.file).expect("it is there");
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("python")).collect();
    fs::write(&app.file, without.join("\n")).expect("it is ours");
    images.switch(&ostlerd, "1").exits(0);
    answers(&app.target(), "1");
    images.switch(&ostlerd, "0").exits(78).says(&["is no image", "`python` is not set"]);
    answers(&app.target(), "1");
}

#[test]
fn a_killed_ostlerd_leaves_the_workers_of_an_image_serving_and_the_next_adopts_them() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    images.add("1", &code("1"));
    let app = images.app().write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    let load = Load::on(&app.target()).start();
    load.more(20);
    ostlerd.crash();
    load.more(50);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(ostlerd.pids("shop"), before);
    ostlerd.ostler(&["reload"]).exits(0);
    assert_eq!(ostlerd.pids("shop"), before, "nothing has changed");
    load.more(20);
    load.stop().lost_nothing();
    kill(before[0], Signal::SIGKILL);
    ostlerd.wait("shop", "has another worker", |app| {
        let now = ready(app);
        now.len() == 2 && now.iter().all(|it| it.pid != Some(before[0]))
    });
}

#[test]
fn a_volume_that_is_configured_comes_in_by_a_rollout_of_the_same_release() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    let release = images.add("1", &code("1"));
    fs::create_dir(release.join("rootfs/data")).expect("it is ours");
    let data = open_folder(&site, "data");
    let app = images.app().write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let load = Load::on(&app.target()).start();
    let volumes = format!("volumes = {{ \"/data\" = {data:?} }}");
    fs::write(&app.file, format!("{volumes}\n{}", app.text())).expect("it is ours");
    ostlerd.ostler(&["reload", "--dry-run"]).exits(0).says(&["volumes of /data", "shop: rolled out"]);
    ostlerd.ostler(&["reload"]).exits(0);
    let after = ostlerd.serving("shop");
    assert_eq!(after.generation.map(|it| it.0), Some(2));
    let mounts = format!("/proc/{}/mounts", ostlerd.pids("shop")[0]);
    let mounts = fs::read_to_string(mounts).expect("it runs");
    assert!(mounts.lines().any(|line| line.split(' ').nth(1) == Some("/data")), "{mounts}");
    load.stop().lost_nothing();
}

/// The capabilities that the unit leaves to ostlerd, as setpriv wants them.
pub fn of_the_unit() -> String {
    let unit = include_str!("../../../systemd/ostler.service");
    let lines = unit.lines().filter_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let names = lines.flat_map(str::split_whitespace).map(|it| it.trim_start_matches("CAP_").to_lowercase());
    names.fold("-all".to_owned(), |all, name| format!("{all},+{name}"))
}

/// ostlerd with these and no others.
pub fn with_capabilities(site: &Site, bounding: &str) -> Command {
    let plain = site.command();
    let mut limited = Command::new("setpriv");
    limited.arg("--bounding-set").arg(bounding).arg(plain.get_program()).args(plain.get_args());
    limited.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

#[test]
fn an_image_needs_no_more_capabilities_than_the_unit_leaves() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    images.add("1", &code("1"));
    let app = images.app().write();
    let ostlerd = site.start_by(with_capabilities(&site, &of_the_unit()));
    ostlerd.serving("shop");
    answers(&app.target(), "1");
    ostlerd.restart("shop");
}

#[test]
fn hooks_commands_and_a_zygote_run_in_the_image() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    let conf = "import os\ndef when_ready(server):\n    open('/data/hook', 'w').write(os.getcwd())\n";
    let release = images.add("1", &code("1"));
    fs::write(release.join("rootfs/app/gunicorn.conf.py"), conf).expect("it is ours");
    fs::create_dir(release.join("rootfs/data")).expect("it is ours");
    let data = open_folder(&site, "data");
    let command = "[processes.queue]\ncommand = [\"sh\", \"-c\", \"pwd >/data/queue; exec sleep 4711\"]";
    let volumes = format!("volumes = {{ \"/data\" = {data:?} }}");
    let app = images.app().key(&volumes).key("preload = true").table(command).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    answers(&app.target(), "1");
    for file in ["hook", "queue"] {
        let told = until(format!("{file} is written"), || {
            fs::read_to_string(data.join(file)).ok().filter(|text| !text.is_empty())
        });
        assert_eq!(told.trim_end(), "/app", "{file}");
    }
    let worker = Proc(ostlerd.pids("shop")[0]);
    let zygote = ostlerd.wait("shop", "has a zygote", |app| !app.zygotes.is_empty()).zygotes[0].pid;
    let root = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/mnt")).expect("it is there");
    assert_eq!(Some(root(worker.0)), zygote.map(root), "what it forks is where it is");
}

const DJANGO: &str = r#"
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"#;

const SETTINGS: &str = r#"
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["goods"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/data/db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"#;

const URLS: &str = r#"
from django.http import HttpResponse
from django.urls import path
def count(request):
    from django.db import connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM goods_good")
        return HttpResponse(str(cursor.fetchone()[0]))
urlpatterns = [path("", count)]
"#;

const MIGRATION: &str = r#"
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = []
    operations = [
        migrations.CreateModel("Good", [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())]),
        migrations.RunSQL("INSERT INTO goods_good (name) VALUES ('a'), ('b')"),
    ]
"#;

#[test]
fn a_migration_runs_in_the_image_before_its_workers_do() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    images.add("0", &code("0"));
    let release = images.add("1", DJANGO);
    for id in ["0", "1"] {
        fs::create_dir(images.release(id).join("rootfs/data")).expect("it is ours");
    }
    let write = |name: &str, text: &str| {
        let file = release.join("rootfs/app").join(name);
        fs::create_dir_all(file.parent().expect("it is in a folder")).expect("it is ours");
        fs::write(file, text).expect("it is ours");
    };
    write("settings.py", SETTINGS);
    write("urls.py", URLS);
    write("goods/__init__.py", "");
    write(
        "goods/models.py",
        "from django.db import models\nclass Good(models.Model):\n    name = models.TextField()\n",
    );
    write("goods/migrations/__init__.py", "");
    write("goods/migrations/0001_first.py", MIGRATION);
    write(
        "manage.py",
        "from django.core.management import execute_from_command_line\nimport os, sys\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')\nexecute_from_command_line(sys.argv)\n",
    );
    let data = open_folder(&site, "data");
    let volumes = format!("volumes = {{ \"/data\" = {data:?} }}");
    let after = "[migrate]\npost_deploy = [[\"touch\", \"/data/deployed\"]]";
    let app = images.app().key(&volumes).table(after).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let load = Load::on(&app.target()).start();
    images.switch(&ostlerd, "1").exits(0).says(&["goods.0001_first"]);
    load.stop().lost_nothing();
    assert_eq!(get(&app.target(), "/").expect("it answers").text(), "2");
    until("post_deploy has run", || data.join("deployed").exists().then_some(()));
    ostlerd.ostler(&["migrate", "shop", "--plan"]).exits(0).says(&["nothing"]);
    ostlerd.ostler(&["migrate", "shop"]).exits(0).says(&["nothing"]);
}
