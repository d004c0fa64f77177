//! What no file can know alone: every app once, every address once, at least one app. Pure.

use std::collections::BTreeMap;
use std::path::Path;

use super::app::{self, AppConfig, CheckedApp};
use super::belongs;
use super::check::{Checker, Field};
use super::edge::EDGE;
use super::edge::Edge;
use super::error::{Place, Problem, Problems};
use super::health::HEALTH;
use super::health::HealthConfig;
use super::key::{Shape, keys};
use super::kinds::{Sub, With};
use super::source::Source;
use super::types::{Address, AppName};
use super::visible::shortened;

/// Text of one app's file to its type: what `load` does for a file of `apps.d`, without the file.
///
/// `is_root` is whether ostlerd runs as root, where `user` is required.
pub fn parse_app(name: &AppName, text: &str, file: &Path, is_root: bool) -> Result<AppConfig, Problems> {
    let folder = file.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let (checked, problems) = app_file(name, text, (file, &folder.join("ostler.toml")), is_root);
    let (apps, more) = assemble(checked.into_iter().collect());
    finish(apps, problems.into_iter().chain(more).collect())
        .map(|mut apps| apps.remove(name).expect("no problem, so the app is there"))
}

/// The app of one file of `apps.d`, beside the main one.
pub(super) fn app_file(
    name: &AppName,
    text: &str,
    (file, main): (&Path, &Path),
    is_root: bool,
) -> (Option<CheckedApp>, Vec<Problem>) {
    let source = Source { file, text };
    let mut checker = Checker::new(source, main, is_root, belongs::judge);
    let checked = checker.parse().map(|table| app::check(&mut checker, name.clone(), &table, source.whole()));
    (checked, checker.problems)
}

/// The main file.
pub(super) static MAIN: Shape = Shape { title: "the main file", groups: &[Main::KEYS] };

keys! {
    /// What the main file says.
    #[derive(Default)]
    pub(super) struct Main of {} {
        /// `[apps.NAME]`: an app, with the keys of an app's file
        apps: Vec<CheckedApp> = With(apps), [section], "{ shop = { directory = \"/srv/shop/current\", … } }", Within;
        /// what stands in front of this machine
        edge: Edge = Sub(&EDGE, Edge::read), [section], "{ preset = \"alb\" }", Within;
        /// where load balancers ask
        health: HealthConfig = Sub(&HEALTH, HealthConfig::read), [section],
            "{ listen = [\"127.0.0.1:9180\"] }", Within;
    }
}

/// The main file, checked.
pub(super) fn main_file(text: &str, file: &Path, is_root: bool) -> (Main, Vec<Problem>) {
    let source = Source { file, text };
    let mut checker = Checker::new(source, file, is_root, belongs::judge);
    let main = checker.parse().map(|tree| {
        let section = checker.section(&MAIN, &tree, source.whole());
        Main::read(&mut checker, &section)
    });
    (main.unwrap_or_default(), checker.problems)
}

/// The apps that stand in the main file itself.
fn apps(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<Vec<CheckedApp>> {
    let mut apps = Vec::new();
    for (key, value) in checker.table(field)? {
        let place = checker.source.place(key.span());
        match (key.get_ref().parse::<AppName>(), value.get_ref().as_table()) {
            (Ok(name), Some(table)) => apps.push(app::check(checker, name, table, place)),
            (Err(rule), _) => checker.problems.push(no_name(place, &rule)),
            (_, None) => checker.problems.push(
                Problem::new(place, format!("app `{}` is no table", shortened(key.get_ref(), 64)))
                    .help("write [apps.NAME] on a line of its own, and the app's keys below it"),
            ),
        }
    }
    Some(apps)
}

/// The problem of an app whose name breaks the rule.
pub(super) fn no_name(place: Place, rule: &str) -> Problem {
    Problem::new(place, shortened(rule, 300)).help("choose another name; it is used for the app everywhere")
}

/// Puts the apps together and finds what is wrong between them.
pub(super) fn assemble(checked: Vec<CheckedApp>) -> (BTreeMap<AppName, AppConfig>, Vec<Problem>) {
    let mut problems = clashes(&checked);
    let mut apps = BTreeMap::new();
    let mut seen: BTreeMap<AppName, Place> = BTreeMap::new();
    for CheckedApp { name, place, app, .. } in checked {
        if let Some(first) = seen.get(&name) {
            problems.push(
                Problem::new(place, format!("app `{name}` is defined twice"))
                    .help("keep one of the two")
                    .also(first.clone(), "first here"),
            );
            continue;
        }
        seen.insert(name.clone(), place);
        apps.extend(app.map(|app| (name, app)));
    }
    (apps, problems)
}

/// Every address that is wanted more than once.
fn clashes(checked: &[CheckedApp]) -> Vec<Problem> {
    let mut taken: Vec<(&AppName, &Address, &Place)> = Vec::new();
    let mut problems = Vec::new();
    for app in checked {
        for (address, place) in &app.listen {
            match taken.iter().find(|(_, other, _)| address.clashes_with(other)) {
                // Of an app that is defined twice it is enough to say that.
                Some((owner, _, first)) if **owner == app.name && first.file != place.file => {}
                Some((owner, other, first)) => {
                    problems.push(clash(&app.name, address, place, (owner, other, first)))
                }
                None => taken.push((&app.name, address, place)),
            }
        }
    }
    problems
}

fn clash(name: &AppName, address: &Address, place: &Place, first: (&AppName, &Address, &Place)) -> Problem {
    let (owner, other, at) = first;
    let message = match (name == owner, address == other) {
        (true, true) => format!("`{name}` listens on {address} twice"),
        (true, false) => format!("`{name}` listens on {address} and on {other}, which overlap"),
        (false, true) => format!("`{name}` and `{owner}` both listen on {address}"),
        (false, false) => format!("`{name}` listens on {address} and `{owner}` on {other}, which overlap"),
    };
    Problem::new(place.clone(), message)
        .rule("an address belongs to one listener")
        .help(if name == owner {
            "leave one of the two out"
        } else {
            "give one of the two apps another address"
        })
        .also(at.clone(), format!("`{owner}` has it here"))
}

/// The apps, or all problems file by file, in the order of their lines.
pub(super) fn finish(
    apps: BTreeMap<AppName, AppConfig>,
    mut problems: Vec<Problem>,
) -> Result<BTreeMap<AppName, AppConfig>, Problems> {
    if problems.is_empty() {
        return Ok(apps);
    }
    let mut files: Vec<_> = Vec::new();
    for problem in &problems {
        if !files.contains(&problem.place.file) {
            files.push(problem.place.file.clone());
        }
    }
    let order = |problem: &Problem| {
        let spot = problem.place.spot.as_ref().map(|spot| (spot.line, spot.column));
        (files.iter().position(|file| *file == problem.place.file), spot)
    };
    problems.sort_by_key(order);
    Err(Problems::new(problems))
}
