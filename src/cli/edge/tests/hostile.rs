//! Nothing that is served, and nothing that is typed, can say anything to the program that reads the file but what is meant.

use fastrand::Rng;

use super::*;

/// Up to eight parts that mean something to one program or another.
fn text(dice: &mut Rng) -> String {
    const PARTS: &[&str] = &[
        "a",
        "/",
        " ",
        "\n",
        "\r",
        ";",
        "{",
        "}",
        "{{",
        "}}",
        "\"",
        "'",
        "`",
        "$",
        "$host",
        "{$HOME}",
        "#",
        "\\",
        "\t",
        "|",
        "é",
        "\u{0}",
        "\u{1b}[2J",
        "evil yes;",
        "\nevil: yes",
        "%[env(HOME)]",
        "*",
        "..",
        "::",
        "\u{85}",
        "\u{2028}",
    ];
    (0..1 + dice.usize(..8)).map(|_| PARTS[dice.usize(..PARTS.len())]).collect()
}

/// Every string that comes from a file, an interpreter or a person stands either in quotes of its language or not at all,
/// so that no line of the file is of its making.
#[test]
fn hostile_names_never_make_a_line_of_their_own() {
    let mut dice = Rng::with_seed(1);
    let plain: BTreeMap<String, PathBuf> = [("/static/".to_owned(), PathBuf::from("/srv/x"))].into();
    for round in 0..4000 {
        let program = ALL[dice.usize(..ALL.len())];
        let mut shop = app("shop", &["0.0.0.0:8000", "[::1]:8001"]);
        let mut want = if dice.usize(..2) == 0 && program.proxy.is_some() { wanted() } else { two() };
        shop.static_files.clone_from(&plain);
        want.hosts = vec![host("shop.example.com").unwrap()];
        let mut calm = served(vec![shop.clone()]);
        let calm_text =
            |served: &Served, want: &Wanted| print(program, served, want).map(|it| shape(&it.configuration));
        let expected = calm_text(&calm, &want).unwrap();
        match dice.usize(..6) {
            0 => {
                shop.trusts = Some(vec![text(&mut dice), "127.0.0.1".into(), "10.0.0.1".into()]);
            }
            1 => shop.host = Some(text(&mut dice)),
            2 => {
                shop.static_files =
                    [("/static/".to_owned(), PathBuf::from(format!("/{}", text(&mut dice))))].into();
            }
            3 => shop.gunicorn = Some(text(&mut dice)),
            4 => want.source = text(&mut dice),
            _ => calm.track_file = Some(PathBuf::from(format!("/{}", text(&mut dice)))),
        }
        calm.apps = vec![shop];
        // An error is as good: one line for a person.
        if let Ok(found) = calm_text(&calm, &want) {
            assert_eq!(found, expected, "round {round}: {program:?} {calm:?} {:?}", want.source);
        }
    }
}

/// The lines that are read, each as its first word, and how deep it stands.
fn shape(text: &str) -> Vec<String> {
    assert!(!text.contains(['\r', '\u{0}', '\u{1b}']), "{text:?}");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let depth = line.len() - line.trim_start().len();
            format!("{depth} {}", line.split_whitespace().next().unwrap_or_default())
        })
        .collect()
}

#[test]
fn paths_are_written_as_each_program_reads_them_or_refused() {
    let with = |folder: &str| {
        let static_files = [("/static/".to_owned(), PathBuf::from(folder))].into();
        served(vec![ServedApp { static_files, ..app("shop", &["127.0.0.1:8000"]) }])
    };
    has(
        &file(&nginx::PROGRAM, &with("/srv/my shop/a;b\"c"), &wanted()),
        &["alias \"/srv/my shop/a;b\\\"c/\";"],
    );
    has(&file(&caddy::PROGRAM, &with("/srv/my shop"), &wanted()), &["root * \"/srv/my shop\""]);
    for (program, folder) in
        [(&nginx::PROGRAM, "/srv/$x"), (&caddy::PROGRAM, "/srv/{env.X}"), (&nginx::PROGRAM, "/a\nb")]
    {
        let why = print(program, &with(folder), &wanted()).expect_err("printed");
        has(&why, &["cannot be written for", "choose another path"]);
    }
    let cert = |text: &str| Wanted { tls: Tls::Files { cert: text.into(), key: None }, ..wanted() };
    let shop = served(vec![app("shop", &["127.0.0.1:8000"])]);
    has(
        &file(&haproxy::PROGRAM, &shop, &cert("/etc/my certs/a.pem")),
        &["ssl crt '/etc/my certs/a.pem' alpn"],
    );
    has(
        &file(&traefik::PROGRAM, &shop, &cert("/etc/my \"certs\"/a")),
        &[r#"certFile: "/etc/my \"certs\"/a""#],
    );
    assert!(print(&traefik::PROGRAM, &shop, &cert("/etc/{{ env }}")).is_err());
    assert!(print(&haproxy::PROGRAM, &shop, &cert("/etc/$HOME/a")).is_err());
}
