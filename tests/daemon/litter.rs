//! Garbage where ostlerd keeps its own things, as a disk that fails, a person who restores the wrong backup, or an older or newer
//! ostlerd leaves it: the apps are served all the same.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;

use crate::harness::{Ostlerd, Site, WSGI, is_root};
use crate::load::answers;

fn killed_and_back<'a>(site: &'a Site, litter: impl FnOnce(&Site)) -> Ostlerd<'a> {
    let app = site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.restart("shop");
    ostlerd.crash();
    litter(site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    answers(&app.target(), "1");
    ostlerd.restart("shop");
    let log = ostlerd.log();
    assert!(!log.contains("panicked"), "{log}");
    ostlerd
}

fn every_file_below(folder: &Path, change: &dyn Fn(&Path)) {
    for entry in fs::read_dir(folder).expect("it is there").flatten() {
        match entry.file_type().expect("it is there") {
            kind if kind.is_dir() => every_file_below(&entry.path(), change),
            kind if kind.is_file() && entry.file_name() != "ostlerd.lock" => change(&entry.path()),
            _ => {}
        }
    }
}

fn both(site: &Site, change: &dyn Fn(&Path)) {
    for folder in ["run", "state"] {
        every_file_below(&site.path(folder), change);
    }
}

#[test]
fn bytes_at_random_in_every_file_of_ostlerds_own_cost_no_app_anything() {
    let site = Site::new();
    let junk: Vec<u8> = (0..5000u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    killed_and_back(&site, |site| both(site, &|file| fs::write(file, &junk).expect("it is ours")));
}

#[test]
fn files_of_ostlerds_own_that_are_empty_cost_no_app_anything() {
    let site = Site::new();
    killed_and_back(&site, |site| both(site, &|file| fs::write(file, "").expect("it is ours")));
}

#[test]
fn files_of_ostlerds_own_that_are_cut_in_the_middle_cost_no_app_anything() {
    let site = Site::new();
    killed_and_back(&site, |site| {
        both(site, &|file| {
            let text = fs::read(file).expect("it is there");
            fs::write(file, &text[..text.len() / 2]).expect("it is ours");
        });
    });
}

#[test]
fn huge_files_in_place_of_ostlerds_own_are_not_read_to_their_end() {
    let site = Site::new();
    let ostlerd = killed_and_back(&site, |site| {
        both(site, &|file| {
            let file = fs::File::options().write(true).open(file).expect("it is ours");
            file.set_len(8 << 30).expect("it takes no room");
        });
        let folder = site.path("state/shop");
        fs::create_dir_all(&folder).expect("it is ours");
        for name in ["release.json", "migrations.jsonl", "migrated"] {
            fs::File::create(folder.join(name)).and_then(|it| it.set_len(8 << 30)).expect("it is ours");
        }
    });
    let rss = ostlerd.process().rss();
    assert!(rss < 200 << 20, "{rss} bytes");
}

#[test]
fn folders_in_place_of_ostlerds_own_files_are_said_and_cost_no_app_anything() {
    let site = Site::new();
    killed_and_back(&site, |site| {
        both(site, &|file| {
            fs::remove_file(file).expect("it is ours");
            fs::create_dir(file).expect("it is ours");
        });
    });
}

#[test]
fn pipes_that_nobody_writes_to_in_place_of_ostlerds_own_files_hold_nobody_up() {
    let site = Site::new();
    killed_and_back(&site, |site| {
        let pipe = |file: &Path| {
            let _ = fs::remove_file(file);
            nix::unistd::mkfifo(file, Mode::from_bits_truncate(0o600)).expect("it is ours");
        };
        both(site, &pipe);
        fs::create_dir_all(site.path("state/shop")).expect("it is ours");
        for name in ["release.json", "release.json.new", "migrations.jsonl", "migrated"] {
            pipe(&site.path("state/shop").join(name));
        }
    });
}

#[test]
fn links_in_place_of_ostlerds_own_files_lead_it_to_write_nowhere_else() {
    let site = Site::new();
    let precious = site.path("precious");
    fs::write(&precious, "precious").expect("it is ours");
    killed_and_back(&site, |site| {
        let link = |file: &Path| {
            let _ = fs::remove_file(file);
            symlink(&precious, file).expect("it is ours");
        };
        both(site, &link);
        fs::create_dir_all(site.path("state/shop")).expect("it is ours");
        for name in [
            "run/state.json.new",
            "state/shop/release.json",
            "state/shop/release.json.new",
            "state/shop/migrations.jsonl",
        ] {
            link(&site.path(name));
        }
    });
    assert_eq!(fs::read_to_string(&precious).expect("it is there"), "precious");
}

#[test]
fn a_state_of_a_user_who_is_not_ostlerds_own_is_not_believed() {
    if !is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let site = Site::new();
    let ostlerd = killed_and_back(&site, |site| {
        let file = site.path("run/state.json");
        std::os::unix::fs::chown(&file, Some(65_534), None).expect("root may");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("it is there");
    });
    assert!(ostlerd.log().contains("alone can write"), "{}", ostlerd.log());
}

#[test]
fn a_state_of_an_ostlerd_to_come_is_refused_in_words_and_its_workers_are_replaced() {
    let site = Site::new();
    let ostlerd = killed_and_back(&site, |site| {
        let file = site.path("run/state.json");
        let text = fs::read_to_string(&file).expect("it is there");
        fs::write(&file, text.replacen("\"version\":", "\"version\":400000000", 1)).expect("it is ours");
    });
    assert!(ostlerd.log().contains("it has the format 400000000"), "{}", ostlerd.log());
}
