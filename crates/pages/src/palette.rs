//! Colours: one scale from dark to bright, and hues for lines.

/// The scale's fixed points, evenly spaced: indigo, blue, teal, green, yellow. Lightness rises
/// evenly, so the order survives colour blindness and grey printing.
const SCALE: [[u8; 3]; 5] = [[44, 16, 84], [53, 79, 141], [31, 138, 140], [98, 196, 98], [250, 233, 72]];

/// The same scale in the 6x6x6 colours of 256-colour terminals, darkest first: the codes near the
/// scale whose lightness rises most evenly.
const TERMINAL_SCALE: [u8; 8] = [17, 54, 24, 30, 36, 77, 185, 227];

/// Hues of lines in a chart; they also differ in lightness, and are visible on white and on black.
const HUES: [&str; 8] =
    ["#2f7ed8", "#d9731a", "#2a9d6e", "#c0489a", "#a8861c", "#3aa9c4", "#d14545", "#7d8896"];

/// Colour of a level 0 to 1 as `#rrggbb`.
pub fn hex(level: f32) -> String {
    let [red, green, blue] = rgb(level);
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Colour of a level 0 to 1.
pub fn rgb(level: f32) -> [u8; 3] {
    let position = level.clamp(0.0, 1.0) * (SCALE.len() - 1) as f32;
    let below = (position as usize).min(SCALE.len() - 2);
    let share = position - below as f32;
    std::array::from_fn(|channel| {
        let (from, to) = (f32::from(SCALE[below][channel]), f32::from(SCALE[below + 1][channel]));
        (from + share * (to - from)).round() as u8
    })
}

/// Code of a level 0 to 1 for 256-colour terminals.
pub fn terminal(level: f32) -> u8 {
    let steps = TERMINAL_SCALE.len();
    TERMINAL_SCALE[((level.clamp(0.0, 1.0) * steps as f32) as usize).min(steps - 1)]
}

/// Hue of the line at `index`, and its dash pattern once the hues repeat.
pub fn line(index: usize) -> (&'static str, Option<&'static str>) {
    let dashes = [None, Some("6 3"), Some("2 3"), Some("9 3 2 3")];
    (HUES[index % HUES.len()], dashes[index / HUES.len() % dashes.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIE lightness, 0 to 100.
    fn lightness([red, green, blue]: [u8; 3]) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
        116.0 * luminance.cbrt() - 16.0
    }

    /// The colour of a code of the 6x6x6 cube.
    fn cube(code: u8) -> [u8; 3] {
        let channel = |level: u8| if level == 0 { 0 } else { 55 + 40 * level };
        let code = code - 16;
        [channel(code / 36), channel(code / 6 % 6), channel(code % 6)]
    }

    fn check_rising(name: &str, lightness: &[f64]) {
        for pair in lightness.windows(2) {
            assert!(pair[1] > pair[0], "{name}: {lightness:.1?}");
        }
    }

    #[test]
    fn lightness_rises_along_both_scales() {
        let levels: Vec<f64> = (0..=64).map(|step| lightness(rgb(step as f32 / 64.0))).collect();
        check_rising("picture", &levels);
        check_rising("terminal", &TERMINAL_SCALE.map(|code| lightness(cube(code))));
        // No fixed point may be far from a straight line.
        let points = SCALE.map(lightness);
        for (index, point) in points.iter().enumerate() {
            let straight = points[0] + (points[4] - points[0]) * index as f64 / 4.0;
            assert!((point - straight).abs() < 4.0, "point {index}: {points:.1?}");
        }
    }

    #[test]
    fn ends_and_outside() {
        assert_eq!((rgb(-1.0), rgb(0.0)), (SCALE[0], SCALE[0]));
        assert_eq!((rgb(1.0), rgb(7.0)), (SCALE[4], SCALE[4]));
        assert_eq!(hex(1.0), "#fae948");
        assert_eq!((terminal(0.0), terminal(1.0)), (TERMINAL_SCALE[0], TERMINAL_SCALE[7]));
    }
}
