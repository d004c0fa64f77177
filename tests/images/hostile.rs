//! What a hostile image tries: each is an attack, and none gets anything but a refusal or a harmless release.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::Said;
use crate::image::Image;
use crate::shop::{Shop, mode, only_root};

/// What an attack comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Becomes {
    /// It has got as far as it can, and that is harmless.
    Release,
    Refused,
}

use Becomes::{Refused, Release};

/// A shop, and beside it what nobody may touch although the app's user could.
struct Target {
    shop: Shop,
    outside: PathBuf,
}

impl Target {
    fn new() -> Target {
        let shop = Shop::new();
        let outside = shop.site.path("outside");
        fs::create_dir(&outside).expect("the site is ours");
        fs::write(outside.join("victim"), "untouched").expect("the site is ours");
        shop.give("outside");
        Target { shop, outside }
    }

    /// Every attack in turn: pulled or refused, as it says, and nothing outside has changed. What is refused leaves nothing.
    #[track_caller]
    fn withstands(&self, attacks: &[(&str, Becomes, Vec<Value>)]) {
        for (name, becomes, layers) in attacks {
            self.shop.push(Image::of(layers), &format!("shop:{name}"));
            let before = self.shop.entries();
            let said = self.shop.pull(&format!("shop:{name}"));
            assert_eq!(said.code, Some(if *becomes == Release { 0 } else { 1 }), "{name}: {said}");
            if *becomes == Refused {
                assert_eq!(self.shop.entries(), before, "{name}: what is refused leaves nothing");
            }
            assert!(!said.all().contains('\u{1b}'), "{name}: {said}");
            self.is_untouched(name);
        }
        self.shop.has_no_child();
    }

    #[track_caller]
    fn is_untouched(&self, name: &str) {
        let names: Vec<_> = fs::read_dir(&self.outside)
            .expect("root can read it")
            .map(|it| it.expect("root can read it").file_name())
            .collect();
        assert_eq!(names, ["victim"], "{name}");
        assert_eq!(
            fs::read_to_string(self.outside.join("victim")).expect("it is there"),
            "untouched",
            "{name}"
        );
        assert!(self.shop.site.path("srv").is_dir() && self.shop.releases().is_dir(), "{name}");
        let mut find = Command::new("find");
        find.arg(self.shop.releases())
            .args(["(", "-type", "b", "-o", "-type", "c", "-o", "-type", "p", "-o", "-type", "s"]);
        find.args(["-o", "(", "!", "-type", "l", "-perm", "/6000", ")", ")"]);
        assert_eq!(Said::of(&mut find).exits(0).out, "", "{name}: devices, pipes, set-user-id");
    }
}

#[test]
fn paths_and_links_that_lead_out_reach_nothing() {
    if !only_root("an image that reaches out") {
        return;
    }
    let target = Target::new();
    let out = target.outside.display().to_string();
    let up = "../".repeat(20);
    let file = |name: &str| json!({"name": name, "text": "owned"});
    let link = |name: &str, to: &str| json!({"name": name, "type": "link", "link": to});
    let hard = |name: &str, to: &str| json!({"name": name, "type": "hardlink", "link": to});
    target.withstands(&[
        ("dots", Release, vec![json!([file(&format!("{up}{out}/dots"))])]),
        ("absolute", Release, vec![json!([file(&format!("{out}/absolute"))])]),
        ("link", Release, vec![json!([link("l", &out), file("l/link")])]),
        ("layers", Release, vec![json!([link("l", &out)]), json!([file("l/layers")])]),
        ("relative", Release, vec![json!([link("l", &format!("{up}{out}")), file("l/relative")])]),
        ("over", Release, vec![json!([link("l", &format!("{out}/victim"))]), json!([file("l")])]),
        ("hard", Refused, vec![json!([hard("h", &format!("{out}/victim"))])]),
        ("harder", Refused, vec![json!([hard("h", &format!("{up}{out}/victim"))]), json!([file("h")])]),
        (
            "both",
            Release,
            vec![json!([link("l", &format!("{out}/victim")), hard("h", "l")]), json!([file("h")])],
        ),
        ("root", Refused, vec![json!([link(".", &out), file("root")])]),
        (
            "places",
            Release,
            vec![json!([link("etc", &out), link("tmp", &out), link("run", &format!("{up}{out}"))])],
        ),
        (
            "hosts",
            Release,
            vec![json!([link("etc/hosts", &format!("{out}/made")), link("etc/resolv.conf", &out)])],
        ),
    ]);
}

#[test]
fn whiteouts_remove_nothing_outside() {
    if !only_root("a whiteout of ..") {
        return;
    }
    let target = Target::new();
    let out = target.outside.display().to_string();
    let white = |name: &str| json!([{"name": name}]);
    let link = json!([{"name": "l", "type": "link", "link": out}]);
    let file = json!([{"name": "a/b", "text": "x"}]);
    target.withstands(&[
        ("plain", Release, vec![file.clone(), white("a/.wh.b")]),
        ("opaque", Release, vec![file.clone(), white("a/.wh..wh..opq")]),
        ("up", Refused, vec![file.clone(), white(".wh...")]),
        ("below", Refused, vec![file.clone(), white("a/.wh...")]),
        ("itself", Refused, vec![file.clone(), white("a/.wh..")]),
        ("nothing", Refused, vec![file.clone(), white("a/.wh.")]),
        ("through", Release, vec![link.clone(), white("l/.wh.victim")]),
        ("opaque-through", Release, vec![link, white("l/.wh..wh..opq")]),
        ("opaque-up", Refused, vec![file, white("a/../../.wh..wh..opq")]),
    ]);
    assert!(!target.shop.releases().join("a").exists());
}

#[test]
fn devices_pipes_and_set_user_id_are_taken_away_and_said() {
    if !only_root("an image with devices") {
        return;
    }
    let target = Target::new();
    let capability = json!({"SCHILY.xattr.security.capability": format!("\u{1}\u{0}\u{0}\u{2}\u{0} {}", "\u{0}".repeat(14))});
    let layer = json!([
        {"name": "null", "type": "device"},
        {"name": "disk", "type": "disk"},
        {"name": "pipe", "type": "pipe"},
        {"name": "su", "text": "x", "mode": 0o6755},
        {"name": "group", "type": "folder", "mode": 0o2777},
        {"name": "cap", "text": "x", "mode": 0o755, "pax": capability},
    ]);
    target.withstands(&[("special", Release, vec![layer])]);
    let said = target.shop.pull("shop:special").exits(0);
    let release = PathBuf::from(said.out.lines().last().unwrap());
    let rootfs = release.join("rootfs");
    assert_eq!((mode(&rootfs.join("su")), mode(&rootfs.join("group"))), (0o755, 0o777));
    assert!(!rootfs.join("pipe").exists());
    let mut getcap = Command::new("/usr/sbin/getcap");
    assert_eq!(Said::of(getcap.arg("-r").arg(&rootfs)).exits(0).out, "");
    fs::remove_dir_all(&release).unwrap();
    target.shop.pull("shop:special").exits(0).says(&["set-group-id bits of 2 files, 1 special file"]);
}

#[test]
fn names_that_are_too_long_or_not_to_be_shown_are_harmless() {
    if !only_root("an image with long names") {
        return;
    }
    let target = Target::new();
    let deep = format!("{}x", format!("{}/", "d".repeat(100)).repeat(60));
    target.withstands(&[
        ("long", Refused, vec![json!([{"name": "n".repeat(300)}])]),
        ("deep", Refused, vec![json!([{"name": deep}])]),
        ("shown", Refused, vec![json!([{"name": format!("a\n\u{1b}[31m{}", "n".repeat(300))}])]),
        (
            "closed",
            Release,
            vec![
                json!([{"name": "z", "type": "folder", "mode": 0}, {"name": "z/y", "text": "1", "mode": 0}]),
            ],
        ),
    ]);
    let closed = target.shop.pull("shop:closed").exits(0);
    let release = PathBuf::from(closed.out.lines().last().unwrap());
    assert_eq!(mode(&release.join("rootfs/z")), 0o700, "its owner can remove it");
}
