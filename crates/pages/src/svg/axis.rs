//! Positions of values on an axis, and the round numbers beside it.

use crate::human;

/// Values beyond this are not drawn, since ratios of two could not be computed. Differences below its inverse are not shown either.
const LARGEST: f64 = 1e150;

/// Whether a value has a position on an axis.
pub(super) fn drawable(value: f64, log: bool) -> bool {
    value.abs() <= LARGEST && (!log || value >= 1.0 / LARGEST)
}

/// A range of values, `low` < `high`, and its round numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    wanted_ticks: usize,
    /// Distance of evenly spaced ticks.
    step: f64,
}

impl Axis {
    /// The range of all values, which must be [`drawable`]; made wider if it is a single value,
    /// and 0 to 1 (or 1 to 10) if there is none.
    pub(super) fn around(values: impl Iterator<Item = f64>, log: bool, wanted_ticks: usize) -> Self {
        let (mut low, mut high, mut whole) = (f64::INFINITY, f64::NEG_INFINITY, true);
        for value in values {
            (low, high, whole) = (low.min(value), high.max(value), whole && value.fract() == 0.0);
        }
        if low > high {
            (low, high, whole) = if log { (1.0, 10.0, false) } else { (0.0, 1.0, false) };
        }
        // The digits of a number could not distinguish ticks that are closer together.
        if high - low <= (1e-9 * low.abs().max(high.abs())).max(1.0 / LARGEST) {
            let by = if low.abs() < 1.0 / LARGEST { 0.5 } else { low.abs() * 0.5 };
            (low, high) = if log { (low / 2.0, high * 2.0) } else { (low - by, high + by) };
        }
        let step = round_step((high - low) / wanted_ticks as f64);
        // Epochs and updates are whole numbers, so no tick lies between two of them.
        let step = if whole && high - low >= 2.0 { step.max(1.0) } else { step };
        Self { low, high, log, wanted_ticks, step }
    }

    /// Moves the ends of the range outwards to the next tick; on a logarithmic scale a little outwards.
    pub(super) fn widened(mut self) -> Self {
        if self.log {
            let margin = (self.high / self.low).powf(0.04);
            (self.low, self.high) = (self.low / margin, self.high * margin);
        } else {
            let step = self.step;
            (self.low, self.high) = ((self.low / step).floor() * step, (self.high / step).ceil() * step);
        }
        self
    }

    /// The position of a value, 0 (low end) to 1 (high end).
    pub(super) fn share(&self, value: f64) -> f64 {
        if self.log {
            (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// Round numbers within the range, rising: about as many as wanted.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.log { self.log_ticks() } else { self.even_ticks() }
    }

    fn even_ticks(&self) -> Vec<f64> {
        let step = self.step;
        // A tick that rounding puts just outside still counts.
        let (first, last) = ((self.low / step - 1e-6).ceil(), (self.high / step + 1e-6).floor());
        let count = (last - first).clamp(0.0, 4.0 * self.wanted_ticks as f64) as usize;
        (0..=count).map(|index| tidy((first + index as f64) * step, step)).collect()
    }

    /// Powers of ten (every second, third, … if there are many), with 2 and 5 between them if
    /// there are few, and evenly spaced numbers if even those are too few.
    fn log_ticks(&self) -> Vec<f64> {
        let (low, high) = (self.low.log10(), self.high.log10());
        let is_short = high.ceil() - low.floor() <= 3.0;
        let digits: &[f64] = if is_short { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let inside = |tick: &f64| *tick >= self.low * (1.0 - 1e-9) && *tick <= self.high * (1.0 + 1e-9);
        let mut ticks: Vec<f64> = (low.floor() as i32..=high.ceil() as i32)
            .flat_map(|power| {
                digits.iter().map(move |digit| tidy(digit * 10f64.powi(power), 10f64.powi(power)))
            })
            .filter(inside)
            .collect();
        if !is_short {
            let stride = ticks.len().div_ceil(self.wanted_ticks + 1).max(1);
            ticks = ticks.into_iter().step_by(stride).collect();
        }
        if ticks.len() >= 3 { ticks } else { self.even_ticks() }
    }
}

/// A round number near `rough`: 1, 2 or 5 times a power of ten.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let digit = rough / power;
    // A rough step just above a round one becomes that one: one tick too many does no harm.
    power
        * if digit <= 1.2 {
            1.0
        } else if digit <= 2.4 {
            2.0
        } else if digit <= 6.0 {
            5.0
        } else {
            10.0
        }
}

/// A multiple of `step` without the rounding errors of binary fractions: 0.30000000000000004 becomes 0.3.
fn tidy(value: f64, step: f64) -> f64 {
    let decimals = -step.log10().floor();
    if (0.0..=300.0).contains(&decimals) {
        format!("{value:.*}", decimals as usize).parse::<f64>().map_or(value, |tidied| tidied + 0.0)
    } else {
        value
    }
}

/// A number in its shortest form: `0.05`, `12,500`, `1.5e-7`; at most six significant digits.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e7).contains(&magnitude) {
        let text = format!("{value:.5e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        return format!("{digits}e{power}");
    }
    if magnitude >= 10_000.0 || (magnitude >= 1000.0 && value.fract() == 0.0) {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{}", human::count(magnitude.round() as u64));
    }
    let decimals = (5 - magnitude.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], log: bool, expected: &[f64]) {
        let axis = Axis::around(values.iter().copied(), log, 6);
        assert_eq!(axis.ticks(), expected, "{values:?}, log {log}");
        assert!(axis.ticks().iter().all(|&tick| (-1e-6..=1.0 + 1e-6).contains(&axis.share(tick))));
    }

    #[test]
    fn ticks_are_round_and_inside() {
        check(&[0.0, 1.0], false, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        check(&[0.0, 0.3], false, &[0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]);
        check(&[1.0, 5.0], false, &[1.0, 2.0, 3.0, 4.0, 5.0]);
        check(&[-1000.0, 11_000.0], false, &[0.0, 2000.0, 4000.0, 6000.0, 8000.0, 10_000.0]);
        check(&[-0.04, 0.05], false, &[-0.04, -0.02, 0.0, 0.02, 0.04]);
        check(&[], false, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        check(&[7.0], false, &[4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]);
    }

    #[test]
    fn counted_things_have_whole_ticks_and_widening_keeps_the_step() {
        check(&[1.0, 2.0, 3.0], false, &[1.0, 2.0, 3.0]);
        check(&[1.0, 2.5, 3.0], false, &[1.0, 1.5, 2.0, 2.5, 3.0]);
        let axis = Axis::around([0.34, 140.0].into_iter(), false, 6).widened();
        assert_eq!(axis.ticks(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0]);
        assert_eq!((axis.share(0.0), axis.share(140.0)), (0.0, 1.0));
    }

    #[test]
    fn logarithmic_ticks_suit_the_number_of_decades() {
        check(&[8.0, 900.0], true, &[10.0, 20.0, 50.0, 100.0, 200.0, 500.0]);
        check(&[1.0, 1e5], true, &[1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0]);
        check(&[1e-12, 1e12], true, &[1e-12, 1e-8, 1e-4, 1.0, 1e4, 1e8, 1e12]);
        check(&[0.76, 1318.0], true, &[1.0, 10.0, 100.0, 1000.0]);
        check(&[3.0, 4.5], true, &[3.0, 3.5, 4.0, 4.5]);
        check(&[], true, &[1.0, 2.0, 5.0, 10.0]);
    }

    #[test]
    fn extreme_ranges_neither_loop_nor_fail() {
        for log in [false, true] {
            for values in [
                &[1e-150, 1e150][..],
                &[-1e150, 1e150],
                &[1e150],
                &[1e-150],
                &[1.0, 1.0 + 1e-15],
                &[5e-324, 0.1],
                &[0.0, 5e-324],
                &[f64::MAX, f64::MIN],
            ] {
                let drawn: Vec<f64> = values.iter().copied().filter(|&value| drawable(value, log)).collect();
                let ticks = Axis::around(drawn.iter().copied(), log, 6).widened().ticks();
                assert!((2..=26).contains(&ticks.len()), "{values:?}: {ticks:?}");
                assert!(ticks.iter().all(|tick| tick.is_finite()), "{values:?}: {ticks:?}");
            }
        }
        assert!(!drawable(f64::NAN, false) && !drawable(f64::INFINITY, false) && !drawable(0.0, true));
    }

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (0.05, "0.05"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (10.0, "10"),
            (5000.0, "5,000"),
            (9999.5, "9999.5"),
            (12_500.0, "12,500"),
            (-12_500.0, "-12,500"),
            (1.5e-7, "1.5e-7"),
            (2e9, "2e9"),
            (1.0 / 3.0, "0.333333"),
        ] {
            assert_eq!(number(value), expected);
        }
    }
}
