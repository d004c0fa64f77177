use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

struct Bundle(tempfile::TempDir);

impl Bundle {
    fn new(config: &str) -> Bundle {
        let bundle = Bundle(tempfile::tempdir().unwrap());
        fs::create_dir(bundle.path().join(ROOT)).unwrap();
        fs::write(bundle.path().join(CONFIG), config).unwrap();
        bundle
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn program(&self, inside: &str) {
        let file = self.path().join(ROOT).join(inside);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn link(&self, text: &str, inside: &str) {
        let link = self.path().join(ROOT).join(inside);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(text, link).unwrap();
    }
}

fn config(env: &str, cwd: &str) -> String {
    format!(
        r#"{{"ociVersion": "1.0.2", "process": {{"env": [{env}], "cwd": "{cwd}", "args": ["gunicorn"]}}}}"#
    )
}

fn image(path: &str, directory: &str) -> ReleaseImage {
    ReleaseImage { name: None, env: vec![("PATH".to_owned(), path.to_owned())], directory: directory.into() }
}

#[test]
fn a_bundle_says_what_its_processes_find() {
    let bundle = Bundle::new(&config(r#""PATH=/app/bin:/bin", "TERM=xterm", "A=b=c", "broken""#, "/app"));
    fs::write(bundle.path().join(NAMED), r#"{"digest": "sha256:12", "reference": "x"}"#).unwrap();
    let found = of(bundle.path()).unwrap().unwrap();
    let env = [("PATH", "/app/bin:/bin"), ("A", "b=c")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let name = ImageName { reference: "x".to_owned(), digest: "sha256:12".to_owned() };
    let expected = ReleaseImage { name: Some(name), env: env.into(), directory: "/app".into() };
    assert_eq!(found, expected);
}

#[test]
fn a_folder_without_a_root_or_a_description_is_no_image() {
    let bundle = Bundle::new(&config("", "/"));
    fs::remove_dir(bundle.path().join(ROOT)).unwrap();
    assert_eq!(of(bundle.path()), Ok(None));
    let bundle = Bundle::new("");
    fs::remove_file(bundle.path().join(CONFIG)).unwrap();
    assert_eq!(of(bundle.path()), Ok(None));
}

#[test]
fn a_description_that_is_none_is_refused_and_not_quoted() {
    for (text, says) in [
        ("", "damaged at line 1"),
        ("root:secret:12", "damaged at line 1"),
        (r#"{"ociVersion": "1.0.2"}"#, "damaged at line 1"),
        (&config("", "app"), "not absolute"),
    ] {
        let refusal = of(Bundle::new(text).path()).unwrap_err().reason;
        assert!(refusal.contains(says) && !refusal.contains("secret"), "{refusal}");
    }
}

#[test]
fn the_interpreter_is_the_first_of_the_path_and_links_stay_in_the_image() {
    let bundle = Bundle::new(&config("", "/app"));
    bundle.program("opt/python3.13");
    bundle.link("/opt/python3.13", "usr/bin/python3");
    // Out of the image there is such a program.
    bundle.link("/bin/sh", "usr/local/bin/python3");
    bundle.link("../../../../../../bin/sh", "app/bin/python");
    let of = |path: &str| python(bundle.path(), &image(path, "/app"), None);
    assert_eq!(of("/usr/local/bin:/usr/bin").unwrap(), Path::new("/usr/bin/python3"));
    assert!(of("/usr/local/bin:bin").unwrap_err().reason.contains("no python3 and no python"));
    bundle.program("app/venv/bin/python");
    assert_eq!(of("venv/bin:/usr/bin").unwrap(), Path::new("/app/venv/bin/python"));
    let written = |path: &str| python(bundle.path(), &image("", "/"), Some(&path.into()));
    assert!(written("/opt/python3.13").is_ok());
    assert!(
        written("/usr/local/bin/python3").unwrap_err().reason.contains("no program /usr/local/bin/python3")
    );
    assert!(written("/opt").is_err(), "a folder is no program");
}
