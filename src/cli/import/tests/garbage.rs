//! Whatever comes in: a file that ostlerd takes, or one clear error; never a panic.

use fastrand::Rng;

use super::{Overrides, Place};

const SEEDS: [(&str, &str); 8] = [
    (
        "/etc/systemd/system/shop@x.service",
        "[Service]\nUser=shop\nWorkingDirectory=/srv/shop\nEnvironment=\"A=b c\" 'D=%i'\nEnvironmentFile=-/etc/e\nUMask=022\n\
         LimitNOFILE=1\nMemoryMax=5%\nExecStartPre=x\nExecStart=-/v/bin/gunicorn -w ${A} --bind=$D \\\n -k x shop.wsgi\nKillMode=x\n",
    ),
    (
        "/srv/shop/Procfile",
        "release: x\nweb: A=\"$B\" sh -c 'exec gunicorn shop.wsgi -b 0.0.0.0:${PORT:-80} -w $(nproc) > x 2>&1'\n",
    ),
    (
        "/etc/supervisor/conf.d/shop.conf",
        "[program:shop]\ncommand=su shop -c \"/v/bin/gunicorn shop.wsgi -w%(ENV_N)s\" ; x\n  -t 5\nenvironment=A=\"b\",C='d'\ndirectory=/srv\n",
    ),
    (
        "/srv/start.sh",
        "#!/bin/sh\ncd /srv\n. venv/bin/activate\nexport A=1 B\nexec env X=y python -m gunicorn -e C=d -m 7 shop.wsgi | tee x\n",
    ),
    (
        "/srv/gunicorn.conf.py",
        "bind = 'unix:x'\nwsgi_app = \"shop.wsgi\"\nuser = 'shop' # x\nx = '''\ndaemon = 1\n'''\ndef pre_fork(a):\n  pass\n",
    ),
    (
        "/srv/shop/Dockerfile",
        "# escape=\\\nARG V=3\nFROM python:${V} AS base\nENV A=b C=\"d e\" PATH=/v/bin:$PATH\nWORKDIR /app\nCOPY . /\nFROM base\n\
         COPY --from=base /srv /srv\nUSER a\nEXPOSE 8000\nVOLUME /data\nHEALTHCHECK CMD curl localhost/x\nENTRYPOINT [\"tini\", \"--\"]\n\
         CMD exec gunicorn shop.wsgi \\\n  -w ${A:-3} -b :$PORT\n",
    ),
    (
        "/srv/shop/config.json",
        "{\"config\": {\"User\": \"a\", \"ExposedPorts\": {\"8000/tcp\": {}}, \"Env\": [\"PATH=/v/bin\", \"A=b\"], \"Entrypoint\": [\"tini\"],\
         \"Cmd\": [\"gunicorn\", \"shop.wsgi\", \"-w\", \"2\"], \"Volumes\": {\"/data\": {}}, \"WorkingDir\": \"/app\"}}",
    ),
    (
        "/srv/shop/compose.yaml",
        "x-a: &a\n  image: r.io/shop:${V:-1}\n  environment: {URL: 'x://db/x', A: }\nservices:\n  web:\n    <<: *a\n\
         \x20   command: sh -c \"gunicorn shop.wsgi -b :$${PORT:-80}\"\n    ports: ['127.0.0.1:80:80', {target: 1, published: 2}]\n\
         \x20   volumes: [m:/m, ./s:/s:ro, {type: bind, source: /x, target: /y}]\n    healthcheck: {test: curl localhost/x}\n\
         \x20   deploy: {resources: {limits: {memory: 512M}}}\n  w: {<<: *a, command: [celery, -A, shop]}\n  db: {image: 'p:1'}\n",
    ),
];

const SNIPPETS: [&str; 54] = [
    "\"",
    "'",
    "\\",
    "\\\n",
    "\n",
    "\r",
    "\0",
    "$",
    "${",
    "}",
    "$(",
    ")",
    "`",
    "%",
    "%(",
    ")s",
    "%%",
    "=",
    ":",
    ";",
    "|",
    "&&",
    ">",
    "2>&1",
    "#",
    "[",
    "]",
    "[Service]\n",
    "[program:x]\n",
    "ExecStart=",
    "gunicorn ",
    "sh -c ",
    "su x ",
    "env ",
    "-",
    "--",
    "-w",
    "-b",
    "\"\"\"",
    "FROM x\n",
    "CMD ",
    "RUN <<X\n",
    "${A:-",
    "&a ",
    "*a",
    "<<: ",
    "- ",
    "{",
    "\n  ",
    "\u{e000}",
    "\u{e001}",
    "ä",
    "💥",
    "\u{7f}",
];

fn mutated(random: &mut Rng, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..=random.usize(..5) {
        let at = random.usize(..letters.len() + 1);
        match random.usize(..4) {
            0 => {
                let end = (at + random.usize(..12)).min(letters.len());
                letters.drain(at..end);
            }
            1 => {
                let end = (at + random.usize(..40)).min(letters.len());
                let copy: Vec<char> = letters[at..end].to_vec();
                let to = random.usize(..letters.len() + 1);
                letters.splice(to..to, copy);
            }
            _ => {
                letters.splice(at..at, SNIPPETS[random.usize(..SNIPPETS.len())].chars());
            }
        }
    }
    letters.into_iter().collect()
}

fn given(random: &mut Rng) -> Overrides {
    let say = |random: &mut Rng, text: &str| (random.usize(..2) == 0).then(|| text.to_owned());
    Overrides {
        name: say(random, "shop"),
        app: say(random, "shop.wsgi"),
        python: say(random, "/v/bin/python"),
        image: say(random, "registry.example.com/shop:43"),
        service: None,
        directory: say(random, "/srv/shop"),
        user: say(random, "shop"),
        listen: say(random, "127.0.0.1:8000").into_iter().collect(),
        set: [("PORT", "8000"), ("N", "3"), ("B", "a b"), ("(nproc)", "2")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

#[test]
fn mutated_files_give_a_file_that_ostlerd_takes_or_one_error() {
    let place = Place::default().with("/srv/shop/venv/bin/python", "").with("/srv/start.sh", SEEDS[3].1);
    let mut taken = 0;
    for seed in 1..=8_000u64 {
        let mut random = Rng::with_seed(seed);
        let (path, text) = SEEDS[random.usize(..SEEDS.len())];
        let text = mutated(&mut random, text);
        let given = given(&mut random);
        // `import` itself reads again what it wrote, as ostlerd does.
        match place.import(path, &text, &given) {
            Ok(imported) => {
                taken += 1;
                assert!(!imported.text.contains(['\u{e000}', '\0']), "seed {seed}: {}", imported.text);
            }
            Err(error) => {
                let said = error.to_string();
                assert!(said.len() > 20 && !said.contains('\u{e000}'), "seed {seed}: {said}");
            }
        }
    }
    assert!(taken > 1000, "only {taken} of them were taken: the mutations reach nothing");
}

#[test]
fn long_files_that_mean_no_good_are_done_with_soon() {
    let most = 1 << 20;
    let to_most = |line: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        (0..)
            .map(line)
            .take_while(|line| {
                text.push_str(line);
                text.len() < most
            })
            .for_each(drop);
        text
    };
    let place = Place::default();
    for (path, text) in [
        ("/srv/Dockerfile", "FROM x\n".to_owned() + &to_most(&|n| format!("ENV A{n}=b\n"))),
        (
            "/srv/Dockerfile",
            "FROM x\n".to_owned() + &to_most(&|n| format!("VOLUME /v{n}\n")) + "CMD gunicorn x\n",
        ),
        (
            "/srv/Dockerfile",
            "FROM x\n".to_owned() + &to_most(&|n| format!("COPY a{n} /s/\n")) + "CMD /s/a1\n",
        ),
        ("/srv/Dockerfile", to_most(&|n| format!("ARG A{n}\n"))),
        ("/srv/Dockerfile", "FROM x\nENV A=".to_owned() + &"${A:-".repeat(100_000) + &"}".repeat(100_000)),
        (
            "/srv/compose.yaml",
            "services:\n".to_owned() + &to_most(&|n| format!("  a{n}: {{extends: a{}}}\n", n + 1)),
        ),
        ("/srv/compose.yaml", "services:\n  a:\n".to_owned() + &to_most(&|n| format!("    x{n}: y\n"))),
        (
            "/srv/compose.yaml",
            "services:\n  a:\n    volumes:\n".to_owned() + &to_most(&|n| format!("    - v{n}:/v{n}\n")),
        ),
        (
            "/srv/compose.yaml",
            "services:\n  a: {environment: [".to_owned() + &"'${A',".repeat(150_000) + "]}",
        ),
        ("/srv/compose.yaml", "[".repeat(most)),
        ("/srv/compose.yaml", "a: ".repeat(most / 3)),
        ("/srv/config.json", "{\"config\": {\"Env\": [".to_owned() + &"\"A=b\",".repeat(100_000) + "\"\"]}}"),
    ] {
        let begun = std::time::Instant::now();
        let _ = place.import(path, &text, &given(&mut Rng::with_seed(1)));
        let took = begun.elapsed();
        assert!(took.as_secs() < 20, "{took:?}: {}", &text[..80]);
    }
}

#[test]
fn wrappers_without_end_are_an_error() {
    for endless in [
        "su ".repeat(100_000),
        "exec ".repeat(100_000),
        "x x x gunicorn ".repeat(50_000),
        "sh -c ".repeat(10_000),
    ] {
        let _ = super::line(&endless);
        let _ = super::line(&format!("{endless} gunicorn shop.wsgi"));
    }
    let loops = Place::default().with("/srv/a.sh", "#!/bin/sh\nexec ./a.sh # gunicorn\n");
    let error = loops
        .import("/srv/Procfile", "web: ./a.sh # gunicorn", &Overrides::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("call each other without an end"), "{error}");
}
