//! `static`: what the edge serves itself.

use std::path::PathBuf;

use super::*;

#[test]
fn folders_are_absolute_or_below_the_directory() {
    let app = accepted("static = { \"/static/\" = \"/srv/shop/static\", \"/a/b-1.x/\" = \"my media\" }");
    let folders = app.static_files.into_iter().collect::<Vec<_>>();
    let expected = [("/a/b-1.x/", "my media"), ("/static/", "/srv/shop/static")]
        .map(|(a, b)| (a.to_owned(), PathBuf::from(b)));
    assert_eq!(folders, expected);
    assert!(accepted("").static_files.is_empty());
}

#[test]
fn what_clients_could_not_find_or_the_edge_not_serve_is_refused() {
    for (entry, parts) in [
        ("\"static\" = \"/x\"", &["`static` of \"static\" is no prefix of paths", "write \"/static/\""][..]),
        ("\"/static\" = \"/x\"", &["begin and end with /", "write \"/static/\""]),
        ("\"/\" = \"/x\"", &["the rest of the site is the app's"]),
        ("\"/../\" = \"/x\"", &["is no prefix"]),
        ("\"/a//b/\" = \"/x\"", &["is no prefix"]),
        ("\"/a b/\" = \"/x\"", &["is no prefix"]),
        ("\"/a;{}$/\" = \"/x\"", &["is no prefix"]),
        ("\"/static/\" = \"../x\"", &["is \"../x\"", "without .."]),
        ("\"/static/\" = \"~/x\"", &["must be an absolute path"]),
        ("\"/static/\" = \"/x\\n;\"", &["without .. and control characters"]),
        ("\"/static/\" = \"\"", &["is empty"]),
        ("\"/static/\" = 5", &["is an integer"]),
    ] {
        says(&refused(&format!("static = {{ {entry} }}")), parts);
    }
    says(&refused("static = \"/x\""), &["`static` is a string", "must be a table"]);
    says(&refused("statics = { }"), &["the key is `static`"]);
}
