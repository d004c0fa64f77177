//! Which gunicorn, which Python and which worker classes ostlerd knows how to run.

use crate::config::shortened;
use crate::worker::{Settings, WorkerClass};

use super::types::Refusal;

fn supported() -> String {
    let [classes @ .., last] = WorkerClass::ALL.map(|class| class.traits().shown);
    let classes = classes.join(", ");
    format!(
        "supported are gunicorn 20.1 to 27, Python 3.8 and later, and the worker classes {classes} and {last}"
    )
}

/// The family of the app's worker class, where ostlerd can run it.
pub(super) fn class(app: &str, settings: &Settings, notes: &mut Vec<String>) -> Result<WorkerClass, Refusal> {
    let refused =
        |what: String, remedy: &str| Refusal::new(format!("{app}: {what}; {}; {remedy}", supported()));
    let gunicorn = shortened(&settings.gunicorn, 40);
    let version = version(&settings.gunicorn);
    if !version.is_some_and(|version| ((20, 1)..(28, 0)).contains(&version)) {
        return Err(refused(
            format!("gunicorn {gunicorn} is not supported"),
            "install a supported one with the app's pip, for example `pip install 'gunicorn>=23,<28'`",
        ));
    }
    if self::version(&settings.python).is_none_or(|version| version < (3, 8)) {
        let python = shortened(&settings.python, 40);
        return Err(refused(
            format!("Python {python} is not supported"),
            "make the virtual environment with a newer one",
        ));
    }
    let known = |class: &WorkerClass| settings.family.as_deref() == Some(class.name());
    let Some(class) = WorkerClass::ALL.into_iter().find(known) else {
        let name = shortened(&settings.class_name, 100);
        let remedy = "name one of them with args = [\"-k\", \"…\"] or in gunicorn's configuration";
        return Err(refused(format!("the worker class {name:?} is not supported"), remedy));
    };
    if let Some(since) = class.traits().since
        && version < Some(since)
    {
        notes.push(format!(
            "{app}: gunicorn {gunicorn}'s own {class} workers are young and may lose requests when they are replaced; \
             install gunicorn {}, or use {}",
            since.0,
            WorkerClass::Uvicorn.traits().shown
        ));
    }
    Ok(class)
}

/// The first two numbers of `27.0.1`, `23.0rc1`, `28.dev0`.
fn version(text: &str) -> Option<(u32, u32)> {
    let number = |part: &str| {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        part[..digits].parse::<u32>().ok()
    };
    let mut parts = text.split('.');
    let major = number(parts.next()?)?;
    Some((major, parts.next().and_then(number).unwrap_or(0)))
}
