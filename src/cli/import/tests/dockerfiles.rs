//! Dockerfiles, as projects have them.

use super::{Overrides, Place, has, keys, text};

/// What nobody but the person who imports can say.
fn said() -> Overrides {
    let image = Some("registry.example.com/team/shop:43".to_owned());
    Overrides { user: Some("shop".to_owned()), image, ..Overrides::default() }
}

fn of(dockerfile: &str) -> String {
    text(Place::default().import("/home/me/shop/Dockerfile", dockerfile, &said()))
}

#[track_caller]
fn refused(dockerfile: &str, parts: &[&str]) {
    let error = Place::default().import("/home/me/shop/Dockerfile", dockerfile, &said());
    has(&error.map(|it| it.text).unwrap_err().to_string(), parts);
}

/// Several stages, as uv's own guide has them.
const UV: &str = r#"# syntax=docker/dockerfile:1.9
ARG PYTHON=3.13
FROM ghcr.io/astral-sh/uv:python${PYTHON}-bookworm-slim AS builder
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
WORKDIR /app
RUN --mount=type=cache,target=/root/.cache/uv \
    # what the lock file names
    --mount=type=bind,source=uv.lock,target=uv.lock \

    uv sync --locked --no-install-project --no-dev
COPY . /app
CMD ["nothing"]

FROM python:${PYTHON}-slim-bookworm
ARG VERSION=7
LABEL org.opencontainers.image.source="https://example.com"
RUN groupadd --system --gid 999 app && useradd --system --gid 999 app
COPY --from=builder --chown=app:app /app /app
ENV PATH="/app/.venv/bin:$PATH" \
    DJANGO_SETTINGS_MODULE=shop.settings \
    RELEASE=v${VERSION}
ENV LEGACY one two
USER app
WORKDIR /app
EXPOSE 8000/tcp
VOLUME ["/app/media"]
STOPSIGNAL SIGINT
HEALTHCHECK --interval=30s --timeout=3s CMD curl -f http://localhost:8000/healthz || exit 1
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "--workers", "3", "-k", "gthread", "shop.wsgi:application"]
"#;

#[test]
fn a_dockerfile_of_several_stages_becomes_the_apps_file() {
    let text = of(UV);
    assert_eq!(
        keys(&text),
        [
            "directory = \"/srv/shop/current\"",
            "image = \"registry.example.com/team/shop:43\"",
            "app = \"shop.wsgi:application\"",
            "listen = \"127.0.0.1:8000\"",
            "user = \"shop\"",
            "workers = 3",
            "args = [\"-k\", \"gthread\"]",
            "[volumes]",
            "\"/app/media\" = \"/srv/shop/media\"",
            "[probe]",
            "path = \"/healthz\"",
        ]
    );
    has(
        &text,
        &[
            "# - USER app: is a user of the image",
            "# - VOLUME /app/media:",
            "# - ENV DJANGO_SETTINGS_MODULE, LEGACY, PATH, RELEASE: the image brings it",
            "# - EXPOSE 8000:",
            "# - STOPSIGNAL SIGINT:",
            "# - HEALTHCHECK curl -f",
            "# - --bind 0.0.0.0:8000:",
            "answers /healthz below 400",
            "# migrations: the app loads Django",
        ],
    );
}

#[test]
fn the_forms_of_a_command_come_to_the_same() {
    for command in [
        "CMD gunicorn shop.wsgi -w 2",
        "CMD exec gunicorn shop.wsgi -w 2",
        "cmd [\"sh\", \"-c\", \"exec gunicorn shop.wsgi -w ${WORKERS}\"]",
        "CMD gunicorn shop.wsgi -w ${WORKERS:-9}",
        "CMD python -m gunicorn shop.wsgi -w 2",
        "ENTRYPOINT [\"gunicorn\"]\nCMD [\"shop.wsgi\", \"-w\", \"2\"]",
        "CMD [\"celery\"]\nENTRYPOINT [\"/usr/bin/tini\", \"--\"]\nCMD [\"gunicorn\", \"shop.wsgi\", \"-w\", \"2\"]",
        "ENTRYPOINT gunicorn shop.wsgi -w 2\nCMD [\"ignored\"]",
        "CMD [\"first\"]\nCMD gunicorn \\\n  shop.wsgi \\\n# in between\n  -w 2",
        "ENTRYPOINT [\"/docker-entrypoint.sh\"]\nCMD [\"gunicorn\", \"shop.wsgi\", \"-w\", \"2\"]",
        "CMD python manage.py migrate --noinput && gunicorn shop.wsgi -w 2",
    ] {
        let text = of(&format!("FROM python:3.12\nWORKDIR /app\nENV WORKERS 2\n{command}\n"));
        has(&text, &["app = \"shop.wsgi\"", "workers = 2", "listen = \"127.0.0.1:8000\""]);
        assert!(!text.contains("python =") && !text.contains("[env]"), "{text}");
    }
}

#[test]
fn an_interpreter_beside_the_path_of_the_image_is_named() {
    let file = |rest: &str| of(&format!("FROM python:3.12\nWORKDIR /app\n{rest}\n"));
    has(&file("CMD [\"/opt/venv/bin/gunicorn\", \"shop.wsgi\"]"), &["python = \"/opt/venv/bin/python\""]);
    has(&file("CMD [\"uv\", \"run\", \"gunicorn\", \"shop.wsgi\"]"), &["python = \"/app/.venv/bin/python\""]);
    for same in [
        "ENV PATH /opt/venv/bin:$PATH\nCMD [\"/opt/venv/bin/gunicorn\", \"shop.wsgi\"]",
        "ENV PATH=/app/.venv/bin:$PATH\nCMD [\"uv\", \"run\", \"--no-sync\", \"gunicorn\", \"shop.wsgi\"]",
        "CMD /usr/local/bin/gunicorn shop.wsgi",
    ] {
        let text = file(same);
        assert!(!text.contains("python ="), "{text}");
    }
    let poetry = file("CMD poetry run gunicorn shop.wsgi");
    has(&poetry, &["# - poetry run: it chose the interpreter"]);
}

const COOKIE: &str = "FROM docker.io/python:3.12.8-slim-bookworm AS python\n\
    FROM python AS python-build-stage\nARG BUILD_ENVIRONMENT=production\nCOPY ./requirements .\n\
    FROM python AS python-run-stage\nARG BUILD_ENVIRONMENT=production\nARG APP_HOME=/app\n\
    ENV PYTHONUNBUFFERED=1\nENV BUILD_ENV=${BUILD_ENVIRONMENT}\nWORKDIR ${APP_HOME}\n\
    COPY --chown=django:django ./compose/production/django/entrypoint /entrypoint\n\
    RUN sed -i 's/\\r$//g' /entrypoint\n\
    COPY --chown=django:django ./compose/production/django/start /start\n\
    COPY --chown=django:django . ${APP_HOME}\nUSER django\nENTRYPOINT [\"/entrypoint\"]\nCMD [\"/start\"]\n";

const COOKIE_ENTRYPOINT: &str = "#!/bin/bash\nset -o errexit\nif [ -z \"${POSTGRES_USER}\" ]; then\n    export POSTGRES_USER=postgres\n\
    fi\nexport DATABASE_URL=\"postgres://x\"\nexec \"$@\"\n";

const COOKIE_START: &str = "#!/bin/bash\n\nset -o errexit\nset -o pipefail\n\npython /app/manage.py collectstatic --noinput\n\
    compress_enabled() {\npython << END\nimport sys\nEND\n}\n\nif compress_enabled; then\n  python /app/manage.py compress\nfi\n\n\
    exec /usr/local/bin/gunicorn config.wsgi --bind 0.0.0.0:5000 --chdir=/app\n";

#[test]
fn a_start_script_that_is_copied_into_the_image_is_read_where_it_lies_here() {
    let place = Place::default()
        .with("/home/me/blog/compose/production/django/entrypoint", COOKIE_ENTRYPOINT)
        .with("/home/me/blog/compose/production/django/start", COOKIE_START)
        .with("/home/me/blog/manage.py", "");
    let path = "/home/me/blog/compose/production/django/Dockerfile";
    let given = Overrides { image: Some("ghcr.io/me/blog".to_owned()), ..said() };
    let text = text(place.import(path, COOKIE, &given));
    assert_eq!(
        keys(&text),
        [
            "directory = \"/srv/blog/current\"",
            "image = \"ghcr.io/me/blog\"",
            "app = \"config.wsgi\"",
            "listen = \"127.0.0.1:5000\"",
            "user = \"shop\"",
        ]
    );
    has(
        &text,
        &[
            "# - /entrypoint: ostlerd starts the interpreter itself",
            "# - /start: it decides for itself",
            "# - USER django:",
        ],
    );
    let alone = Place::default().import(path, COOKIE, &given).map(|it| it.text).unwrap_err().to_string();
    has(&alone, &["/start", "as well"]);
    let files = [(path, COOKIE), ("/elsewhere/start", COOKIE_START)];
    has(&super::text(Place::default().import_all(&files, &given)), &["app = \"config.wsgi\""]);
}

#[test]
fn migrations_of_an_entrypoint_are_ostlerds_and_the_rest_of_it_is_told() {
    let entrypoint =
        "#!/bin/sh\nif [ \"$MIGRATE\" ]; then\n  python manage.py migrate --noinput\nfi\nexec \"$@\"\n";
    let place = Place::default().with("/home/me/shop/docker/entrypoint.sh", entrypoint);
    let file = "FROM x:1\nWORKDIR /app\nCOPY docker/ /docker/\nENTRYPOINT [\"/docker/entrypoint.sh\"]\nCMD [\"gunicorn\", \"shop.wsgi\"]\n";
    let text = text(place.import("/home/me/shop/Dockerfile", file, &said()));
    has(
        &text,
        &[
            "# - /docker/entrypoint.sh: ostlerd starts the interpreter itself",
            "# - /docker/entrypoint.sh: python manage.py migrate --noinput: ostlerd runs a Django project's migrations itself",
        ],
    );
}

#[test]
fn a_script_in_the_file_itself_and_its_arguments_are_followed() {
    let text =
        of("FROM python:3.12\nWORKDIR /app\nCOPY --chmod=755 <<'EOF' start.sh\n#!/bin/sh\nset -e\ncd src\n\
        exec gunicorn \"$@\"\nEOF\nENTRYPOINT [\"./start.sh\"]\nCMD [\"shop.wsgi\", \"--threads\", \"4\"]\n");
    has(
        &text,
        &[
            "app = \"shop.wsgi\"",
            "args = [\"--threads\", \"4\", \"--pythonpath\", \"/app/src\"]",
            "# - cd /app/src:",
        ],
    );
}

#[test]
fn another_escape_and_an_earlier_stage_count() {
    let text = of(
        "# escape=`\nFROM python:3.12 AS base\nWORKDIR C:\\x\nWORKDIR /srv`\n/code\nENV PORT=9000\nEXPOSE 80\n\
        FROM base AS Final\nWORKDIR app\nCMD gunicorn shop.wsgi `\n  -b 127.0.0.1:$PORT\n",
    );
    has(&text, &["listen = \"127.0.0.1:9000\""]);
    has(&of("FROM x:1\nEXPOSE 9001\nCMD gunicorn shop.wsgi\n"), &["listen = \"127.0.0.1:9001\""]);
}

#[test]
fn what_no_dockerfile_says_is_asked_for_all_at_once() {
    let place = Place::default();
    let file = "FROM x:1\nARG WORKERS\nENV W=$WORKERS\nCMD gunicorn shop.wsgi -w $W -b 0.0.0.0:$PORT\n";
    let error =
        place.import("/home/me/shop/Dockerfile", file, &Overrides::default()).unwrap_err().to_string();
    has(
        &error,
        &["--image registry", "--user shop", "a user of this machine", "--set PORT=", "--set WORKERS="],
    );
    assert!(!error.contains("--python") && !error.contains("--directory"), "{error}");
    let file = "FROM x:1\nCMD bash -c \"gunicorn shop.wsgi -w $(nproc)\"\n";
    let error = place.import("/home/me/shop/Dockerfile", file, &said()).unwrap_err().to_string();
    has(&error, &["--set '(nproc)=VALUE'"]);
}

#[test]
fn what_starts_no_gunicorn_says_what_it_starts() {
    refused("FROM x:1\nCMD python manage.py runserver 0.0.0.0:8000\n", &["manage.py runserver", "--app"]);
    refused("FROM x:1\nCMD [\"python\", \"manage.py\", \"runserver\"]\n", &["manage.py runserver", "--app"]);
    refused("FROM x:1\nCMD uvicorn shop.asgi:app --host 0.0.0.0\n", &["\"uvicorn\"", "--app"]);
    refused(
        "FROM x:1\nCMD [\"python\", \"-m\", \"uvicorn\", \"shop.asgi:app\"]\n",
        &["\"uvicorn\"", "--app"],
    );
    refused("FROM x:1\nCMD [\"daphne\", \"-b\", \"0.0.0.0\", \"shop.asgi:app\"]\n", &["\"daphne\"", "--app"]);
    refused("FROM x:1\nCMD [\"uv\", \"run\", \"granian\", \"shop.asgi:app\"]\n", &["\"granian\"", "--app"]);
    refused("FROM x:1\nENTRYPOINT [\"/init\"]\n", &["/init", "is not here"]);
    refused("FROM x:1\nRUN true\n", &["no ENTRYPOINT and no CMD", "skopeo inspect --config"]);
    let given = Overrides { app: Some("shop.asgi:app".to_owned()), ..said() };
    for command in ["uvicorn shop.asgi:app", "[\"uvicorn\", \"shop.asgi:app\"]", "[\"/init\"]"] {
        let file = format!("FROM x:1\nCMD {command}\n");
        let text = text(Place::default().import("/home/me/shop/Dockerfile", &file, &given));
        has(&text, &["app = \"shop.asgi:app\"", "# To do:"]);
    }
}

#[test]
fn what_docker_would_not_build_is_named_with_its_line() {
    refused("", &["no FROM"]);
    refused("# nothing\n", &["no FROM"]);
    refused("FROM x:1\nENV A=\"b\nCMD gunicorn shop.wsgi\n", &["Dockerfile, line 2", "quote"]);
    refused("FROM x:1\n\nENV A=${B\n", &["Dockerfile, line 3", "${"]);
    refused("FROM x:1\nCMD ['gunicorn', 'shop.wsgi']\n", &["Dockerfile, line 2", "double quotes"]);
    refused("FROM x:1\nRUN <<EOF\necho\n", &["Dockerfile, line 2", "<<"]);
    let doubling = format!("FROM x:1\nENV A=xxxxxxxx\n{}", "ENV A=$A$A\n".repeat(60));
    refused(&doubling, &["grow without an end"]);
    refused(&"FROM x AS x\n".repeat(1000), &["more stages"]);
    let copies = (0..60).map(|n| format!("FROM x AS s{n}\n{}", "COPY --from=s0 / /\n".repeat(50)));
    refused(&(copies.collect::<String>() + "CMD /start\n"), &["/start"]);
}
