//! The charts of a search over settings: best so far, parallel coordinates, importance, slices.

use crate::svg::lines::{Chart, Series};
use crate::svg::parallel::{ParallelAxis, ParallelLine};
use crate::svg::scatter::Scatter;
use crate::svg::{Drawing, bars, bars::Bars, lines, parallel, scatter};

/// Results are drawn on a logarithmic scale if the greatest is more than this many times the least.
const DECADES: f64 = 20.0;

/// A search.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The name of the objective.
    pub objective: String,
    /// The noun for a run.
    pub noun: &'static str,
    /// Width and height of the plotting area of most charts, in pixels.
    pub area: (f64, f64),
    /// Whether higher values of the objective are better.
    pub maximizes: bool,
    /// The settings.
    pub axes: Vec<ParallelAxis>,
    /// The runs, in their order.
    pub runs: Vec<Run>,
    /// The share of the differences that each setting explains, by its name; may be empty.
    pub importance: Vec<(String, f64)>,
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Counted from 1.
    pub number: u32,
    /// Its name in tooltips.
    pub name: String,
    /// A value for each setting, for categories their index; `None` where it has none.
    pub values: Vec<Option<f64>>,
    /// The result.
    pub result: Option<f64>,
}

impl Search {
    /// The result of each run, and the best one up to it.
    pub fn best_so_far(&self) -> Drawing {
        let results: Vec<(f64, f64)> =
            self.runs.iter().filter_map(|run| Some((f64::from(run.number), run.result?))).collect();
        let mut best: Option<f64> = None;
        let best_so_far = results.iter().map(|&(number, result)| {
            let value = best.filter(|best| !self.prefers(result, *best)).unwrap_or(result);
            best = Some(value);
            (number, value)
        });
        lines::draw(&Chart {
            title: format!("Best {} so far", self.objective),
            x_label: self.noun.to_owned(),
            y_label: self.objective.clone(),
            series: vec![Series {
                name: "best so far".to_owned(),
                points: best_so_far.collect(),
                raw: results,
                ..Series::default()
            }],
            log_y: self.has_decades(),
            area: self.area,
            has_legend: false,
            has_hover: true,
            ..Chart::default()
        })
    }

    /// One line for each run through all settings and the result, the best on top.
    pub fn parallel(&self) -> Drawing {
        let axis =
            ParallelAxis { name: self.objective.clone(), log: self.has_decades(), categories: Vec::new() };
        let axes: Vec<ParallelAxis> = self.axes.iter().cloned().chain([axis]).collect();
        let mut runs: Vec<(&Run, f64)> =
            self.runs.iter().filter_map(|run| Some((run, run.result?))).collect();
        // The worst run comes first.
        runs.sort_by(
            |(_, one), (_, other)| if self.maximizes { one.total_cmp(other) } else { other.total_cmp(one) },
        );
        let last = runs.len().saturating_sub(1).max(1) as f32;
        let lines: Vec<ParallelLine> = runs
            .iter()
            .enumerate()
            .map(|(rank, (run, result))| ParallelLine {
                name: run.name.clone(),
                values: run.values.iter().copied().chain([Some(*result)]).collect(),
                level: Some(rank as f32 / last),
            })
            .collect();
        parallel::draw("Parallel coordinates (brighter is better)", &axes, &lines)
    }

    /// The importance of each setting, where it is known.
    pub fn importance(&self) -> Option<Drawing> {
        let mut amounts = self.importance.clone();
        amounts.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        (!amounts.is_empty()).then(|| {
            bars::draw(&Bars {
                title: format!("Importance for {}", self.objective),
                x_label: "share of variance explained".to_owned(),
                bars: amounts,
                area: self.area,
            })
        })
    }

    /// The result over each setting.
    pub fn slices(&self) -> Vec<Drawing> {
        let slice = |(index, axis): (usize, &ParallelAxis)| {
            let point = |run: &Run| Some((run.values.get(index).copied()??, run.result?, run.name.clone()));
            scatter::draw(&Scatter {
                title: format!("{} over {}", self.objective, axis.name),
                x_label: axis.name.clone(),
                log_x: axis.log,
                log_y: self.has_decades(),
                categories: axis.categories.clone(),
                points: self.runs.iter().filter_map(point).collect(),
                area: self.area,
            })
        };
        self.axes.iter().enumerate().map(slice).collect()
    }

    /// Whether results differ so much that on a linear scale all good ones would look the same.
    fn has_decades(&self) -> bool {
        let results = || self.runs.iter().filter_map(|run| run.result).filter(|result| result.is_finite());
        let least = results().fold(f64::INFINITY, f64::min);
        least > 0.0 && results().any(|result| result > DECADES * least)
    }

    fn prefers(&self, value: f64, other: f64) -> bool {
        if self.maximizes { value > other } else { value < other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(maximizes: bool) -> Search {
        let run = |(index, result): (usize, Option<f64>)| Run {
            number: index as u32 + 1,
            name: format!("run {}", index + 1),
            values: vec![Some(0.1 * 10f64.powi(index as i32)), Some((index % 2) as f64)],
            result,
        };
        let axis = |name: &str, log: bool, categories: &[&str]| ParallelAxis {
            name: name.to_owned(),
            log,
            categories: categories.iter().map(|&word| word.to_owned()).collect(),
        };
        Search {
            objective: "loss".to_owned(),
            noun: "run",
            area: (420.0, 200.0),
            maximizes,
            axes: vec![axis("rate", true, &[]), axis("kind", false, &["a", "b"])],
            runs: [Some(3.0), None, Some(1.0), Some(2.0)].into_iter().enumerate().map(run).collect(),
            importance: vec![("kind".to_owned(), 0.2), ("rate".to_owned(), 0.7)],
        }
    }

    #[test]
    fn the_best_so_far_never_gets_worse() {
        let told = |maximizes| search(maximizes).best_so_far().document();
        assert!(told(false).contains("loss"));
        assert_ne!(told(false), told(true));
    }

    #[test]
    fn results_far_apart_are_drawn_on_a_logarithmic_scale() {
        let far = |result: f64| {
            let mut search = search(false);
            search.runs[0].result = Some(result);
            search.has_decades()
        };
        assert!(far(100.0) && !far(10.0) && !far(-100.0) && !far(f64::INFINITY));
        let mut search = search(false);
        search.runs[0].result = Some(1000.0);
        for picture in search.slices().into_iter().chain([search.best_so_far(), search.parallel()]) {
            let picture = picture.document();
            assert!(picture.contains(">100<") && !picture.contains(">400<"), "{picture}");
        }
    }

    #[test]
    fn runs_without_a_result_are_in_no_picture_and_the_best_lies_on_top() {
        for (maximizes, best) in [(false, "run 3"), (true, "run 1")] {
            let picture = search(maximizes).parallel().document();
            assert!(!picture.contains("run 2"));
            let places = ["run 1", "run 3", "run 4"].map(|name| picture.find(name).unwrap());
            assert_eq!(picture.find(best), places.into_iter().max());
        }
    }

    #[test]
    fn slices_name_categories_and_importance_is_sorted() {
        let search = search(false);
        let slices = search.slices();
        assert_eq!(slices.len(), 2);
        let kinds = slices[1].document();
        for part in [">a</text>", ">b</text>", "run 1: 3 at a", "run 4: 2 at b"] {
            assert!(kinds.contains(part), "{part} not in {kinds}");
        }
        assert!(!kinds.contains("\"middle\">0"), "the places of categories are not numbers: {kinds}");
        let bars = search.importance().unwrap().document();
        assert!(bars.find("rate").unwrap() < bars.find("kind").unwrap());
        assert_eq!(Search { importance: Vec::new(), ..search }.importance(), None);
    }
}
