//! Medians with their spread, in columns.

use std::time::Duration;

/// What was measured again and again.
#[derive(Default)]
pub struct Series(Vec<f64>);

impl Series {
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The median and the range.
    pub fn shown(&self, digits: usize) -> String {
        let (least, most) = (self.0.first().unwrap_or(&f64::NAN), self.0.last().unwrap_or(&f64::NAN));
        format!("{:.digits$} ({least:.digits$}-{most:.digits$})", self.median())
    }
}

/// A title and the names of the columns.
pub fn table(title: &str, columns: &[&str]) {
    println!("\n{title}");
    row(columns);
}

pub fn row(cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<22}")).collect();
    println!("  {}", cells.concat().trim_end());
}

pub fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}

pub fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes / 1024)
}
