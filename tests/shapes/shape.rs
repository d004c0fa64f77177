//! How many clients come, over time.

use std::f64::consts::TAU;

/// A shape of traffic: requests a second at each second, for so long.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) seconds: f64,
    pub(crate) rate: fn(f64) -> f64,
}

const QUIET: f64 = 5.0;
const BUSY: f64 = 120.0;
const MINUTE: f64 = 60.0;

/// No shape asks for more than this many requests a second.
pub(crate) const MOST: f64 = BUSY;

pub(crate) const SHAPES: [Shape; 6] = [
    Shape { name: "ramp", seconds: 60.0 * MINUTE, rate: ramp },
    Shape { name: "spike", seconds: 60.0 * MINUTE, rate: spike },
    Shape { name: "day", seconds: 240.0 * MINUTE, rate: day },
    Shape { name: "sawtooth", seconds: 60.0 * MINUTE, rate: sawtooth },
    Shape { name: "square", seconds: 120.0 * MINUTE, rate: square },
    Shape { name: "steady", seconds: 60.0 * MINUTE, rate: |_| 40.0 },
];

/// Up within ten minutes, ten minutes high, down within ten.
fn ramp(second: f64) -> f64 {
    let minute = second / MINUTE;
    let share = (minute / 10.0).min((30.0 - minute) / 10.0).clamp(0.0, 1.0);
    QUIET + (BUSY - QUIET) * share
}

/// From one second to the next everybody is there, for three minutes.
fn spike(second: f64) -> f64 {
    if (5.0 * MINUTE..8.0 * MINUTE).contains(&second) { BUSY } else { QUIET }
}

/// A day in four hours: nobody at night, most in the evening.
fn day(second: f64) -> f64 {
    let hour = second / (240.0 * MINUTE) * 24.0;
    let swing = 0.5 - 0.5 * ((hour - 3.0) / 24.0 * TAU).cos();
    let evening = (-((hour - 19.0) / 2.0).powi(2)).exp();
    (QUIET + 70.0 * swing + 40.0 * evening).min(BUSY)
}

/// Up within four minutes, down at once, again and again.
fn sawtooth(second: f64) -> f64 {
    QUIET + (100.0 - QUIET) * (second % (4.0 * MINUTE)) / (4.0 * MINUTE)
}

/// Seven minutes high, seven low: longer than it takes until a worker goes.
fn square(second: f64) -> f64 {
    if second % (14.0 * MINUTE) < 7.0 * MINUTE { 80.0 } else { QUIET }
}
