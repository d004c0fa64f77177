//! What a live picture shows, of the machine, each app and each worker: words and numbers with their tones. The page and
//! `ostler top` are made from it. Pure.

use super::background::{BackgroundStatus, background_tone, background_words};
use super::drain::drain_words;
use super::health::{all_busy, queue_fills};
use super::notes::{Note, notes};
use super::traceback::brief;
use super::words::{Tone, app_word, bytes, duration, one_line, plain, worker_tone, worker_word};
use super::zygote::zygote_words;
use super::{AppStatus, Status, Trend, WorkerStatus};
use crate::config::{AppName, counted};
use crate::supervise::{ProcessId, WorkerState};

/// A request that has taken so many seconds is looked at, and one that has taken longer is wrong: gunicorn's own time
/// limit of a worker is 30 s.
const SLOW: f64 = 10.0;
const STUCK: f64 = 30.0;

/// Stands for what is not known.
const NOTHING: &str = "-";

/// The whole picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    /// Which ostlerd, `ostlerd 0.1.0, pid 12`.
    pub daemon: String,
    /// All apps together, `2 apps, 8 workers, 41.3 requests/s, 3 in flight`.
    pub sum: String,
    /// What is to be said of the machine: files that were refused, a drain.
    pub notes: Vec<(Tone, String)>,
    /// Each app.
    pub apps: Vec<AppRow>,
}

/// A word or a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// How it is to be taken.
    pub tone: Tone,
    /// What it says.
    pub text: String,
}

/// An app.
#[derive(Clone, Debug, PartialEq)]
pub struct AppRow {
    /// Its name.
    pub name: AppName,
    /// How it is.
    pub state: Cell,
    /// The generation that serves.
    pub generation: String,
    /// Ready workers of those wanted, `4/4`.
    pub ready: Cell,
    /// How many are wanted.
    pub wanted: u32,
    /// Requests per second.
    pub rate: String,
    /// Requests under way.
    pub in_flight: Cell,
    /// Age of the oldest of them.
    pub oldest: Cell,
    /// Connections that wait, of those that may, `0/2048`.
    pub queue: Cell,
    /// Resident memory of all workers.
    pub memory: String,
    /// Requests per second of the last minute, as [`Trend::course`].
    pub course: Vec<Option<f64>>,
    /// What is to be said of it.
    pub notes: Vec<Note>,
    /// What it is: listeners with their queues, code, what runs.
    pub facts: Vec<(&'static str, Cell)>,
    /// The words of the worker that could not serve, several lines, without control characters.
    pub last_words: Option<String>,
    /// Each worker.
    pub workers: Vec<WorkerRow>,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRow {
    /// Its name.
    pub id: ProcessId,
    /// Its process.
    pub pid: String,
    /// Its generation.
    pub generation: String,
    /// How it is.
    pub state: Cell,
    /// Since its start.
    pub age: String,
    /// Requests finished.
    pub requests: String,
    /// Requests per second.
    pub rate: String,
    /// Requests under way.
    pub in_flight: String,
    /// Age of the oldest of them.
    pub oldest: Cell,
    /// Resident memory.
    pub memory: String,
}

impl Cell {
    fn new(tone: Tone, text: impl Into<String>) -> Cell {
        Cell { tone, text: text.into() }
    }
}

impl Board {
    /// The picture that `status` gives, with what was seen before it.
    pub fn new(status: &Status, trend: &Trend) -> Board {
        Board {
            daemon: format!("ostlerd {}, pid {}", one_line(&status.version), status.pid),
            sum: sum(status, trend),
            notes: machine_notes(status),
            apps: status.apps.iter().map(|app| app_row(app, trend)).collect(),
        }
    }

    /// The worst that it says.
    pub fn is_well(&self) -> bool {
        let bad = |tone: &Tone| matches!(tone, Tone::Bad);
        !self.notes.iter().any(|(tone, _)| bad(tone))
            && !self.apps.iter().any(|app| bad(&app.state.tone) || bad(&app.ready.tone))
    }
}

fn sum(status: &Status, trend: &Trend) -> String {
    let workers = || status.apps.iter().flat_map(|app| &app.workers);
    let rates: Vec<f64> = status.apps.iter().filter_map(|app| trend.app(&app.name)).collect();
    let rate = (!rates.is_empty()).then(|| rates.iter().sum());
    let in_flight: u64 = workers().map(|worker| u64::from(worker.in_flight)).sum();
    format!(
        "{}, {}, {} requests/s, {in_flight} in flight",
        counted(status.apps.len(), "app"),
        counted(workers().count(), "worker"),
        per_second(rate),
    )
}

fn machine_notes(status: &Status) -> Vec<(Tone, String)> {
    let mut notes = Vec::new();
    let config = &status.config;
    if !config.valid {
        let problem = config.problem.as_deref().unwrap_or("no reason was given");
        let first = problem.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let words = format!(
            "the configuration's files are refused; what ran before goes on: {} (`ostler check` shows all)",
            one_line(first)
        );
        notes.push((Tone::Bad, words));
    }
    if !config.needs_restart.is_empty() {
        let keys = one_line(&config.needs_restart.join(", "));
        notes.push((Tone::Warn, format!("only after a restart of ostlerd: {keys}")));
    }
    notes.extend(config.unanswered.iter().map(|words| (Tone::Warn, one_line(words))));
    if let Some(drain) = &status.drain {
        notes.push((Tone::Warn, drain_words(drain)));
    }
    if status.apps.is_empty() {
        notes.push((Tone::Warn, "no apps yet: put one into apps.d".to_owned()));
    }
    notes
}

fn app_row(app: &AppStatus, trend: &Trend) -> AppRow {
    let (word, tone) = app_word(app.state);
    let ages = app.workers.iter().filter_map(|worker| worker.oldest_request_seconds);
    let in_flight: u64 = app.workers.iter().map(|worker| u64::from(worker.in_flight)).sum();
    let busy = if all_busy(app) { Tone::Warn } else { Tone::Plain };
    let memory = app.workers.iter().filter_map(|worker| worker.rss_bytes).reduce(u64::saturating_add);
    AppRow {
        name: app.name.clone(),
        state: Cell::new(tone, word),
        generation: app.generation.map_or_else(|| NOTHING.to_owned(), |id| id.to_string()),
        ready: ready(app),
        wanted: app.workers_wanted,
        rate: per_second(trend.app(&app.name)),
        in_flight: Cell::new(busy, in_flight.to_string()),
        oldest: age_of_oldest(ages.reduce(f64::max)),
        queue: queue(app),
        memory: memory.map_or_else(|| NOTHING.to_owned(), bytes),
        course: trend.course(&app.name),
        notes: notes(app),
        facts: facts(app),
        last_words: last_words(app),
        workers: app.workers.iter().map(|worker| worker_row(worker, trend)).collect(),
    }
}

fn ready(app: &AppStatus) -> Cell {
    let ready = app.workers.iter().filter(|worker| worker.state == WorkerState::Ready).count();
    let tone = match ready {
        // Whoever stopped it wants none.
        0 if app.workers_wanted > 0 && app_word(app.state).1 != Tone::Faint => Tone::Bad,
        _ if ready < app.workers_wanted as usize => Tone::Warn,
        _ => Tone::Plain,
    };
    Cell::new(tone, format!("{ready}/{}", app.workers_wanted))
}

fn queue(app: &AppStatus) -> Cell {
    let (Some(waiting), Some(limit)) = (app.health.listen_queue, app.health.listen_backlog) else {
        return Cell::new(Tone::Plain, NOTHING);
    };
    let tone = match () {
        () if queue_fills(app) => Tone::Bad,
        () if waiting > 0 => Tone::Warn,
        () => Tone::Plain,
    };
    Cell::new(tone, format!("{waiting}/{limit}"))
}

fn facts(app: &AppStatus) -> Vec<(&'static str, Cell)> {
    let mut facts = Vec::new();
    for listener in &app.listeners {
        let known = app.health.queues.iter().find(|queue| queue.listener == *listener);
        let waiting = known.map_or_else(String::new, |it| format!(", {} of {} wait", it.waiting, it.limit));
        let tone = if known.is_some_and(|it| it.waiting > 0) { Tone::Warn } else { Tone::Plain };
        facts.push(("listens on", Cell::new(tone, format!("{}{waiting}", one_line(listener)))));
    }
    let plain = |text: &String| Cell::new(Tone::Plain, one_line(text));
    facts.extend(app.directory.as_ref().map(|directory| ("code from", plain(directory))));
    facts.extend(app.image.as_ref().map(|image| ("image", plain(&image.to_string()))));
    facts.extend(app.runs.as_ref().map(|runs| ("runs", plain(runs))));
    let zygotes = app.zygotes.iter().map(|zygote| ("zygote", Cell::new(Tone::Plain, zygote_words(zygote))));
    facts.extend(zygotes);
    let command =
        |it: &BackgroundStatus| ("process", Cell::new(background_tone(it.state), background_words(it)));
    facts.extend(app.processes.iter().map(command));
    facts
}

fn last_words(app: &AppStatus) -> Option<String> {
    let words = app.last_words.as_ref()?;
    let text = if words.traceback.trim().is_empty() { &words.message } else { &words.traceback };
    let text = brief(&plain(text));
    (!text.trim().is_empty()).then_some(text)
}

fn worker_row(worker: &WorkerStatus, trend: &Trend) -> WorkerRow {
    let none = || NOTHING.to_owned();
    WorkerRow {
        id: worker.id,
        pid: worker.pid.map_or_else(none, |pid| pid.to_string()),
        generation: worker.generation.to_string(),
        state: Cell::new(worker_tone(worker.state), worker_word(worker.state)),
        age: duration(worker.age_seconds),
        requests: worker.requests.to_string(),
        rate: per_second(trend.worker(worker.id)),
        in_flight: worker.in_flight.to_string(),
        oldest: age_of_oldest(worker.oldest_request_seconds),
        memory: worker.rss_bytes.map_or_else(none, bytes),
    }
}

fn age_of_oldest(seconds: Option<f64>) -> Cell {
    let tone = match seconds {
        Some(STUCK..) => Tone::Bad,
        Some(SLOW..) => Tone::Warn,
        _ => Tone::Plain,
    };
    Cell::new(tone, seconds.map_or_else(|| NOTHING.to_owned(), duration))
}

/// `0.4`, `41.3`, `1520`; `-` where it is not known.
fn per_second(rate: Option<f64>) -> String {
    match rate {
        None => NOTHING.to_owned(),
        Some(rate) if rate >= 99.95 => format!("{rate:.0}"),
        Some(rate) => format!("{rate:.1}"),
    }
}

/// How high each rate of a course is drawn, 1 to `steps`, and 0 for none at all: against the highest, of 1 at least, so
/// that a single request a minute is no mountain.
pub fn heights(course: &[Option<f64>], steps: u8) -> Vec<u8> {
    let most = course.iter().flatten().copied().fold(1.0, f64::max);
    let height = |rate: f64| (rate / most * f64::from(steps)).ceil().clamp(0.0, f64::from(steps)) as u8;
    course.iter().map(|rate| rate.map_or(0, height)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::QueueStatus;
    use crate::observe::testing::{app, status, worker, zygote};
    use crate::supervise::{AppState, LastWords, ScalingView};
    use std::time::Duration;

    fn board(app: AppStatus) -> Board {
        Board::new(&status(vec![app]), &Trend::default())
    }

    #[test]
    fn a_healthy_app_alarms_nobody() {
        let mut shop = app("shop", vec![worker(1, WorkerState::Ready), worker(2, WorkerState::Ready)]);
        (shop.health.listen_queue, shop.health.listen_backlog) = (Some(0), Some(128));
        let board = board(shop);
        assert!(board.is_well());
        let row = &board.apps[0];
        let cells = [&row.ready, &row.oldest, &row.queue, &row.in_flight];
        assert!(cells.iter().all(|cell| cell.tone == Tone::Plain), "{row:?}");
        assert_eq!([&*row.ready.text, &*row.oldest.text, &*row.queue.text], ["2/2", "-", "0/128"]);
        assert_eq!((&*row.rate, &*row.memory), ("-", "2.0 MiB"));
        assert_eq!(board.sum, "1 app, 2 workers, - requests/s, 0 in flight");
    }

    #[test]
    fn what_is_wrong_stands_out() {
        let mut shop = app("shop", vec![worker(1, WorkerState::Ready), worker(2, WorkerState::Ending)]);
        shop.state = AppState::Degraded;
        (shop.health.listen_queue, shop.health.listen_backlog) = (Some(40), Some(128));
        shop.health.queues = vec![QueueStatus { listener: "127.0.0.1:8000".into(), waiting: 40, limit: 128 }];
        shop.listeners = vec!["127.0.0.1:8000".into(), "unix:/x".into()];
        shop.health.capacity = Some(1);
        (shop.workers[0].in_flight, shop.workers[0].oldest_request_seconds) = (1, Some(31.0));
        shop.workers[1].oldest_request_seconds = Some(12.0);
        let row = &board(shop).apps[0];
        assert_eq!(row.ready, Cell::new(Tone::Warn, "1/2"));
        assert_eq!(row.oldest, Cell::new(Tone::Bad, "31s"));
        assert_eq!(row.workers[1].oldest, Cell::new(Tone::Warn, "12s"));
        assert_eq!(row.queue, Cell::new(Tone::Bad, "40/128"));
        assert_eq!(row.in_flight.tone, Tone::Warn);
        assert_eq!(row.facts[0].1, Cell::new(Tone::Warn, "127.0.0.1:8000, 40 of 128 wait"));
        assert_eq!(row.facts[1].1, Cell::new(Tone::Plain, "unix:/x"));
    }

    #[test]
    fn what_decides_the_number_of_workers_and_what_they_are_forked_from_is_said() {
        let mut shop = app("shop", vec![worker(1, WorkerState::Ready)]);
        let (last, held_back) = (Some("grown from 1 to 2 workers: why".into()), Some("no memory".into()));
        shop.scaling = Some(ScalingView { min: 1, max: 4, by_hand: false, last, held_back });
        shop.zygotes = vec![zygote(8)];
        let row = &board(shop).apps[0];
        let said: Vec<(Tone, &str)> = row.notes.iter().map(|note| (note.tone, &*note.text)).collect();
        let range = "1 to 4 workers, as the load needs; grown from 1 to 2 workers: why";
        assert_eq!(said, [(Tone::Plain, range), (Tone::Warn, "not more workers: no memory")]);
        let from = "w8 of g1: pid 808, 2m05s old, 96.0 MiB, workers are forked from it";
        assert_eq!(row.facts, [("zygote", Cell::new(Tone::Plain, from))]);
    }

    #[test]
    fn an_app_without_a_worker_is_bad_and_one_that_was_stopped_is_not() {
        let mut shop = app("shop", vec![]);
        shop.workers_wanted = 2;
        shop.state = AppState::Failed;
        assert!(!board(shop.clone()).is_well());
        shop.state = AppState::Stopped;
        assert!(board(shop).is_well());
    }

    #[test]
    fn the_words_of_an_app_steer_nothing() {
        let mut shop = app("shop", vec![]);
        shop.problem = Some("no\x1b[2J\nmodule".into());
        shop.last_words = Some(LastWords { message: "m".into(), traceback: "a\x1b]0;x\x07\n  b\n".into() });
        let row = &board(shop).apps[0];
        assert_eq!(row.notes[0].text, "problem: no\u{fffd}[2J module");
        assert_eq!(row.last_words.as_deref(), Some("a\u{fffd}]0;x\u{fffd}\n  b"));
    }

    #[test]
    fn files_that_were_refused_and_a_drain_are_said() {
        let mut machine = status(vec![]);
        machine.config.valid = false;
        machine.config.problem = Some("\nshop.toml:3: no such key\n  |".into());
        machine.config.needs_restart = vec!["health.listen".into()];
        let board = Board::new(&machine, &Trend::default());
        assert!(!board.is_well());
        let said: Vec<&str> = board.notes.iter().map(|(_, text)| text.as_str()).collect();
        assert!(said[0].contains("shop.toml:3: no such key (`ostler check`"), "{said:?}");
        assert_eq!(
            said[1..],
            ["only after a restart of ostlerd: health.listen", "no apps yet: put one into apps.d"]
        );
    }

    #[test]
    fn heights_are_against_the_highest_and_little_is_not_much() {
        assert_eq!(heights(&[None, Some(0.0), Some(5.0), Some(10.0), Some(0.1)], 8), [0, 0, 4, 8, 1]);
        assert_eq!(heights(&[Some(0.2)], 8), [2]);
        assert_eq!(heights(&[], 8), Vec::<u8>::new());
        let mut trend = Trend::default();
        trend.seen(&status(vec![app("shop", vec![])]), Duration::ZERO);
        assert_eq!(heights(&trend.course(&"shop".parse().unwrap()), 8), Vec::<u8>::new());
    }

    #[test]
    fn rates_are_short() {
        let texts = [0.04, 41.26, 99.96, 1520.4].map(|rate| per_second(Some(rate)));
        assert_eq!(texts, ["0.0", "41.3", "100", "1520"]);
    }
}
