//! From the registry to clients: an ostlerd runs what was pulled.

use std::fs;
use std::path::PathBuf;

use crate::harness::bundle::python_alone;
use crate::harness::{Ostlerd, Said, WSGI, eventually, until};
use crate::image::Buildah;
use crate::load::{Load, answers};
use crate::registry::Registry;
use crate::shop::{Shop, only_root};

/// Pushes an image for each of these codes, which have all but a layer in common.
pub fn push_all(shop: &Shop, codes: &[(&str, String)]) {
    let (site, buildah) = (&shop.site, Buildah::of(&shop.site));
    let (path, python) = (["--env", "PATH=/app/.venv/bin"], site.path("python"));
    python_alone(&python);
    buildah.layer("scratch", &python, &path, "python");
    for (name, code) in codes {
        let folder = site.path(&format!("code-{name}"));
        fs::create_dir_all(folder.join("app")).expect("the site is ours");
        fs::write(folder.join("app/app.py"), code).expect("the site is ours");
        let layout = site.path(&format!("layout-{name}"));
        buildah.layer("python", &folder, &path, &format!("oci:{}:it", layout.display()));
        shop.registry.push(&layout, &format!("shop:{name}"));
    }
}

pub fn code(release: &str) -> String {
    format!("{WSGI}\nRELEASE = {release:?}\n")
}

pub fn ostlerd<'a>(shop: &'a Shop) -> Ostlerd<'a> {
    // What ostlerd itself pulls with; on a machine the issuer is known.
    shop.site.start_with("SSL_CERT_FILE", &shop.registry.certificate())
}

fn asks(shop: &Shop, words: &[&str]) -> Said {
    let mut command = shop.site.ostler_command(words);
    Said::of(command.env("SSL_CERT_FILE", shop.registry.certificate()).env_remove("REGISTRY_AUTH_FILE"))
}

fn restart(shop: &Shop, image: &str) -> Said {
    asks(shop, &["restart", "shop", "--image", &shop.registry.name(image)])
}

#[test]
fn images_from_the_registry_take_the_place_of_each_other_and_no_request_is_lost() {
    if !only_root("images that serve") {
        return;
    }
    let shop = Shop::new();
    push_all(&shop, &[("1", code("1")), ("2", code("2")), ("bad", "1 / 0".to_owned())]);
    shop.of_image("shop:1");
    let ostlerd = ostlerd(&shop);
    ostlerd.serving("shop");
    answers(&shop.app.target(), "1");
    let load = Load::on(&shop.app.target()).start();
    load.more(20);
    let one = ostlerd.app("shop").image.expect("it is an image");
    assert_eq!(one.reference, shop.registry.name("shop:1"));
    assert!(one.digest.starts_with("sha256:") && one.digest.len() == 71, "{one:?}");
    restart(&shop, "shop:2").exits(0).says(&["downloads ", "pulled in", "serves"]);
    answers(&shop.app.target(), "2");
    let two = ostlerd.app("shop").image.expect("it is an image");
    assert_eq!(two.reference, shop.registry.name("shop:2"));
    asks(&shop, &["status"]).says(&[&two.to_string()]);
    restart(&shop, "shop:bad").exits(1).says(&["ZeroDivisionError"]);
    answers(&shop.app.target(), "2");
    restart(&shop, "shop:none").exits(64);
    asks(&shop, &["rollback", "shop"]).exits(0);
    answers(&shop.app.target(), "1");
    load.stop().lost_nothing();
}

#[test]
fn a_machine_that_has_no_release_yet_pulls_the_image_of_its_file_and_starts() {
    if !only_root("the first image") {
        return;
    }
    let shop = Shop::new();
    shop.of_image("shop:1");
    let ostlerd = ostlerd(&shop);
    let problem = |part: &str| {
        ostlerd.wait("shop", &format!("says {part:?}"), |app| {
            app.problem.as_ref().is_some_and(|it| it.contains(part))
        });
    };
    problem("the registry has no");
    let place: PathBuf = shop.site.path("srv/current");
    assert!(!place.is_symlink());
    push_all(&shop, &[("1", code("1"))]);
    ostlerd.serving("shop");
    answers(&shop.app.target(), "1");
    assert!(place.is_symlink());
    assert!(
        eventually(std::time::Duration::from_secs(60), || shop.children().is_empty().then_some(())).is_some()
    );
}
