//! Releases of a plain Django project that are bad, each in another way: no client meets one of them, and the command says
//! what is wrong. The table of ostler-deploy(7) has the same rows.

use std::fs;
use std::process::Command;

use crate::harness::{AppFile, Gunicorn, Said, Site, is_root, readable};
use crate::load::Load;

/// A release that is bad: its row in the page, its files beside those of the good one, and what the command says.
struct Bad {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    says: &'static str,
}

const VIEWS: &str = "
from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import render
def index(request):
    return HttpResponse('ok one')
def page(request):
    return render(request, 'page.html')
";
const URLS: &str = "
from django.urls import path
from site1 import views
urlpatterns = [path('', views.index), path('page', views.page)]
";
const WSGI: &str = "
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')
application = get_wsgi_application()
";

const ALL: &[Bad] = &[
    Bad {
        name: "the import fails",
        files: &[("site1/wsgi.py", "import not_installed\n")],
        says: "the import of site1.wsgi:application failed: ModuleNotFoundError: No module named 'not_installed'",
    },
    Bad {
        name: "`urls.py` fails",
        files: &[("site1/urls.py", "urlpatterns = [nothing]\n")],
        says: "the URLs of site1.urls do not load: NameError: name 'nothing' is not defined",
    },
    Bad {
        name: "a view does not import",
        files: &[("site1/views.py", "import not_installed\n")],
        says: "the URLs of site1.urls do not load: ModuleNotFoundError: No module named 'not_installed'",
    },
    Bad {
        name: "a template tag does not import",
        files: &[("site1/templatetags/prices.py", "import not_installed\n")],
        says: "the templates' engines and tags do not load: ",
    },
    Bad {
        name: "the settings fail",
        files: &[("site1/extra.py", "SECRET = {}['SECRET']\n")],
        says: "KeyError: 'SECRET'",
    },
    Bad {
        name: "a setting fails in a request",
        files: &[
            ("site1/extra.py", "CACHES = {'default': {'BACKEND': 'not_installed.Cache'}}\n"),
            ("site1/views.py", "def index(request):\n    cache.get('x')\n"),
        ],
        says: "the probe of / answered 500 Internal Server Error",
    },
    Bad {
        name: "the first page needs a package that is not there",
        files: &[("site1/views.py", "def index(request):\n    import not_installed\n")],
        says: "the probe of / answered 500 Internal Server Error",
    },
    Bad {
        name: "an ASGI app under a class for WSGI",
        files: &[(
            "site1/wsgi.py",
            "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\n\
             from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n",
        )],
        says: "the worker class sync runs WSGI apps, and site1.wsgi:application is an ASGI app",
    },
    Bad {
        name: "a redirect to https, and a 500 behind it",
        files: &[
            ("site1/extra.py", "SECURE_SSL_REDIRECT = True\n"),
            ("site1/views.py", "def index(request):\n    raise ValueError('behind it')\n"),
        ],
        says: "the probe of / answered 500 Internal Server Error",
    },
    Bad {
        name: "`/` leads to a page that answers 500",
        files: &[(
            "site1/views.py",
            "from django.shortcuts import redirect\ndef index(request):\n    return redirect('/page')\n\
             def page(request):\n    raise KeyError('nobody')\n",
        )],
        says: "the probe of /, sent on to /page, answered 500 Internal Server Error",
    },
    Bad {
        name: "`/` answers 500",
        files: &[("site1/views.py", "def index(request):\n    return HttpResponse(status=500)\n")],
        says: "the probe of / answered 500 Internal Server Error",
    },
    Bad {
        name: "`/` does not answer",
        files: &[("site1/views.py", "import time\ndef index(request):\n    time.sleep(3600)\n")],
        says: "the probe of / did not answer in",
    },
    Bad {
        name: "the import hangs",
        files: &[("site1/urls.py", "import time\ntime.sleep(3600)\n")],
        says: "was not ready within boot_timeout",
    },
    Bad {
        name: "a thread is left by an import that fails",
        files: &[(
            "site1/wsgi.py",
            "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()\nimport not_installed\n",
        )],
        says: "the import of site1.wsgi:application failed: ModuleNotFoundError: No module named 'not_installed'",
    },
    Bad {
        name: "the import ends the program",
        files: &[("site1/wsgi.py", "import sys\nsys.exit('no licence')\n")],
        says: "the import of site1.wsgi:application failed: no licence",
    },
    Bad {
        name: "the import prints why it ends the program",
        files: &[("site1/wsgi.py", "import sys\nprint('no licence in /etc')\nsys.exit(1)\n")],
        says: "the import of site1.wsgi:application failed: exit status 1: no licence in /etc",
    },
    Bad {
        name: "the import panics",
        files: &[(
            "site1/wsgi.py",
            "class PanicException(BaseException):\n    pass\nraise PanicException('called unwrap on None')\n",
        )],
        says: "PanicException: called unwrap on None",
    },
    Bad {
        name: "there is no memory for it",
        files: &[(
            "site1/wsgi.py",
            "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\ntables = bytearray(2 << 30)\n",
        )],
        says: "MemoryError",
    },
    Bad {
        name: "it crashes soon",
        files: &[(
            "site1/urls.py",
            "import os, threading\nthreading.Timer(0.3, os.abort).start()\nurlpatterns = []\n",
        )],
        says: "killed by signal 6 (ABRT)",
    },
];

/// A project as Django makes it, with two pages of its own.
fn project(site: &Site) -> AppFile {
    let app = site.app("shop").tcp().workers(2).entry("site1.wsgi:application");
    let mut django = Command::new(Gunicorn::V27.program("django-admin"));
    Said::of(django.args(["startproject", "site1"]).arg(&app.directory)).exits(0);
    let settings = app.directory.join("site1/settings.py");
    let text = fs::read_to_string(&settings).expect("Django has made it");
    let more = "\nDEBUG = False\nALLOWED_HOSTS = ['shop.example.com', '*']\nINSTALLED_APPS += ['site1']\n\
                from site1.extra import *\n";
    fs::write(settings, text + more).expect("the folder is ours");
    fs::create_dir(app.directory.join("site1/templatetags")).expect("the folder is ours");
    good(&app);
    app.key("migrate = { enabled = false }")
        .table("[rollout]\nsettle = \"1500ms\"\nboot_timeout = \"30s\"\nmax_boot_failures = 1")
        .table("[probe]\ntimeout = \"10s\"")
}

/// The release that works.
fn good(app: &AppFile) {
    let files = [
        ("site1/extra.py", ""),
        ("site1/templatetags/__init__.py", ""),
        ("site1/templatetags/prices.py", "from django import template\nregister = template.Library()\n"),
        ("site1/views.py", VIEWS),
        ("site1/urls.py", URLS),
        ("site1/wsgi.py", WSGI),
    ];
    files.iter().for_each(|(name, text)| app.release(name, text));
    for folder in ["site1", "site1/templatetags"] {
        readable(&app.directory.join(folder));
    }
}

fn bad(app: &AppFile, release: &Bad) {
    good(app);
    for (name, text) in release.files {
        // What a view is changed to stands below the imports and the other view.
        let whole = if *name == "site1/views.py" { format!("{VIEWS}{text}") } else { (*text).to_owned() };
        app.release(name, &whole);
    }
}

#[test]
fn a_bad_release_reaches_no_client_and_says_what_is_wrong() {
    let site = Site::new();
    let app = project(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let pids = ostlerd.pids("shop");
    let load = Load::on(&app.target()).start();
    for release in ALL {
        bad(&app, release);
        let asked = load.asked();
        let said = ostlerd.ostler(&["restart", "shop"]);
        assert_eq!(said.code, Some(1), "{}: {said}", release.name);
        assert!(said.all().contains(release.says), "{}: {:?} is not in {said}", release.name, release.says);
        assert!(load.asked() > asked, "{}: nobody asked meanwhile", release.name);
        assert_eq!(ostlerd.pids("shop"), pids, "{}: the old workers serve on", release.name);
    }
    if is_root() {
        good(&app);
        let views = app.directory.join("site1/views.py");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&views, mode).expect("the file is ours");
        ostlerd.restart_fails("shop").says(&["PermissionError", "views.py"]);
        readable(&views);
    }
    let tally = load.stop();
    tally.lost_nothing();
    assert_eq!(tally.bodies().into_iter().collect::<Vec<_>>(), ["ok one"]);
    good(&app);
    ostlerd.restart("shop");
}

#[test]
fn a_first_page_that_fails_is_a_warning_where_nothing_better_serves() {
    let site = Site::new();
    let app = project(&site);
    let broken = Bad {
        name: "`/` answers 500",
        files: &[("site1/views.py", "def index(request):\n    raise KeyError('nobody')\n")],
        says: "",
    };
    bad(&app, &broken);
    let app = app.write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let warned = &["the probe of / answered 500 Internal Server Error", "set `path` in [probe]"];
    ostlerd.ostler(&["status"]).exits(0).says(warned);
    ostlerd.logs("goes on all the same, for nothing else serves");
    // The next one is no worse.
    ostlerd.restart("shop").says(&["goes on all the same, for g1 is not known to do better"]);
    // One that answers well is what the next is held to.
    good(&app);
    ostlerd.restart("shop");
    ostlerd.ostler(&["status"]).exits(0).says(&["proof: loaded 2 URLs, / answered 200"]);
    bad(&app, &broken);
    ostlerd.restart_fails("shop").says(&["the probe of / answered 500", "KeyError: 'nobody'"]);
    // A worker that dies comes back whatever it answers: it belongs to what serves.
    assert_eq!(ostlerd.app("shop").proof.and_then(|proof| proof.urls), Some(2));
}

#[test]
fn the_table_of_the_page_has_each_of_them() {
    let page = include_str!("../../packaging/man/ostler-deploy.7.md");
    let (_, table) = page.split_once("| bad release |").expect("ostler-deploy(7) has the table");
    let table = table.split("\n\n").next().unwrap_or_default();
    for Bad { name, says, .. } in ALL {
        let row = table.lines().find(|line| line.starts_with(&format!("| {name} |")));
        let row = row.unwrap_or_else(|| panic!("the table of bad releases lacks {name:?}"));
        assert!(row.contains(says.trim_end().trim_end_matches(':')), "{says:?} is not in {row:?}");
    }
}
