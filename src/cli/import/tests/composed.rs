//! Compose files, as projects have them.

use super::{Overrides, Place, has, keys, text};
use crate::config::parse_app;

const PATH: &str = "/home/me/shop/compose.yaml";

fn said() -> Overrides {
    Overrides { user: Some("shop".to_owned()), ..Overrides::default() }
}

fn of(compose: &str) -> String {
    text(Place::default().import(PATH, compose, &said()))
}

#[track_caller]
fn refused(compose: &str, parts: &[&str]) {
    let error = Place::default().import(PATH, compose, &said());
    has(&error.map(|it| it.text).unwrap_err().to_string(), parts);
}

const SHOP: &str = r#"
x-app: &app
  image: ghcr.io/me/shop:${TAG:-latest}
  environment: &env
    DATABASE_URL: postgres://shop:hunter2@db:5432/shop
    REDIS_HOST: redis
    DEBUG: "false"
    WORKERS: 3
    SECRET_KEY:
  env_file: .env.production
  depends_on:
    db: { condition: service_healthy }
    redis: { condition: service_started }
  restart: unless-stopped
  networks: [backend]

services:
  web:
    <<: *app
    command: >
      gunicorn shop.wsgi:application --bind 0.0.0.0:8000
      --workers 4 --access-logfile -
    user: "1000:1000"
    working_dir: /app
    ports: ["127.0.0.1:8080:8000"]
    volumes:
      - media:/app/media
      - ./static:/app/static:ro
      - type: bind
        source: /var/lib/shop
        target: /data
        read_only: true
      - .:/app
      - /var/run/docker.sock:/var/run/docker.sock
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:8000/healthz"]
      interval: 30s
    tmpfs: /tmp
    extra_hosts: ["host.docker.internal:host-gateway"]
    secrets: [db_password]
    labels:
      - traefik.enable=true
    stop_grace_period: 1m
    deploy:
      replicas: 2
      resources:
        limits: { memory: 512M, cpus: "0.5" }
      update_config: { order: start-first }
    colour: blue
  worker:
    <<: *app
    command: celery -A shop worker --loglevel info
    environment:
      <<: *env
      QUEUE: fast
  beat: { <<: *app, command: ["celery", "-A", "shop", "beat"] }
  migrate: { <<: *app, command: python manage.py migrate --noinput }
  db:
    image: postgres:16
  redis: { image: "redis:7" }
volumes: { media: }
networks: { backend: }
"#;

#[test]
fn the_service_with_gunicorn_becomes_the_apps_file() {
    let place = Place::default().with("/home/me/shop/.env.production", "BROKER=redis://redis:6379/0\n");
    let text = text(place.import(PATH, SHOP, &said()));
    assert_eq!(
        keys(&text),
        [
            "directory = \"/srv/shop/current\"",
            "image = \"ghcr.io/me/shop:latest\"",
            "app = \"shop.wsgi:application\"",
            "listen = \"127.0.0.1:8080\"",
            "user = \"shop\"",
            "workers = 4",
            "args = [\"--access-logfile\", \"-\"]",
            "env_files = [\"/home/me/shop/.env.production\"]",
            "[env]",
            "DATABASE_URL = \"postgres://shop:hunter2@db:5432/shop\"",
            "DEBUG = \"false\"",
            "REDIS_HOST = \"redis\"",
            "WORKERS = \"3\"",
            "[volumes]",
            "\"/app/media\" = \"/srv/shop/media\"",
            "\"/app/static\" = \"/home/me/shop/static:ro\"",
            "\"/data\" = \"/var/lib/shop:ro\"",
            "[probe]",
            "path = \"/healthz\"",
            "[limits]",
            "graceful_timeout = \"60s\"",
            "memory_max = \"512MiB\"",
        ]
    );
    let (todo, left) = text.split_once("# Left out").expect("both lists are there");
    has(
        todo,
        &[
            "# [processes.worker]\n# command = [\"celery\", \"-A\", \"shop\", \"worker\", \"--loglevel\", \"info\"]\n",
            "# [processes.beat]\n",
            "# - environment: SECRET_KEY:",
            "# - USER 1000:1000:",
            "# - volumes: media:/app/media: Docker keeps it in /var/lib/docker/volumes/shop_media/_data: copy what is in there to /srv/shop/media,",
            "# - volumes: .:/app: lays the working copy over",
            "docker.sock: whoever may write",
            "# - db in DATABASE_URL:",
            "# - redis in BROKER, REDIS_HOST:",
            "# - the services db, redis:",
            "# - extra_hosts:",
            "# - secrets:",
            "# - labels:",
            "# - replicas: 2:",
            "# - cpus: 0.5:",
            "# - colour: ostler has no such key",
            "# - environment of worker: QUEUE:",
        ],
    );
    has(
        left,
        &[
            "# - depends_on: db, redis:",
            "# - restart: unless-stopped:",
            "# - networks: [backend]:",
            "# - tmpfs: /tmp:",
            "# - deploy: update_config:",
            "# - HEALTHCHECK curl",
            "# - migrate: python manage.py migrate --noinput: ostlerd runs",
        ],
    );
    assert_eq!(text.matches("hunter2").count(), 1, "{text}");
}

#[test]
fn the_commands_beside_it_can_be_switched_on_as_they_stand() {
    let text = of(SHOP);
    let mut on = String::new();
    let mut within = false;
    for line in text.lines() {
        within = line.starts_with("# [processes.") || within && line.starts_with("# command");
        on.push_str(if within { &line[2..] } else { line });
        on.push('\n');
    }
    let app = parse_app(&"shop".parse().unwrap(), &on, "shop.toml".as_ref(), true).unwrap();
    assert_eq!(app.processes.keys().collect::<Vec<_>>(), ["beat", "worker"]);
}

#[test]
fn the_service_is_asked_for_where_several_could_be_meant() {
    let two = "services:\n  a: {image: 'r.io/a:1', command: gunicorn a.wsgi}\n  b: {image: 'r.io/b:1', command: gunicorn b.wsgi}\n";
    refused(two, &["2 services", "a, b", "--service"]);
    let said = |service: &str| Overrides { service: Some(service.to_owned()), ..said() };
    let place = Place::default();
    has(&text(place.import(PATH, two, &said("b"))), &["app = \"b.wsgi\"", "image = \"r.io/b:1\""]);
    let error = place.import(PATH, two, &said("c")).map(|it| it.text).unwrap_err().to_string();
    has(&error, &["no service \"c\"", "a, b"]);
    refused("services:\n  a: {image: x}\n  b: {image: y}\n", &["no service of it", "--service"]);
}

/// As cookiecutter-django makes one for production.
const COOKIE: &str = "volumes:\n  production_postgres_data: {}\n\nservices:\n  django: &django\n    build:\n      context: .\n\
      \x20     dockerfile: ./compose/production/django/Dockerfile\n\n    image: blog_production_django\n    depends_on:\n      - postgres\n\
      \x20     - redis\n    env_file:\n      - ./.envs/.production/.django\n      - ./.envs/.production/.postgres\n    command: /start\n\n\
      \x20 postgres:\n    build:\n      context: .\n      dockerfile: ./compose/production/postgres/Dockerfile\n\
      \x20   image: blog_production_postgres\n    volumes:\n      - production_postgres_data:/var/lib/postgresql/data\n\n\
      \x20 redis:\n    image: docker.io/redis:6\n\n  celeryworker:\n    <<: *django\n    image: blog_production_celeryworker\n\
      \x20   command: /start-celeryworker\n";

#[test]
fn an_image_that_is_built_is_read_from_its_dockerfile_and_asked_for_by_name() {
    let dockerfile = "FROM python:3.12\nWORKDIR /app\nCOPY ./compose/production/django/start /start\nCOPY . /app\n\
        ENTRYPOINT [\"/entrypoint\"]\nCMD [\"/nothing\"]\n";
    let place = Place::default()
        .with("/home/me/blog/compose/production/django/Dockerfile", dockerfile)
        .with(
            "/home/me/blog/compose/production/django/start",
            "#!/bin/bash\nset -o errexit\npython /app/manage.py collectstatic --noinput\n\
             exec /usr/local/bin/gunicorn config.wsgi --bind 0.0.0.0:5000 --chdir=/app\n",
        )
        .with("/home/me/blog/manage.py", "");
    let path = "/home/me/blog/docker-compose.production.yml";
    let error = place.import(path, COOKIE, &said()).map(|it| it.text).unwrap_err().to_string();
    has(&error, &["\"blog_production_django\" is built here", "--image"]);
    let given = Overrides { image: Some("ghcr.io/me/blog:1".to_owned()), ..said() };
    let text = text(place.import(path, COOKIE, &given));
    has(
        &text,
        &[
            "app = \"config.wsgi\"",
            "listen = \"127.0.0.1:5000\"",
            "env_files = [\"/home/me/blog/.envs/.production/.django\", \"/home/me/blog/.envs/.production/.postgres\"]",
            "# - env_file: /home/me/blog/.envs/.production/.django: it has to be there",
            "# - /entrypoint:",
            "collectstatic",
        ],
    );
}

#[test]
fn an_image_of_a_registry_is_described_by_a_second_file_or_asked_for() {
    // As netbox-docker has it: the image starts what no file here says.
    let netbox = "services:\n  netbox: &netbox\n    image: docker.io/netboxcommunity/netbox:${VERSION-v4.1-3.0.2}\n    user: \"unit:root\"\n\
        \x20   env_file: env/netbox.env\n    healthcheck:\n      test: curl -f http://localhost:8080/login/ || exit 1\n    volumes:\n\
        \x20     - ./configuration:/etc/netbox/config:z,ro\n      - netbox-media-files:/opt/netbox/netbox/media:rw\n    ports:\n      - \"8000:8080\"\n\
        \x20 netbox-worker:\n    <<: *netbox\n    command: [/opt/netbox/venv/bin/python, /opt/netbox/netbox/manage.py, rqworker]\n\
        \x20 postgres:\n    image: docker.io/postgres:16-alpine\n";
    refused(netbox, &["no service of it", "--service"]);
    let service = Overrides { service: Some("netbox".to_owned()), ..said() };
    let place = Place::default();
    let error = place.import(PATH, netbox, &service).map(|it| it.text).unwrap_err().to_string();
    has(&error, &["what the image starts is not in it", "skopeo inspect --config"]);
    let config = r#"{"config": {"WorkingDir": "/opt/netbox/netbox", "Entrypoint": ["/usr/bin/tini", "--"],
        "Cmd": ["/opt/netbox/venv/bin/gunicorn", "-b", ":8080", "netbox.wsgi"], "Env": ["PATH=/usr/local/bin:/usr/bin"]}}"#;
    let files = [(PATH, netbox), ("/tmp/config.json", config)];
    let text = text(place.import_all(&files, &service));
    has(
        &text,
        &[
            "image = \"docker.io/netboxcommunity/netbox:v4.1-3.0.2\"",
            "python = \"/opt/netbox/venv/bin/python\"",
            "app = \"netbox.wsgi\"",
            "listen = \"0.0.0.0:8000\"",
            "path = \"/login/\"",
            "\"/etc/netbox/config\" = \"/home/me/shop/configuration:ro\"",
            "\"/opt/netbox/netbox/media\" = \"/srv/shop/netbox-media-files\"",
            "# [processes.netbox-worker]",
        ],
    );
    let app = Overrides { app: Some("netbox.wsgi".to_owned()), ..service };
    has(&super::text(place.import(PATH, netbox, &app)), &["# - what the image starts:"]);
}

#[test]
fn variables_come_from_the_env_beside_it_or_are_asked_for() {
    let compose = "services:\n  web:\n    image: r.io/shop:${TAG:?}\n    command: sh -c \"gunicorn shop.wsgi -b :$${PORT} -w ${WORKERS}\"\n\
        \x20   environment: [PORT=9000, \"PASS=${PASS}\", \"URL=x://${PASS}\"]\n";
    let place = Place::default().with("/home/me/shop/.env", "TAG=7\nWORKERS=5\n");
    let error = place.import(PATH, compose, &said()).map(|it| it.text).unwrap_err().to_string();
    has(&error, &["--set PASS=VALUE"]);
    assert!(!error.contains("TAG") && !error.contains("PORT"), "{error}");
    let given = Overrides { set: [("PASS".to_owned(), "x".to_owned())].into(), ..said() };
    let text = text(place.import(PATH, compose, &given));
    has(
        &text,
        &[
            "image = \"r.io/shop:7\"",
            "listen = \"127.0.0.1:9000\"",
            "workers = 5",
            "PASS = \"x\"",
            "URL = \"x://x\"",
        ],
    );
}

#[test]
fn a_service_that_extends_another_has_what_that_has() {
    let text = of("services:\n  base:\n    image: r.io/shop:1\n    environment: {A: base, B: base}\n\
        \x20 web:\n    extends: {service: base}\n    command: gunicorn shop.wsgi\n    environment: [A=own]\n");
    has(&text, &["image = \"r.io/shop:1\"", "A = \"own\"", "B = \"base\""]);
}

#[test]
fn what_starts_no_gunicorn_says_what_it_starts() {
    let with = |command: &str| format!("services:\n  web:\n    image: r.io/shop:1\n    command: {command}\n");
    refused(&with("python manage.py runserver 0.0.0.0:8000"), &["manage.py runserver", "--app"]);
    refused(&with("uvicorn shop.asgi:app"), &["\"uvicorn\"", "--app"]);
    refused(&with("daphne shop.asgi:app"), &["\"daphne\"", "--app"]);
    refused(&with("'gunicorn \"shop'"), &["compose.yaml, line 4", "quote is not closed"]);
    // paperless-ngx: nothing here says what runs.
    refused("services:\n  webserver:\n    image: ghcr.io/paperless-ngx/paperless-ngx:latest\n", &["--app"]);
    refused("services:\n  web:\n    build: .\n", &["/home/me/shop/Dockerfile", "as well"]);
}

#[test]
fn what_is_no_compose_file_is_named_with_its_line() {
    refused("", &["no `services`"]);
    refused("services: [a]\n", &["no `services`"]);
    refused("services:\n  web:\n   image: x\n  command: [\n", &["compose.yaml, line", "no YAML"]);
    refused("a: 1\nb: c: d\n", &["compose.yaml, line 2"]);
    refused("services:\n  web: *nothing\n", &["compose.yaml, line 2"]);
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..30 {
        laughs += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "));
    }
    refused(&(laughs + "services:\n  web: {image: *a29}\n"), &["many times as long"]);
    let many = format!(
        "x: &x {}\nservices:\n  web:\n    image: r.io/x:1\n    command: gunicorn x\n    environment:\n",
        "y".repeat(5_000)
    );
    let many = (0..5_000).fold(many, |text, n| text + &format!("      V{n}: *x\n"));
    refused(&many, &["many times as long"]);
}

#[test]
fn a_second_compose_file_is_merged_by_compose_itself() {
    let files = [(PATH, SHOP), ("/home/me/shop/compose.prod.yaml", SHOP)];
    let error = Place::default().import_all(&files, &said()).map(|it| it.text).unwrap_err().to_string();
    has(&error, &["docker compose -f FILE -f FILE config"]);
}

#[test]
fn where_it_listens_is_what_was_open_before_or_what_is_said() {
    let with = |more: &str| {
        format!("services:\n  web:\n    image: r.io/shop:1\n    command: gunicorn shop.wsgi -b :8000\n{more}")
    };
    has(&of(&with("")), &["listen = \"127.0.0.1:8000\"", "# - --bind :8000:"]);
    has(&of(&with("    ports: ['80:8000']\n")), &["listen = \"0.0.0.0:80\""]);
    has(
        &of(&with("    ports: ['127.0.0.1:80:8000', '[::1]:81:8000']\n")),
        &["listen = [\"127.0.0.1:80\", \"[::1]:81\"]"],
    );
    has(&of(&with("    ports: ['8000', '443:443']\n")), &["listen = \"127.0.0.1:8000\""]);
    has(&of(&with("    network_mode: host\n")), &["listen = \"0.0.0.0:8000\""]);
    let given = Overrides { listen: vec!["0.0.0.0:9000".to_owned()], ..said() };
    has(&text(Place::default().import(PATH, &with(""), &given)), &["listen = \"0.0.0.0:9000\""]);
    let socket = with("    volumes: ['/run/shop:/sockets']\n").replace(":8000", "unix:/sockets/shop.sock");
    has(&of(&socket), &["listen = \"unix:/run/shop/shop.sock\"", "# - --bind unix:/sockets/shop.sock:"]);
    let place = Place::default().with("/home/me/shop/gunicorn.conf.py", "bind = '0.0.0.0:7000'\n");
    let file = "FROM x:1\nWORKDIR /app\nCOPY . .\nCMD gunicorn shop.wsgi\n";
    let given = Overrides { image: Some("r.io/shop:1".to_owned()), ..said() };
    let text = text(place.import("/home/me/shop/Dockerfile", file, &given));
    has(&text, &["listen = \"127.0.0.1:7000\"", "bind in gunicorn.conf.py"]);
}
