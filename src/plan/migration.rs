//! What is run before a rollout of an app, decided from its configuration and from what its release holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{AppConfig, DatabaseUrl, MigrateConfig, is_database_url, shortened};

use super::facts::Facts;
use super::migrate::{Database, Migrate, MigrateCommand, NoMigrations};
use super::types::Refusal;

/// The migration of `app`; `None` where it has none, or wants none run. `env` is the app's whole environment.
///
/// # Errors
///
/// The database's URL is to be found in a variable that is not set, or that holds none.
pub(super) fn migration(
    app: &AppConfig,
    facts: &Facts,
    env: &BTreeMap<String, String>,
    notes: &mut Vec<String>,
) -> Result<Option<Arc<Migrate>>, Refusal> {
    let config = &app.migrate;
    if let Some(why) = why_none(app, facts) {
        if config.enabled.is_none() && config.configured {
            let missing = match why {
                NoMigrations::NoDjango => "the app's interpreter has no Django",
                _ => "nothing says that the app loads Django",
            };
            notes.push(format!(
                "{}: [migrate] has no effect: {} has no manage.py, {missing}, and there is no `command`; write \
                 enabled = true where the app is Django's all the same",
                app.name,
                facts.paths.directory.display()
            ));
        }
        return Ok(None);
    }
    let django = || match facts.manage_py {
        true => MigrateCommand::Django,
        false => MigrateCommand::DjangoApp {
            certain: config.enabled == Some(true),
            settings: facts
                .settings
                .django
                .as_ref()
                .and_then(|it| it.settings.as_deref())
                .map(|it| shortened(it, 200)),
        },
    };
    let (command, databases) = match &config.command {
        Some(words) => {
            let url = config.database_url.as_ref().map(|url| self::url(app, url, env)).transpose()?;
            (MigrateCommand::Other(words.clone()), url.into_iter().map(Database::Url).collect())
        }
        None if config.database.is_empty() => (django(), vec![Database::Alias("default".to_owned())]),
        None => (django(), config.database.iter().cloned().map(Database::Alias).collect()),
    };
    let MigrateConfig { budgets, breaking, marker, .. } = *config;
    let (overrides, post_deploy) = (config.overrides.clone(), config.post_deploy.clone());
    Ok(Some(Arc::new(Migrate { command, databases, post_deploy, budgets, breaking, overrides, marker })))
}

/// Why nothing is run; `None` where something is.
pub(super) fn why_none(app: &AppConfig, facts: &Facts) -> Option<NoMigrations> {
    let config = &app.migrate;
    match config.enabled {
        Some(false) => return Some(NoMigrations::Off),
        Some(true) => return None,
        None => {}
    }
    if facts.manage_py || config.command.is_some() {
        return None;
    }
    match &facts.settings.django {
        None => Some(NoMigrations::NoDjango),
        Some(found) if !found.loads => Some(NoMigrations::NotLoaded),
        Some(_) => None,
    }
}

/// The URL itself.
fn url(app: &AppConfig, url: &DatabaseUrl, env: &BTreeMap<String, String>) -> Result<String, Refusal> {
    let name = match url {
        DatabaseUrl::Text(text) => return Ok(text.clone()),
        DatabaseUrl::Env(name) => name,
    };
    let (what, help) = match env.get(name).filter(|text| !text.is_empty()) {
        Some(text) if is_database_url(text) => return Ok(text.clone()),
        Some(_) => {
            ("holds no URL that ostlerd knows", "it must begin with postgresql://, mysql:// or sqlite:///")
        }
        None => ("is not set in the app's environment", "set it in `env` or in a file of `env_files`"),
    };
    let file = app.file.display();
    Err(Refusal::new(format!("{}: `database_url` of {file} names {name}, which {what}; {help}", app.name)))
}
