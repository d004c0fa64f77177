//! The picture: each contestant's worst latency in a reload, before it, and the requests that it lost.
//!
//! ```text
//!             1 ms      10 ms     100 ms     1 s            0   10  100
//! ostler      ├──────●▬▬▬                                   0
//! gunicorn    ├──────●▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬                ▬▬▬ 12
//! ```

use std::fmt::Write;

use crate::found::Bar;
use crate::numbers::figure;

/// Where the columns begin, and how wide they are.
const NAMES: f64 = 16.0;
const LATENCY: f64 = 286.0;
const LATENCY_WIDTH: f64 = 330.0;
const LOST: f64 = 716.0;
const LOST_WIDTH: f64 = 90.0;
const WIDTH: f64 = 880.0;

const TOP: f64 = 74.0;
const ROW: f64 = 34.0;

/// Colours for both kinds of background; a reader's own setting picks.
const STYLE: &str = "
  .back { fill: #ffffff } .text { fill: #1f2328 } .soft { fill: #59636e } .grid { stroke: #d1d9e0; stroke-width: 1 }
  .ours { fill: #1a7f37 } .theirs { fill: #8c959f } .steady { fill: #ffffff; stroke: #1f2328; stroke-width: 1.5 }
  .lost { fill: #cf222e }
  text { font: 13px -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif }
  .title { font-weight: 600 } .small { font-size: 11px }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117 } .text { fill: #e6edf3 } .soft { fill: #9198a1 } .grid { stroke: #3d444d }
    .ours { fill: #3fb950 } .theirs { fill: #656c76 } .steady { fill: #0d1117; stroke: #e6edf3 } .lost { fill: #f85149 }
  }
";

/// The whole file.
pub fn svg(bars: &[Bar], note: &str) -> String {
    let bottom = TOP + ROW * bars.len() as f64;
    let height = bottom + 46.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-label=\"Worst latency and lost requests in a reload\">\n<style>{STYLE}</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n"
    );
    text(&mut svg, LATENCY, 26.0, "title text", "start", "Worst answer in a reload");
    text(
        &mut svg,
        LATENCY,
        43.0,
        "small soft",
        "start",
        "○ worst before it; an app that takes 2 s to import",
    );
    text(&mut svg, LOST, 26.0, "title text", "start", "Requests lost");
    let scale = Scale::of(bars.iter().flat_map(|bar| [bar.worst, bar.steady]));
    grid(&mut svg, &scale, bottom);
    let most = bars.iter().map(|bar| bar.lost).max().unwrap_or(0);
    for (at, bar) in bars.iter().enumerate() {
        row(&mut svg, bar, TOP + ROW * at as f64, &scale, most);
    }
    text(&mut svg, NAMES, bottom + 30.0, "small soft", "start", note);
    svg + "</svg>\n"
}

/// Milliseconds to a place, by their logarithm.
struct Scale {
    from: i32,
    to: i32,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>) -> Scale {
        let values: Vec<f64> = values.filter(|it| it.is_finite() && *it > 0.0).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min).min(1.0);
        let most = values.iter().copied().fold(10.0, f64::max);
        Scale { from: least.log10().floor() as i32, to: most.log10().ceil() as i32 }
    }

    fn place(&self, value: f64) -> f64 {
        let along = (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        LATENCY + LATENCY_WIDTH * along.clamp(0.0, 1.0)
    }
}

fn grid(svg: &mut String, scale: &Scale, bottom: f64) {
    for power in scale.from..=scale.to {
        let value = 10f64.powi(power);
        let x = scale.place(value);
        let (above, below) = (TOP - 6.0, bottom + 2.0);
        let _ =
            writeln!(svg, "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{above}\" x2=\"{x:.1}\" y2=\"{below}\"/>");
        let label = if value >= 1000.0 { format!("{} s", value / 1000.0) } else { format!("{value} ms") };
        text(svg, x, TOP - 11.0, "small soft", "middle", &label);
    }
}

fn row(svg: &mut String, bar: &Bar, top: f64, scale: &Scale, most: usize) {
    let (ours, middle) = (bar.contestant.starts_with("ostler"), top + ROW / 2.0);
    let (name, how) = bar.contestant.split_once(": ").unwrap_or((bar.contestant, ""));
    let weight = if ours { "title text" } else { "text" };
    text(svg, NAMES, middle - 2.0, weight, "start", name);
    text(svg, NAMES, middle + 11.0, "small soft", "start", &how.replace('`', ""));
    let (end, fill) = (scale.place(bar.worst), if ours { "ours" } else { "theirs" });
    rect(svg, fill, LATENCY, middle, end - LATENCY);
    let steady = scale.place(bar.steady);
    let _ = writeln!(svg, "<circle class=\"steady\" cx=\"{steady:.1}\" cy=\"{middle:.1}\" r=\"4\"/>");
    let label = if bar.worst >= 1000.0 {
        format!("{:.1} s", bar.worst / 1000.0)
    } else {
        format!("{} ms", figure(bar.worst))
    };
    text(svg, end.max(steady) + 9.0, middle + 4.0, weight, "start", &label);
    let share = if most == 0 { 0.0 } else { (1.0 + bar.lost as f64).log10() / (1.0 + most as f64).log10() };
    if bar.lost > 0 {
        rect(svg, "lost", LOST, middle, LOST_WIDTH * share);
    }
    let after = LOST + if bar.lost > 0 { LOST_WIDTH * share + 6.0 } else { 0.0 };
    text(svg, after, middle + 4.0, weight, "start", &bar.lost.to_string());
}

fn rect(svg: &mut String, class: &str, x: f64, middle: f64, width: f64) {
    let (y, width) = (middle - 7.0, width.max(1.0));
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"2\"/>"
    );
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
    );
}
