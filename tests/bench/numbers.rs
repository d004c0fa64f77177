//! Medians with their spread.

use std::time::Duration;

/// What was measured again and again.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The median and the range; the median alone where there was one round.
    pub fn shown(&self, unit: &str) -> String {
        let (least, most) = (self.0.first().unwrap_or(&f64::NAN), self.0.last().unwrap_or(&f64::NAN));
        let median = figure(self.median());
        let space = if unit.is_empty() { "" } else { " " };
        match self.0.len() {
            0 => "–".to_owned(),
            1 => format!("{median}{space}{unit}"),
            _ => format!("{median}{space}{unit} ({}–{})", figure(*least), figure(*most)),
        }
    }
}

/// Three digits that say something.
pub fn figure(value: f64) -> String {
    match value.abs() {
        it if it >= 100.0 || it == 0.0 => format!("{value:.0}"),
        it if it >= 10.0 => format!("{value:.1}"),
        it if it >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}
