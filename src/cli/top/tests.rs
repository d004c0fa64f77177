//! The whole of `ostler top` but the terminal: pictures and keys in, screens and effects out.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::change::ChangeEnd;
use super::dialog::Dialog;
use super::draw::draw;
use super::key::{KeyPress, key};
use super::state::{KeyEffect, Pane, Top};
use crate::observe::words::Tone;
use crate::observe::{AppHealth, AppStatus, ConfigStatus, Status, WorkerStatus};
use crate::supervise::{
    AppState, Command, GenerationId, LastWords, PhaseView, ProcessId, RolloutView, ScaleTo, WorkerState,
};
use std::time::Duration;

fn worker(id: u64, requests: u64) -> WorkerStatus {
    WorkerStatus {
        id: ProcessId(id),
        pid: Some(800 + id as i32),
        generation: GenerationId(7),
        state: WorkerState::Ready,
        requests,
        in_flight: 1,
        oldest_request_seconds: Some(0.25),
        rss_bytes: Some(64 << 20),
        age_seconds: 125.0,
        keeps_idle_seconds: None,
    }
}

fn app(name: &str, workers: Vec<WorkerStatus>) -> AppStatus {
    let health = AppHealth { listen_queue: Some(0), listen_backlog: Some(2048), ..AppHealth::default() };
    AppStatus {
        image: None,
        zygotes: vec![],
        processes: vec![],
        name: name.parse().unwrap(),
        state: AppState::Serving,
        generation: Some(GenerationId(7)),
        directory: Some("/srv/shop/releases/42".into()),
        before: None,
        output: None,
        runs: Some("gthread, gunicorn 27.0.1".into()),
        workers_wanted: workers.len() as u32,
        proof: None,
        scaling: None,
        listeners: vec!["127.0.0.1:8000".into()],
        migrations: None,
        unmigrated: Vec::new(),
        migration: None,
        last_migration: None,
        rollout: None,
        last_rollout: None,
        problem: None,
        release_changed: None,
        last_words: None,
        health,
        backoff_seconds: None,
        workers,
    }
}

fn status(apps: Vec<AppStatus>) -> Status {
    let config = ConfigStatus { valid: true, file: "/etc/ostler/ostler.toml".into(), ..Default::default() };
    Status { version: "0.1.0".into(), pid: 12, draining: false, drain: None, config, apps }
}

fn top_of(apps: Vec<AppStatus>) -> Top {
    let mut top = Top::default();
    top.seen(&status(apps), Duration::ZERO);
    top
}

fn shop() -> Top {
    top_of(vec![app("blog", vec![worker(1, 7)]), app("shop", vec![worker(9, 12), worker(10, 12345)])])
}

fn drawn(top: &mut Top, width: u16, height: u16, colour: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, top, colour, Duration::from_secs(70))).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen's lines without the first, which names the machine.
fn screen(top: &mut Top, width: u16, height: u16) -> String {
    let buffer = drawn(top, width, height, true);
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (1..height).map(line).collect::<Vec<_>>().join("\n")
}

fn press(top: &mut Top, keys: &str) -> KeyEffect {
    let mut effect = KeyEffect::Nothing;
    for c in keys.chars() {
        effect = top.key(match c {
            '\n' => KeyPress::Enter,
            '\t' => KeyPress::Tab,
            '\x1b' => KeyPress::Escape,
            '\x08' => KeyPress::Backspace,
            'j' => KeyPress::Down,
            'k' => KeyPress::Up,
            c => KeyPress::Char(c),
        });
    }
    effect
}

#[test]
fn a_screen_of_80_by_24_holds_it_all() {
    let mut top = shop();
    press(&mut top, "j");
    top.seen(
        &status(vec![app("blog", vec![worker(1, 7)]), app("shop", vec![worker(9, 32), worker(10, 12345)])]),
        Duration::from_secs(2),
    );
    let expected = "\
2 apps, 3 workers, 10.0 requests/s, 3 in flight

  APP  STATE          READY  REQ/S  NOW OLDEST   QUEUE    MEMORY  LAST MINUTE
  blog serving          1/1    0.0    1   0.2s  0/2048  64.0 MiB
> shop serving          2/2   10.0    2   0.2s  0/2048 128.0 MiB               █

shop g7                                 █  10.0 requests/s at most
  WORKER     PID GEN  STATE       AGE  REQUESTS  REQ/S  NOW OLDEST    MEMORY
  w9         809 g7   ready     2m05s        32   10.0    1   0.2s  64.0 MiB
  w10        810 g7   ready     2m05s     12345    0.0    1   0.2s  64.0 MiB
";
    let shown = screen(&mut top, 80, 24);
    assert!(shown.starts_with(expected), "{shown}");
    assert!(shown.ends_with("q quit  ? help  r restart  s scale  d drain  u undrain  e more  Enter all"));
    assert!(drawn(&mut top, 80, 24, true).content().iter().any(|cell| cell.fg == Color::Green));
    let plain = drawn(&mut top, 80, 24, false);
    assert!(plain.content().iter().all(|cell| cell.fg == Color::Reset), "NO_COLOR is kept to");
}

#[test]
fn no_size_and_no_dialog_is_too_much() {
    let mut top = shop();
    top.missed("ostlerd is not reachable".into(), Duration::ZERO);
    for keys in ["", "r", "\x1bs12", "\x1b?", "?d", "\x1b\n"] {
        press(&mut top, keys);
        for width in 1..100 {
            for height in [1, 2, 3, 5, 6, 7, 9, 12, 24, 50] {
                drawn(&mut top, width, height, true);
            }
        }
    }
    drawn(&mut Top::default(), 80, 24, true);
}

#[test]
fn of_200_workers_the_selected_one_is_in_sight_and_the_rest_is_counted() {
    let mut top = top_of(vec![app("shop", (0..200).map(|id| worker(id, id)).collect())]);
    press(&mut top, "\t");
    assert!(screen(&mut top, 80, 24).contains("> w0 "));
    for _ in 0..150 {
        top.key(KeyPress::Down);
    }
    let shown = screen(&mut top, 80, 24);
    assert!(shown.contains("> w150 ") && shown.contains(" more workers below"), "{shown}");
    top.key(KeyPress::End);
    let shown = screen(&mut top, 80, 24);
    assert!(shown.contains("> w199 ") && !shown.contains("more workers"), "{shown}");
}

#[test]
fn of_30_apps_the_selected_one_is_in_sight_with_its_workers() {
    let apps = (0..30).map(|number| app(&format!("app{number:02}"), vec![worker(number, 1)])).collect();
    let mut top = top_of(apps);
    for _ in 0..20 {
        top.key(KeyPress::Down);
    }
    let shown = screen(&mut top, 80, 24);
    assert!(
        shown.contains("> app20 ") && shown.contains("  w20 ") && shown.contains("more apps below"),
        "{shown}"
    );
}

#[test]
fn a_narrow_screen_leaves_out_what_matters_least() {
    let shown = screen(&mut shop(), 44, 16);
    let heads: Vec<&str> = shown.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!(heads, ["APP", "STATE", "READY", "REQ/S", "NOW"], "{shown}");
}

#[test]
fn the_picture_stays_while_ostlerd_is_away_and_goes_on_when_it_is_back() {
    let mut top = shop();
    top.missed("ostlerd is not reachable".into(), Duration::from_secs(10));
    top.missed("ostlerd is not reachable".into(), Duration::from_secs(60));
    let buffer = drawn(&mut top, 80, 24, true);
    let first: String = (0..80).map(|x| buffer[(x, 0)].symbol()).collect();
    assert!(first.starts_with("ostlerd is not reachable, trying again since 1m00s;"), "{first}");
    assert!(screen(&mut top, 80, 24).contains("> blog serving"));
    top.seen(&status(vec![app("shop", vec![worker(9, 12)])]), Duration::from_secs(61));
    assert!(top.lost.is_none());
    assert!(screen(&mut top, 80, 24).contains("> shop serving"));
}

#[test]
fn nothing_is_changed_without_a_yes_to_a_question_that_names_it() {
    let name = || "shop".parse().unwrap();
    let mut top = shop();
    assert_eq!(press(&mut top, "jr"), KeyEffect::Nothing);
    let shown = screen(&mut top, 80, 24);
    assert!(shown.contains("Restart shop?") && shown.contains("the 2 old ones"), "{shown}");
    for keys in ["\n", "r", "j", "\t", " "] {
        assert_eq!(press(&mut top, keys), KeyEffect::Nothing);
    }
    assert_eq!(press(&mut top, "n"), KeyEffect::Nothing);
    assert_eq!(press(&mut top, "y"), KeyEffect::Nothing, "the question is gone");
    assert_eq!(press(&mut top, "ry"), KeyEffect::Command(1, Command::restart(name())));
    assert_eq!(
        press(&mut top, "+y"),
        KeyEffect::Command(2, Command::Scale { app: name(), workers: ScaleTo::Count(3) })
    );
    assert_eq!(
        press(&mut top, "s12\x083\ny"),
        KeyEffect::Command(3, Command::Scale { app: name(), workers: ScaleTo::Count(13) })
    );
    assert_eq!(press(&mut top, "s0\n\x1b"), KeyEffect::Nothing, "no number of workers");
    assert_eq!(press(&mut top, "dy"), KeyEffect::Command(4, Command::Drain { length: None }));
    assert_eq!(press(&mut top, "uy"), KeyEffect::Command(5, Command::Undrain));
    assert_eq!(press(&mut top, "ry"), KeyEffect::Nothing, "it is under way already");
    assert_eq!(top.unfinished().len(), 5);
    assert_eq!(press(&mut top, "q"), KeyEffect::Quit);
}

#[test]
fn the_last_worker_is_not_scaled_away() {
    let mut top = shop();
    assert_eq!(press(&mut top, "-y"), KeyEffect::Nothing);
    assert!(screen(&mut top, 80, 24).contains("blog keeps 1 worker at least; `ostler stop blog` stops it"));
}

#[test]
fn ctrl_c_ends_it_from_anywhere_and_what_is_pasted_is_no_key() {
    let mut top = shop();
    for keys in ["r", "\x1bs", "\x1b?"] {
        press(&mut top, keys);
        assert_eq!(top.clone().key(KeyPress::Interrupt), KeyEffect::Quit);
    }
    assert_eq!(key(&Event::Paste("ry".into())), None);
    assert_eq!(key(&Event::Resize(1, 1)), None);
    let control = |c| Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
    assert_eq!(key(&control('c')), Some(KeyPress::Interrupt));
    assert_eq!(key(&control('r')), None);
}

#[test]
fn a_failed_restart_says_why_and_shows_the_traceback_on_demand() {
    let mut top = shop();
    press(&mut top, "ry");
    let more = format!("rolled back\n\n{}E: no module", "line\n".repeat(60));
    let ending =
        ChangeEnd { tone: Tone::Bad, words: "rolled back: it did not boot".into(), more: Some(more) };
    top.ended(1, ending);
    let shown = screen(&mut top, 80, 24);
    assert!(shown.contains("restart of blog: rolled back: it did not boot (e: more)"), "{shown}");
    press(&mut top, "e");
    let shown = screen(&mut top, 80, 24);
    assert!(shown.contains("E: no module") && !shown.contains("rolled back"), "the end tells most: {shown}");
    top.key(KeyPress::Home);
    assert!(screen(&mut top, 80, 24).contains("rolled back"));
    press(&mut top, "\x1b");
    assert_eq!(top.dialog, None);
    press(&mut top, "\x1b");
    assert_eq!(top.ending, None);
}

#[test]
fn what_an_app_says_is_shown_and_steers_nothing() {
    let mut failed = app("shop", vec![]);
    failed.problem = Some("no \x1b[2Jmodule".into());
    failed.last_words = Some(LastWords { message: String::new(), traceback: "T\x1b[31m\n\tE: no".into() });
    let mut top = top_of(vec![failed]);
    press(&mut top, "\n");
    let buffer = drawn(&mut top, 80, 24, true);
    assert!(buffer.content().iter().all(|cell| !cell.symbol().contains(char::is_control)));
    let shown = screen(&mut top, 80, 24);
    assert!(
        shown.contains("T\u{fffd}[31m\n    E: no") && shown.contains("listens on  127.0.0.1:8000"),
        "{shown}"
    );
}

#[test]
fn a_rollout_is_said_of_the_app_and_the_selection_stays_with_its_name() {
    let mut top = shop();
    press(&mut top, "j");
    let mut rolling = app("shop", vec![worker(9, 12)]);
    rolling.state = AppState::RollingOut;
    let (generation, phase) = (Some(GenerationId(8)), PhaseView::Replacing);
    rolling.rollout = Some(RolloutView { generation, phase, ready: 1, wanted: 2, failures: 0 });
    let apps = vec![app("aaa", vec![]), app("blog", vec![]), rolling];
    top.seen(&status(apps), Duration::from_secs(1));
    let shown = screen(&mut top, 80, 24);
    assert!(shown.contains("> shop rolling out"), "{shown}");
    assert!(shown.contains("rollout to g8: replacing workers, 1 of 2 ready"), "{shown}");
    top.seen(&status(vec![app("aaa", vec![])]), Duration::from_secs(2));
    assert!(screen(&mut top, 80, 24).contains("> aaa"));
    assert_eq!((top.pane, top.dialog.as_ref()), (Pane::Apps, None::<&Dialog>));
}
