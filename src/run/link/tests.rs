use std::os::unix::fs::symlink;

use super::*;
use crate::run::rights::as_whom;
use crate::supervise::ReleaseRecord;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for release in ["releases/1/src", "releases/2/src"] {
        fs::create_dir_all(folder.path().join(release)).unwrap();
    }
    symlink("releases/1", folder.path().join("current")).unwrap();
    folder
}

#[test]
fn the_link_is_found_wherever_the_directory_leads_through_it() {
    let folder = folder();
    let root = fs::canonicalize(folder.path()).unwrap();
    let link = Link::of(&root.join("current")).unwrap();
    assert_eq!((link.path.clone(), link.below.clone()), (root.join("current"), PathBuf::new()));
    let below = Link::of(&root.join("current/src")).unwrap();
    assert_eq!((below.path, below.below), (link.path.clone(), "src".into()));
    assert_eq!(link.leads_to().unwrap(), root.join("releases/1"));
    assert_eq!(Link::of(&root.join("releases/1")).unwrap_err(), NoLink::None(root.join("releases/1")));
    symlink("..", root.join("releases/1/up")).unwrap();
    symlink("1", root.join("releases/live")).unwrap();
    assert_eq!(Link::of(&root.join("current/up")).unwrap().path, root.join("current"));
    assert!(matches!(Link::of(&root.join("releases/live/up")), Err(NoLink::Several { .. })));
}

#[test]
fn a_turned_link_says_it_as_it_did_before() {
    let folder = folder();
    let root = fs::canonicalize(folder.path()).unwrap();
    let link = Link::of(&root.join("current/src")).unwrap();
    let release = link.release_of(&root.join("releases/2/src")).unwrap();
    assert_eq!(release, root.join("releases/2"));
    assert_eq!(link.text_for(&release), PathBuf::from("releases/2"));
    link.point(&link.text_for(&release)).unwrap();
    assert_eq!(link.text().unwrap(), PathBuf::from("releases/2"));
    assert_eq!(link.leads_to().unwrap(), root.join("releases/2/src"));
    assert!(link.would_lead_to(Path::new("releases/1"), &root.join("releases/1/src")));
    link.point(&root.join("releases/1")).unwrap();
    assert_eq!(link.text_for(&release), root.join("releases/2"), "absolute stays absolute");
    assert_eq!(link.text_for(Path::new("/opt/other")), PathBuf::from("/opt/other"));
    assert!(!root.join(".current.ostler").is_symlink(), "nothing is left beside it");
}

#[test]
fn a_link_that_somebody_else_has_moved_is_left_to_him() {
    let folder = folder();
    let root = fs::canonicalize(folder.path()).unwrap();
    let link = Link::of(&root.join("current")).unwrap();
    let from = root.join("releases/1");
    link.point_from(Some(&from), Path::new("releases/2")).unwrap();
    let again = link.point_from(Some(&from), Path::new("releases/3"));
    assert!(matches!(again, Err(NotMoved::Elsewhere)), "{again:?}");
    assert_eq!(link.text().unwrap(), PathBuf::from("releases/2"));
    fs::remove_dir_all(root.join("releases/2")).unwrap();
    link.point_from(Some(&from), Path::new("releases/1")).unwrap();
    assert_eq!(link.leads_to().unwrap(), from, "it led nowhere");
}

#[test]
fn nothing_but_a_link_is_replaced() {
    let folder = folder();
    let link = Link::of(&folder.path().join("current")).unwrap();
    fs::remove_file(&link.path).unwrap();
    fs::write(&link.path, "mine").unwrap();
    assert!(link.point(Path::new("releases/2")).is_err());
    assert_eq!(fs::read_to_string(&link.path).unwrap(), "mine");
}

#[test]
fn what_a_killed_one_has_left_is_no_obstacle() {
    let folder = folder();
    symlink("anywhere", folder.path().join(".current.ostler")).unwrap();
    let link = Link::of(&folder.path().join("current")).unwrap();
    link.point(Path::new("releases/2")).unwrap();
    assert_eq!(link.text().unwrap(), PathBuf::from("releases/2"));
}

#[test]
fn a_user_who_can_lead_the_path_elsewhere_turns_only_what_is_his() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (foreign, own) = (folder(), folder());
    let uid = Uid::from_raw(65534);
    nix::unistd::chown(own.path(), Some(uid), None).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    fs::set_permissions(own.path(), mode(0o755)).unwrap();
    fs::set_permissions(foreign.path(), mode(0o755)).unwrap();
    // /…/own/app -> /…/foreign, which is root's.
    symlink(foreign.path(), own.path().join("app")).unwrap();
    let link = Link::of(&own.path().join("app/current")).unwrap();
    let whom = turner(&link.path).unwrap();
    assert_eq!(whom.as_ref().map(|it| it.uid), Some(65534));
    let done = as_whom(whom.as_ref(), || link.point(Path::new("releases/2"))).unwrap();
    assert_eq!(done.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(fs::read_link(foreign.path().join("current")).unwrap(), PathBuf::from("releases/1"));
    let link = Link::of(&own.path().join("current")).unwrap();
    let whom = turner(&link.path).unwrap();
    as_whom(whom.as_ref(), || link.point(Path::new("releases/2"))).unwrap().unwrap();
    assert_eq!(fs::symlink_metadata(&link.path).unwrap().uid(), 65534);
}

#[test]
fn root_leaves_a_link_to_its_owner() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let folder = folder();
    let link = Link { path: folder.path().join("current"), below: PathBuf::new() };
    std::os::unix::fs::lchown(&link.path, Some(65534), Some(65534)).unwrap();
    link.point(Path::new("releases/2")).unwrap();
    assert_eq!(fs::symlink_metadata(&link.path).unwrap().uid(), 65534);
}

#[test]
fn a_record_is_whole_or_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = record::path(folder.path(), "shop");
    assert_eq!(record::read(&path), ReleaseRecord::default());
    let mut known = ReleaseRecord::default();
    known.keep(Path::new("/1"));
    record::write(&known, &path).unwrap();
    assert_eq!(record::read(&path), known);
    fs::write(&path, "{\"serving\":").unwrap();
    assert_eq!(record::read(&path), ReleaseRecord::default());
}
