use fastrand::Rng;

use super::*;

const FULL: &str = r#"# the shop
directory = "/srv/shop/current"
python = "/srv/shop/venv/bin/python"
app = "shop.wsgi:application"
listen = ["127.0.0.1:8000", "[::1]:8000", "unix:/run/ostler/größe.sock", "systemd:shop"]
socket_mode = 0o660
user = "shop"
workers = 4
args = ["-k", "gthread", "--threads", "4"]
env = { DJANGO_SETTINGS_MODULE = "shop.settings", "A.B" = 'x' }
env_files = ["/etc/ostler/shop.env"]
umask = "0022"
[probe]
path = "/healthz"
timeout = "1m30s"
[rollout]
max_surge = "50%"
boot_timeout = 2.5
[limits]
max_rss = "512MiB"
max_age = 1_000
nofile = 0xffff
[migrate]
command = ["alembic", "upgrade", "head"]
database_url = "env:DATABASE_URL"
harm = "3s"
post_deploy = [["python", "-m", "größe"]]
"#;

const SNIPPETS: &[&str] = &[
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "\r",
    "\0",
    "\u{feff}",
    "ä",
    "💥",
    "é",
    "#",
    "-",
    "+",
    "0x",
    "0o",
    "0b",
    "1e999",
    "inf",
    "nan",
    "99999999999999999999999",
    "1979-05-27",
    "true",
    "%",
    ":",
    "unix:",
    "[::",
    "\\u0000",
    "\\",
    "[apps.x]",
    "user=",
    "workers = 0",
    "\t",
    "\u{202e}",
];

fn mutated(random: &mut Rng) -> String {
    let mut letters: Vec<char> = FULL.chars().collect();
    for _ in 0..=random.usize(..4) {
        let at = random.usize(..letters.len().max(1));
        let until = (at + random.usize(..12)).min(letters.len());
        match random.usize(..5) {
            0 => drop(letters.drain(at..until)),
            1 => letters.truncate(at),
            2 => {
                let copy: Vec<char> = letters[at..until].to_vec();
                let to = random.usize(..letters.len().max(1));
                letters.splice(to..to, copy);
            }
            3 => {
                let snippet = SNIPPETS[random.usize(..SNIPPETS.len())];
                letters.splice(at..at, snippet.chars());
            }
            _ => {
                let snippet = SNIPPETS[random.usize(..SNIPPETS.len())];
                letters.splice(at..until, snippet.chars());
            }
        }
    }
    letters.into_iter().collect()
}

#[test]
fn no_garbage_makes_it_panic_or_stay_silent() {
    let name: AppName = "shop".parse().unwrap();
    let mut refused = 0;
    for seed in 1..=10_500u64 {
        let text = mutated(&mut Rng::with_seed(seed));
        if let Err(problems) = parse_app(&name, &text, Path::new(SHOP), seed % 2 == 0) {
            refused += 1;
            assert!(!problems.is_empty(), "seed {seed}");
            let printed = problems.to_string();
            assert!(printed.lines().count() >= 3, "seed {seed}: {printed}");
            assert!(printed.chars().all(|c| c == '\n' || !c.is_control()), "seed {seed}: {printed:?}");
            assert!(!problems.summary().contains('\n'), "seed {seed}");
        }
        // The main file and files of environment are read by the same parser and by one of our own.
        if seed % 5 == 0 {
            let _ = super::super::assemble::main_file(&text, Path::new("/etc/ostler/ostler.toml"), true);
        }
        let _ = parse_env_file(&text, Path::new("/etc/ostler/shop.env"));
    }
    assert!((5_000..10_500).contains(&refused), "{refused} of 10500 were refused");
}

#[test]
fn a_file_that_nests_without_end_is_refused() {
    let deep = format!("env = {}", "[".repeat(100_000));
    assert!(parse(&deep).is_err());
    let tables = format!("[{}a]\n", "a.".repeat(500_000));
    assert!(parse(&tables).is_err());
}

#[test]
fn a_terminal_is_never_told_to_do_what_a_file_says() {
    let printed = parse("directory = \"\u{1b}[2J\"\n\"\u{1b}[31m\" = 1\n").unwrap_err().to_string();
    assert!(!printed.contains('\u{1b}'), "{printed:?}");
}
