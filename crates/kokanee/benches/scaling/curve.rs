//! A curve of measured and expected times, as a picture and as a table.

use std::fmt::Write as _;

use kokanee_pages::svg::lines::{self, Chart, Series};

use crate::law::{Cost, Law};
use crate::output::Output;
use crate::windows::Windows;

/// The scale of a curve's axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Axes {
    /// Heights are proportional to times, and a straight line means linear growth.
    FromZero,
    /// Powers are straight lines.
    Logarithmic,
}

/// The unit of a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    /// Label of the axis.
    pub(crate) name: &'static str,
    /// Head of the table's column.
    pub(crate) column: &'static str,
    /// How many of the unit are one second.
    pub(crate) of_a_second: f64,
}

/// Points of all series of one picture.
pub(crate) struct Curve {
    /// Name of the picture and of the section, without extension.
    pub(crate) file: &'static str,
    title: &'static str,
    x_label: &'static str,
    axes: Axes,
    unit: Unit,
    pub(crate) points: Vec<Point>,
}

/// One measurement.
pub(crate) struct Point {
    pub(crate) series: String,
    pub(crate) x: f64,
    pub(crate) seconds: Windows,
    pub(crate) cost: Cost,
    /// Seconds according to the law.
    pub(crate) expected: f64,
    /// The largest number of multiply-adds per second.
    pub(crate) peak: f64,
}

/// Curves that share their laws.
pub(crate) struct Study {
    pub(crate) curves: Vec<Curve>,
    /// For each precision: its law, and the largest number of multiply-adds per second of its products.
    pub(crate) laws: Vec<(String, Law, f64)>,
}

impl Study {
    /// Prints the tables, and passes them and the pictures to the output.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn publish(&self, name: &str, output: &Output) -> Result<(), String> {
        let mut table = String::from(
            "| precision | arithmetic | of the peak | parameters go by at |\n|---|---|---|---|\n",
        );
        for (precision, law, peak) in &self.laws {
            let rate = 1.0 / law.seconds_a_multiply_add;
            let bytes = match law.seconds_a_byte {
                0.0 => "no time of their own".to_owned(),
                seconds => format!("{:.0} GB/s", 1e-9 / seconds),
            };
            let (gflops, share) = (2e-9 * rate, 100.0 * rate / peak);
            let _ = writeln!(table, "| {precision} | {gflops:.0} GFLOP/s | {share:.0}% | {bytes} |");
        }
        println!("\n{name}: the law's constants\n\n{table}");
        output.section(&format!("{name}-law"), &table)?;
        for curve in &self.curves {
            let table = curve.table();
            println!("\n{}\n\n{table}", curve.title);
            let picture = output.picture(curve.file, &curve.picture())?;
            output.section(curve.file, &format!("![{}]({picture})\n\n{table}", curve.title))?;
        }
        Ok(())
    }
}

impl Curve {
    pub(crate) fn new(
        file: &'static str,
        title: &'static str,
        x_label: &'static str,
        axes: Axes,
        unit: Unit,
    ) -> Curve {
        Curve { file, title, x_label, axes, unit, points: Vec::new() }
    }

    fn table(&self) -> String {
        let mut table = format!(
            "| {} | | {} | windows | expected | measured over expected | GFLOP/s | of the peak |\n\
             |---|---|---|---|---|---|---|---|\n",
            self.x_label, self.unit.column
        );
        let written = |seconds: f64| {
            let value = seconds * self.unit.of_a_second;
            let decimals = if value >= 100.0 {
                0
            } else if value >= 10.0 {
                1
            } else {
                2
            };
            format!("{value:.decimals$}")
        };
        for point in &self.points {
            let rate = point.cost.multiply_adds / point.seconds.median;
            let _ = writeln!(
                table,
                "| {} | {} | {} | {} to {} | {} | {:.2} | {:.0} | {:.0}% |",
                point.x,
                point.series,
                written(point.seconds.median),
                written(point.seconds.low),
                written(point.seconds.high),
                written(point.expected),
                point.seconds.median / point.expected,
                2e-9 * rate,
                100.0 * rate / point.peak,
            );
        }
        table
    }

    fn picture(&self) -> String {
        let mut series: Vec<Series> = Vec::new();
        let mut x_ticks = Vec::new();
        for point in &self.points {
            if !x_ticks.contains(&point.x) {
                x_ticks.push(point.x);
            }
            let at = match series.iter().position(|series| series.name == point.series) {
                Some(at) => at,
                None => {
                    series.push(Series { name: point.series.clone(), ..Series::default() });
                    series.len() - 1
                }
            };
            series[at].points.push((point.x, point.seconds.median * self.unit.of_a_second));
            series[at].expected.push((point.x, point.expected * self.unit.of_a_second));
        }
        let log = self.axes == Axes::Logarithmic;
        lines::draw(&Chart {
            title: self.title.to_owned(),
            x_label: self.x_label.to_owned(),
            y_label: self.unit.name.to_owned(),
            log_x: log,
            log_y: log,
            y_from_zero: !log,
            x_ticks,
            series,
            ..Chart::default()
        })
        .document()
    }
}
