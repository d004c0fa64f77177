//! Requests lost in a rollout: every worker class, connections that close and connections that stay.

use crate::Effort;
use crate::app::App;
use crate::contestants::{CLASSES, Class, Contestant, Shop};
use crate::found::{Found, Table};
use crate::load::Load;

use super::{beside_gunicorn, by_turns};

const HOW: &str = "Two rollouts each of an app that takes half a second to import, 2 workers, under six connections: \
    lost of all requests.";

#[derive(Clone, Copy, Default)]
struct Lost {
    lost: usize,
    asked: usize,
}

pub fn run(effort: Effort, with: &[Contestant]) -> Found {
    let mut found = Found::default();
    let columns =
        ["class", "gunicorn, closing", "gunicorn, keep-alive", "ostler, closing", "ostler, keep-alive"];
    let mut table = Table::new("Requests lost in a rollout", HOW, &columns);
    let contestants = beside_gunicorn(with);
    let (mut ours, mut asked) = (0, 0);
    for (turn, class) in CLASSES.iter().take(effort.rounds(CLASSES.len())).enumerate() {
        let mut cells = vec![class.name.to_owned()];
        let mut of: Vec<(Contestant, [Lost; 2])> = Vec::new();
        for (_, contestant) in by_turns(&contestants, turn) {
            of.push((
                contestant,
                [false, true].map(|keep_alive| lost(effort, contestant, *class, keep_alive)),
            ));
        }
        for contestant in [Contestant::Gunicorn, Contestant::Ostler] {
            let lost = of.iter().find(|(it, _)| *it == contestant).map(|(_, lost)| *lost);
            let shown = |it: Lost| format!("{} of {}", it.lost, it.asked);
            cells.extend(lost.map_or(["–".into(), "–".into()], |lost| lost.map(shown)));
            if let (Contestant::Ostler, Some(lost)) = (contestant, lost) {
                ours += lost[0].lost + lost[1].lost;
                asked += lost[0].asked + lost[1].asked;
            }
        }
        table.row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    found.tables.push(table);
    let what = "requests lost in a rollout, every worker class, closing and keep-alive";
    found.aim(what, "0", format!("{ours} of {asked}"), ours == 0);
    if ours > 0 {
        found.lost.push(format!("{ours} in rollouts of the worker classes"));
    }
    found
}

fn lost(effort: Effort, contestant: Contestant, class: Class, keep_alive: bool) -> Lost {
    let import = if effort.quick { 0.0 } else { 0.5 };
    let shop = Shop { class, settle: Some("300ms"), ..Shop::of(App::slow(import), 2) };
    let server = contestant.start(&shop);
    let load = Load::on(&server.target()).keep_alive(keep_alive).start();
    for _ in 0..effort.rounds(2) {
        load.more(100);
        server.reload();
    }
    load.more(100);
    let tally = load.stop();
    if contestant == Contestant::Ostler && tally.lost() > 0 {
        println!("  {}, keep-alive {keep_alive}: {tally}", class.name);
    }
    Lost { lost: tally.lost(), asked: tally.samples.len() }
}
