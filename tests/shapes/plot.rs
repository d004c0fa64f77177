//! The shapes as a picture: what there was to do, how many workers there were, how long clients waited.

use std::fmt::Write;

use crate::model::{Run, SERVICE};
use crate::shape::Shape;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 44.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 26.0;
const COLUMNS: usize = 2;
const MOST_WORKERS: f64 = 18.0;
/// So many points a line has.
const POINTS: usize = 400;

const LOAD: &str = "#9aa5b1";
const WORKERS: &str = "#1f6feb";
const WAIT: &str = "#d1242f";

/// The picture, one panel for each shape.
pub(crate) fn svg(panels: &[(&Shape, &Run)]) -> String {
    let rows = panels.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * rows as f64 + 30.0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let legend =
        [(LOAD, "workers that the load keeps busy"), (WORKERS, "workers"), (WAIT, "longest wait, seconds")];
    let mut x = LEFT;
    for (ink, words) in legend {
        push(&mut text, &format!("<rect x=\"{x}\" y=\"12\" width=\"14\" height=\"6\" fill=\"{ink}\"/>"));
        push(&mut text, &format!("<text x=\"{}\" y=\"19\" fill=\"#24292f\">{words}</text>", x + 20.0));
        x += 40.0 + words.len() as f64 * 6.0;
    }
    for (number, (shape, run)) in panels.iter().enumerate() {
        let (column, row) = ((number % COLUMNS) as f64, (number / COLUMNS) as f64);
        let at = format!("<g transform=\"translate({},{})\">", column * WIDTH, row * HEIGHT + 30.0);
        push(&mut text, &at);
        panel(&mut text, shape, run);
        push(&mut text, "</g>");
    }
    text.push_str("</svg>\n");
    text
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn panel(text: &mut String, shape: &Shape, run: &Run) {
    let (wide, high) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let x = |second: f64| LEFT + wide * second / shape.seconds;
    let y = |workers: f64| TOP + high * (1.0 - workers / MOST_WORKERS);
    let worst = run.wait(1.0).max(1.0).ceil();
    let wait = |seconds: f64| TOP + high * (1.0 - seconds / worst);
    push(
        text,
        &format!(
            "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\" fill=\"#24292f\">{}</text>",
            TOP - 10.0,
            shape.name
        ),
    );
    for workers in [0.0, 4.0, 8.0, 12.0, 16.0] {
        let (at, right) = (y(workers), LEFT + wide);
        push(
            text,
            &format!("<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#d8dee4\"/>"),
        );
        push(
            text,
            &format!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#57606a\">{workers}</text>",
                LEFT - 6.0,
                at + 4.0
            ),
        );
    }
    push(
        text,
        &format!("<text x=\"{}\" y=\"{}\" fill=\"{WAIT}\">{worst} s</text>", LEFT + wide + 5.0, TOP + 4.0),
    );
    for part in 0..=4 {
        let second = shape.seconds * f64::from(part) / 4.0;
        let words = format!("{} min", (second / 60.0) as u32);
        push(
            text,
            &format!(
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#57606a\">{words}</text>",
                x(second),
                HEIGHT - 10.0
            ),
        );
    }
    let step = shape.seconds / POINTS as f64;
    for (second, longest) in longest_waits(run, step) {
        let (at, top, bottom) = (x(second), wait(longest), wait(0.0));
        push(
            text,
            &format!(
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom:.1}\" y2=\"{top:.1}\" stroke=\"{WAIT}\"/>"
            ),
        );
    }
    let load: Vec<(f64, f64)> = (0..=POINTS)
        .map(|point| point as f64 * step)
        .map(|second| (x(second), y((shape.rate)(second) * SERVICE)))
        .collect();
    line(text, &load, LOAD);
    let mut steps = Vec::new();
    for (second, wanted) in &run.wanted {
        if let Some((_, before)) = steps.last().copied() {
            steps.push((x(*second), before));
        }
        steps.push((x(*second), y(f64::from(*wanted))));
    }
    if let Some((_, last)) = steps.last().copied() {
        steps.push((x(shape.seconds), last));
    }
    line(text, &steps, WORKERS);
}

/// The longest wait that began in each stretch of time, where somebody waited.
fn longest_waits(run: &Run, step: f64) -> Vec<(f64, f64)> {
    let mut longest = std::collections::BTreeMap::<u64, f64>::new();
    for (second, wait) in &run.waited {
        let entry = longest.entry((second / step) as u64).or_default();
        *entry = entry.max(*wait);
    }
    longest.into_iter().map(|(part, wait)| (part as f64 * step, wait)).collect()
}

fn line(text: &mut String, points: &[(f64, f64)], ink: &str) {
    let mut list = String::new();
    for (x, y) in points {
        write!(list, "{x:.1},{y:.1} ").expect("a text takes everything");
    }
    push(
        text,
        &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{ink}\" stroke-width=\"1.6\"/>",
            list.trim_end()
        ),
    );
}
