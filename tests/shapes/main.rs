//! Shapes of traffic against the number of workers: the real core in a model of a queue, with a table of what came of it.
//!
//! `cargo test --test shapes -- --nocapture` prints the table; `OSTLER_PLOT=FOLDER` writes `scaling.svg` there as well.

mod model;
mod plot;
mod shape;

use std::time::Duration;

use model::{Run, Workers, noticed, run};
use shape::{SHAPES, Shape};

const MIN: u32 = 2;
const MAX: u32 = 16;
const RANGE: Workers = Workers::Range { min: MIN, max: MAX };
const SEED: u64 = 7;

/// From a worker that is there at once to one that takes long to load the app.
const BOOTS: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(2)];

/// How long clients may wait at worst where the load decides, by shape, for each of `BOOTS`, in seconds.
const WORST: [(&str, [f64; 2]); 6] = [
    ("ramp", [1.5, 3.0]),
    ("spike", [3.5, 9.0]),
    ("day", [1.5, 3.0]),
    ("sawtooth", [1.5, 3.0]),
    ("square", [3.5, 9.0]),
    ("steady", [2.5, 5.0]),
];

fn shape(name: &str) -> &'static Shape {
    SHAPES.iter().find(|shape| shape.name == name).expect("there is one of that name")
}

fn row(shape: &Shape, words: &str, run: &Run) {
    let paid = run.paid / shape.seconds;
    println!(
        "{:<9} {words:<22} {:>8.2} {:>8.2} {:>8.2} {:>5} {paid:>8.1} {:>8}",
        shape.name,
        run.wait(0.5),
        run.wait(0.99),
        run.wait(1.0),
        run.most(),
        run.changes(),
    );
}

#[test]
fn no_shape_lets_clients_wait_for_long_and_none_takes_more_than_it_may() {
    println!(
        "{:<9} {:<22} {:>8} {:>8} {:>8} {:>5} {:>8} {:>8}",
        "shape", "workers", "median", "p99", "worst", "most", "average", "changes"
    );
    for (name, worst) in WORST {
        let shape = shape(name);
        let most = run(shape, Workers::Fixed(MAX), BOOTS[1], SEED);
        row(shape, &format!("{MAX}"), &most);
        for (boot, worst) in BOOTS.into_iter().zip(worst) {
            let scaled = run(shape, RANGE, boot, SEED);
            row(shape, &format!("{MIN} to {MAX}, boot {} s", boot.as_secs_f64()), &scaled);
            assert!(scaled.wanted.iter().all(|(_, wanted)| (MIN..=MAX).contains(wanted)), "{name}");
            assert!(scaled.wait(1.0) <= worst, "{name}, {boot:?}: {} s", scaled.wait(1.0));
            assert!(scaled.paid <= most.paid, "{name}, {boot:?}: more workers than always {MAX}");
        }
        row(shape, &format!("{MIN}"), &run(shape, Workers::Fixed(MIN), BOOTS[1], SEED));
    }
}

#[test]
fn more_workers_are_started_within_a_second_after_nobody_has_time_any_more() {
    for waiting in [0, 1, 5, 100] {
        let longest = (0..100).map(|step| noticed(RANGE, 20.0 + f64::from(step) / 100.0, waiting));
        let longest = longest.fold(0.0, f64::max);
        println!("{waiting} wait: noticed within {longest:.2} s");
        assert!(longest <= 1.0, "{waiting} wait: {longest} s");
    }
}

#[test]
fn a_load_that_goes_up_and_down_does_not_take_the_workers_with_it() {
    for (name, most) in [("sawtooth", 4), ("square", 4), ("ramp", 3), ("spike", 3), ("day", 6)] {
        for seed in 0..3 {
            let scaled = run(shape(name), RANGE, BOOTS[0], seed);
            let regrets = scaled.regrets(0.0);
            assert!(regrets <= most, "{name}, seed {seed}: {regrets} in {:?}", scaled.wanted);
        }
    }
}

#[test]
fn under_a_steady_load_the_number_of_workers_comes_to_rest() {
    let rates: [fn(f64) -> f64; 4] = [|_| 2.0, |_| 15.0, |_| 40.0, |_| 90.0];
    for of in rates {
        let shape = Shape { name: "steady", seconds: 3.0 * 3600.0, rate: of };
        let runs: Vec<Run> = (0..10).map(|seed| run(&shape, RANGE, BOOTS[1], seed)).collect();
        let regrets: usize = runs.iter().map(|run| run.regrets(1800.0)).sum();
        let late = |run: &Run| run.wanted.iter().filter(|(at, _)| *at > 3600.0).count();
        let changes: usize = runs.iter().map(late).sum();
        println!("{} requests a second: {regrets} regrets, {changes} changes in ten runs", of(0.0));
        let wanted = || runs.iter().map(|run| &run.wanted).collect::<Vec<_>>();
        // Chance brings a crowd now and then: two in ten thousand seconds, and no more than four changes in two hours.
        assert!(regrets <= 2 * runs.len(), "{}: {:?}", of(0.0), wanted());
        assert!(changes <= 4 * runs.len(), "{}: {:?}", of(0.0), wanted());
    }
}

#[test]
fn the_same_seed_leads_to_the_same_run() {
    let (one, other) = (run(shape("spike"), RANGE, BOOTS[1], 3), run(shape("spike"), RANGE, BOOTS[1], 3));
    assert_eq!((one.wanted, one.waits), (other.wanted, other.waits));
}

#[test]
fn the_shapes_are_drawn() {
    let drawn = ["ramp", "spike", "day", "sawtooth"].map(shape);
    let runs = drawn.map(|shape| run(shape, RANGE, BOOTS[1], SEED));
    let panels: Vec<(&Shape, &Run)> = drawn.into_iter().zip(&runs).collect();
    let svg = plot::svg(&panels);
    assert_eq!(svg.matches("<polyline").count(), 2 * panels.len());
    if let Some(folder) = std::env::var_os("OSTLER_PLOT") {
        let path = std::path::Path::new(&folder).join("scaling.svg");
        std::fs::write(&path, svg).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
