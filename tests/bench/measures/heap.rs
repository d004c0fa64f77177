//! Memory of four workers of an app that keeps a lot, loaded once and shared where that can be had.

use std::collections::BTreeMap;

use crate::Effort;
use crate::app::App;
use crate::contestants::{Contestant, Ostler, SYNC, Server, Shop, gunicorn_with};
use crate::found::{Found, Table};
use crate::harness::{Proc, until};
use crate::load::get;
use crate::numbers::{figure, mib};
use crate::watch::pss;

const HOW: &str = "PSS of 4 sync workers and their supervisor; the app keeps 150,000 dictionaries with a list in each, and every worker has \
    collected its garbage some times, which is what takes shared memory apart.";

/// ostler's key for it. One that does not know it is shown without.
pub const PRELOAD: &str = "preload = true";

pub fn run(effort: Effort, with: &[Contestant]) -> Found {
    let heap = if effort.quick { 5_000 } else { 150_000 };
    let shop = Shop { class: SYNC, settle: Some("300ms"), ..Shop::of(App { heap, import: 0.0 }, 4) };
    let mut found = Found::default();
    let mut table =
        Table::new("Memory of an app with a large heap", HOW, &["", "all processes", "of gunicorn's"]);
    let mut rows: Vec<(&str, f64)> = Vec::new();
    if with.contains(&Contestant::Gunicorn) {
        rows.push(("gunicorn", all(effort, &*Contestant::Gunicorn.start(&shop))));
        rows.push(("gunicorn `--preload`", all(effort, &gunicorn_with(&shop, &["--preload"]))));
    }
    rows.push(("ostler", all(effort, &Ostler::start(&shop, &[]))));
    match Ostler::try_start(&shop, &[PRELOAD]) {
        Ok(ostler) => rows.push(("ostler `preload = true`", all(effort, &ostler))),
        Err(_) => println!("  this ostlerd knows no `{PRELOAD}`"),
    }
    let of = |name: &str| rows.iter().find(|(have, _)| *have == name).map(|(_, memory)| *memory);
    let theirs = of("gunicorn");
    for (name, memory) in &rows {
        let ratio = theirs.map_or_else(|| "–".to_owned(), |theirs| format!("{}×", figure(memory / theirs)));
        table.row(&[name, &format!("{} MiB", figure(*memory)), &ratio]);
    }
    if let (Some(ours), Some(preloaded)) = (of("ostler `preload = true`"), of("gunicorn `--preload`")) {
        let figure = format!("{} MiB, {}× of gunicorn's --preload", figure(ours), figure(ours / preloaded));
        found.aim("memory of 4 workers, large heap, preload", "≤ 0.5×", figure, ours <= 0.5 * preloaded);
    }
    found.tables.push(table);
    found
}

/// After some collections in every worker.
fn all(effort: Effort, server: &dyn Server) -> f64 {
    let workers = until("all workers are there", || Some(server.workers()).filter(|it| it.len() == 4));
    let target = server.target();
    let mut seen = BTreeMap::<String, u32>::new();
    until("every worker has collected its garbage", || {
        // At once, for one worker alone would take them one by one.
        let asked: Vec<_> = (0..2 * workers.len())
            .map(|_| target.clone())
            .map(|target| std::thread::spawn(move || get(&target, "/collect")))
            .collect();
        for answer in asked {
            let answer = answer.join().expect("no panic").expect("it serves");
            *seen.entry(answer.text()).or_default() += 1;
        }
        let enough = if effort.quick { 1 } else { 3 };
        (seen.values().filter(|count| **count >= enough).count() >= workers.len()).then_some(())
    });
    let processes: Vec<Proc> = server.supervisor().into_iter().chain(workers.into_iter().map(Proc)).collect();
    mib(pss(&processes))
}
