use std::path::Path;

use crate::config::parse_app;

use super::*;

fn app(more: &str) -> AppConfig {
    let text = format!("directory = \"/srv\"\npython = \"/usr/bin/python3\"\napp = \"shop\"\n{more}");
    parse_app(&"shop".parse().unwrap(), &text, Path::new("/etc/shop.toml"), false)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn own(name: &str, uid: u32) -> Account {
    Account { name: name.to_owned(), uid, gid: uid, groups: vec![uid], home: PathBuf::from("/") }
}

#[test]
fn a_user_comes_with_group_and_home() {
    let root = account("root", None).unwrap();
    assert_eq!((root.name.as_str(), root.uid, root.gid), ("root", 0, 0));
    assert!(root.groups.contains(&0) && root.home.is_absolute());
    let nobody = account("nobody", Some("root")).unwrap();
    assert_eq!(nobody.gid, 0);
    assert!(nobody.groups.contains(&0));
}

#[test]
fn an_unknown_user_is_named_with_the_way_to_make_him() {
    let expected = "there is no user shopp on this machine; create it (useradd --system --no-create-home shopp), \
                    or correct `user`";
    assert_eq!(account("shopp", None).unwrap_err().reason, expected);
    let expected =
        "there is no group shopp on this machine; create it (groupadd --system shopp), or correct `group`";
    assert_eq!(account("root", Some("shopp")).unwrap_err().reason, expected);
}

#[test]
fn root_becomes_only_whom_it_is_told_to() {
    let root = own("root", 0);
    let reason = account_of(&app(""), &root).unwrap_err().reason;
    assert!(reason.contains("only an explicit user = \"root\" makes root workers"), "{reason}");
    let nobody = account_of(&app("user = \"nobody\""), &root).unwrap().unwrap();
    assert_eq!(nobody.name, "nobody");
    assert_eq!(account_of(&app("user = \"root\""), &root).unwrap().unwrap().uid, 0);
}

#[test]
fn who_is_not_root_becomes_nobody_else() {
    let me = own("me", 4711);
    assert_eq!(account_of(&app(""), &me), Ok(None));
    let refused = |more: &str| account_of(&app(more), &me).unwrap_err().reason;
    assert_eq!(
        refused("user = \"root\""),
        "ostlerd runs as me and cannot become the user root; run ostlerd as root, or take `user` out"
    );
    assert_eq!(
        refused("group = \"root\""),
        "ostlerd runs as me and cannot become the group root; run ostlerd as root, or take `group` out"
    );
    let nobody = account("nobody", None).unwrap();
    assert_eq!(account_of(&app("user = \"nobody\""), &nobody), Ok(None));
}

#[test]
fn ostlerd_knows_itself() {
    let own = own_account();
    assert_eq!(own.uid, nix::unistd::geteuid().as_raw());
    assert!(!own.name.is_empty() && own.groups.contains(&own.gid));
}
