//! Images that cannot run: one clear error each, and what serves goes on.

use std::fs;
use std::path::Path;

use super::life::{of_the_unit, with_capabilities};
use super::{Images, code, open_folder};
use crate::harness::bundle::CONFIG;
use crate::harness::{Said, Site};
use crate::load::answers;

#[test]
fn an_image_that_cannot_run_says_why_and_what_serves_goes_on() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    images.add("1", &code("1"));
    let app = images.app().write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let is_bad = |id: &str, spoil: &dyn Fn(&Path), says: &[&str]| {
        let release = images.add(id, &code(id));
        spoil(&release);
        let said = images.switch(&ostlerd, id).says(says);
        assert!(said.all().lines().count() < 40, "{}", said.all());
        answers(&app.target(), "1");
    };
    let config = |release: &Path, from: &str, to: &str| {
        fs::write(release.join("config.json"), CONFIG.replace(from, to)).expect("it is ours");
    };
    is_bad("2", &|it| config(it, "/usr/bin:/bin", "/opt"), &["no python3 and no python in its PATH", "/opt"]);
    is_bad(
        "3",
        &|it| fs::write(it.join("config.json"), "{").expect("it is ours"),
        &["config.json", "damaged"],
    );
    is_bad("4", &|it| config(it, "\"/app\"", "\"/none\""), &["cannot enter /none", "is not there"]);
    is_bad(
        "5",
        &|it| fs::remove_dir_all(it.join("rootfs/app/lib/gunicorn")).expect("it is ours"),
        &["gunicorn"],
    );
    is_bad(
        "6",
        &|it| fs::remove_dir(it.join("tmp")).expect("it is ours"),
        &["cannot mount", "tmp", "No such file"],
    );
    is_bad(
        "7",
        &|it| fs::remove_file(it.join("rootfs/usr/bin/python3.13")).expect("it is ours"),
        &["no python3"],
    );
}

#[test]
fn a_volume_that_cannot_be_mounted_is_named() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    let data = open_folder(&site, "data");
    let release = images.add("1", &code("1"));
    fs::create_dir(release.join("rootfs/data")).expect("it is ours");
    let app = images.app().key(&format!("volumes = {{ \"/data\" = {data:?} }}")).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let hidden = site.path("hidden");
    fs::create_dir_all(hidden.join("in")).expect("it is ours");
    fs::set_permissions(&hidden, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("it is ours");
    let text = fs::read_to_string(&app.file).expect("it is there");
    for (volume, says) in [
        (format!("\"/data\" = {:?}", data.join("none")), "none: No such file or directory"),
        (format!("\"/other\" = {data:?}"), "the image has no /other"),
        (format!("\"/data\" = {:?}", hidden.join("in")), "in: Permission denied"),
    ] {
        let changed = text.replace(&format!("\"/data\" = {data:?}"), &volume);
        fs::write(&app.file, changed).expect("it is ours");
        let said = ostlerd.ostler(&["restart", "shop"]);
        assert!(said.all().contains(says), "{says:?} is missing from: {}", said.all());
        answers(&app.target(), "1");
    }
}

#[test]
fn a_key_of_images_is_refused_for_a_release_that_is_none() {
    let site = Site::new();
    let Some(_images) = Images::new(&site) else { return };
    let app = site.app("shop").tcp().workers(1).with("app.py", &code("1"));
    app.key("volumes = { \"/data\" = \"/srv\" }").write();
    site.start_in_vain().exits(78).says(&["`volumes` is for images", "leave the key out"]);
}

#[test]
fn a_link_in_the_place_of_tmp_leads_the_user_nowhere_that_he_could_not_go() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    let hidden = site.path("hidden");
    fs::create_dir_all(hidden.join("in")).expect("it is ours");
    fs::set_permissions(&hidden, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("it is ours");
    images.add("1", &code("1"));
    let release = images.add("2", &code("2"));
    let app = images.app().write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    fs::remove_dir(release.join("tmp")).expect("it is ours");
    std::os::unix::fs::symlink(hidden.join("in"), release.join("tmp")).expect("it is ours");
    let said = images.switch(&ostlerd, "2");
    assert!(said.all().contains("tmp: Permission denied"), "{}", said.all());
    answers(&app.target(), "1");
}

#[test]
fn what_an_image_needs_of_the_kernel_and_does_not_get_is_named() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    images.add("1", &code("1"));
    images.app().write();
    let less = of_the_unit().replace(",+setfcap", "");
    Said::of(&mut with_capabilities(&site, &less)).exits(78).says(&[
        "cannot run the image",
        "does not let ostlerd say who is who in a namespace",
        "CAP_SETFCAP",
    ]);
}
