//! What stands in many a project's files and ostlerd cannot run: other worker classes, and programs that start gunicorn
//! by themselves.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::Path;

use super::app::AppConfig;
use super::visible::shortened;

/// Worker classes by a part of their dotted names, and what takes their place.
const CLASSES: [(&str, &str); 12] = [
    ("eventlet", "gevent, or gthread"),
    ("geventlet", "gevent, or gthread"),
    ("aiohttp", "nothing runs aiohttp's own apps here: leave it a unit of its own"),
    ("gaiohttp", "gthread"),
    ("meinheld", "gthread"),
    ("gmeinheld", "gthread"),
    ("sanic", "uvicorn_worker.UvicornWorker, for a Sanic app is an ASGI app"),
    ("hypercorn", "asgi, or uvicorn_worker.UvicornWorker"),
    ("gevent_pywsgi", "gevent"),
    ("gevent_wsgi", "gevent"),
    ("geventpywsgiworker", "gevent"),
    ("pywsgiworker", "gevent"),
];

/// Programs that start gunicorn or another server themselves, and what they serve, where that is known.
const PROGRAMS: [(&str, &str); 17] = [
    ("pulpcore-api", "its app is pulpcore.app.wsgi:application"),
    (
        "pulpcore-content",
        "it serves an aiohttp app, which no worker class of ostlerd's runs: leave it a unit of its own",
    ),
    (
        "mlflow",
        "its app is mlflow.server:app, and what `mlflow server` is told by options it takes from the environment",
    ),
    ("airflow", "its app is airflow.www.app:cached_app() up to version 2"),
    ("superset", "its app is superset.app:create_app()"),
    ("flask", "name its app as gunicorn would have it, for example app:app or app:create_app()"),
    ("uvicorn", "name the app that it serves, with args = [\"-k\", \"uvicorn_worker.UvicornWorker\"]"),
    ("hypercorn", "name the app that it serves, with args = [\"-k\", \"uvicorn_worker.UvicornWorker\"]"),
    ("daphne", "name the app that it serves, with args = [\"-k\", \"uvicorn_worker.UvicornWorker\"]"),
    (
        "granian",
        "name the app that it serves; an ASGI app needs args = [\"-k\", \"uvicorn_worker.UvicornWorker\"]",
    ),
    ("fastapi", "name the app that it serves, with args = [\"-k\", \"uvicorn_worker.UvicornWorker\"]"),
    ("waitress-serve", "name the app that it serves"),
    ("uwsgi", "name the app that it serves: its `module` or `wsgi-file`"),
    ("mod_wsgi-express", "name the app that it serves"),
    ("cherryd", "name the app that it serves, as a WSGI callable"),
    ("pserve", "its .ini file is not read: name a module with the WSGI app that it makes"),
    ("chalice", "name the app that it serves, as a WSGI callable"),
];

/// What to use instead of a worker class that ostlerd is known not to run.
pub fn instead_of_class(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let mut parts = name.split(['.', ':', '#']);
    parts.find_map(|part| CLASSES.iter().find(|(known, _)| *known == part)).map(|(_, instead)| *instead)
}

/// What is known of a program that starts a server by itself, by its file's name.
pub fn own_program(name: &str) -> Option<&'static str> {
    PROGRAMS.iter().find(|(program, _)| *program == name).map(|(_, served)| *served)
}

/// What of an app is known not to run, before anything is started: why, and what to do.
pub fn cannot_run(app: &AppConfig) -> Option<String> {
    let program = app.python.as_deref().unwrap_or(Path::new(""));
    let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let served = match name.as_str() {
        "gunicorn" => Some("`app` names the app, and gunicorn's arguments are `args`".to_owned()),
        name => own_program(name).map(|served| format!("`app` names what it serves: {served}")),
    };
    if let Some(served) = served {
        let (python, beside) = (program.display(), program.with_file_name("python"));
        let rule =
            format!("`python` is {python}, and must be the interpreter, for example {}", beside.display());
        return Some(format!("{rule}; {served}"));
    }
    let (_, class) = class_among(&app.args)?;
    let instead = instead_of_class(class)?;
    Some(format!("the worker class {:?} is not supported: use {instead}", shortened(class, 60)))
}

/// The worker class among gunicorn's arguments: the last one counts.
fn class_among(args: &[String]) -> Option<(usize, &str)> {
    let mut found = None;
    for (at, arg) in args.iter().enumerate() {
        let after = || args.get(at + 1).map(|class| (at + 1, class.as_str()));
        let own = |class| Some((at, class));
        found = match arg.as_str() {
            "-k" | "--worker-class" => after(),
            long if long.starts_with("--worker-class=") => own(&long["--worker-class=".len()..]),
            short if short.starts_with("-k") => own(&short[2..]),
            _ => None,
        }
        .or(found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_known_by_any_of_its_names() {
        for name in ["eventlet", "egg:meinheld#gunicorn_worker", "aiohttp.GunicornWebWorker", "gevent_pywsgi"]
        {
            assert!(instead_of_class(name).is_some(), "{name}");
        }
        for name in [
            "sync",
            "shop.sanic_like.Worker",
            "gevent",
            "uvicorn.workers.UvicornWorker",
            "shop.workers.Quick",
            "asgi",
        ] {
            assert_eq!(instead_of_class(name), None, "{name}");
        }
    }

    #[test]
    fn the_last_class_among_the_arguments_counts() {
        let args = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (text, class) in [
            ("-k sync --worker-class eventlet", Some("eventlet")),
            ("--worker-class=eventlet -t 9", Some("eventlet")),
            ("-keventlet", Some("eventlet")),
            ("--keep-alive 5", None),
            ("-t 9 -k", None),
        ] {
            assert_eq!(class_among(&args(text)).map(|(_, class)| class), class, "{text}");
        }
    }
}
