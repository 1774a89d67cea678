//! The report of a tuning: a page that stands alone, with its pictures, which are files too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use kokanee_algorithm::human;
use kokanee_pages::page::standalone;
use kokanee_pages::parts::{Column, card, code, facts, note, table};
use kokanee_pages::svg::bars::{self, Bars};
use kokanee_pages::svg::lines::{self, Chart, Series};
use kokanee_pages::svg::parallel::{self, ParallelAxis, ParallelLine};
use kokanee_pages::svg::scatter::{self, Scatter};
use kokanee_pages::svg::{Drawing, number};
use kokanee_tuner::importance::importance;
use kokanee_tuner::{Dimension, Goal, Range, Scale, Space};
use maud::{Markup, html};

use super::history::History;
use super::results::short;
use super::trial::Trial;
use super::work::known_trials;
use crate::output_file::write_file;

/// The page.
const REPORT_FILE: &str = "report.html";
/// The folder of the pictures.
const PICTURES: &str = "pictures";
/// The seed of the forest behind importance: the same history gives the same figures.
const SEED: u64 = 1;

/// Writes the page and the pictures; gives the page's path.
///
/// # Errors
/// When the history is not of the space, or the system refuses.
pub(super) fn write(
    output: &Path,
    history: &History,
    space: &Space,
    goal: Goal,
    command: &str,
) -> Result<PathBuf> {
    let mut pictures = vec![("best-so-far".to_owned(), best_so_far(history, goal))];
    pictures.push(("parallel-coordinates".to_owned(), coordinates(history, space, goal)));
    let known = known_trials(space, history)?;
    if let Some(found) = importance(space, &known, goal, SEED) {
        let names = space.dimensions().iter().map(|dimension| dimension.name().to_owned());
        let mut bars: Vec<(String, f64)> = names.zip(found.dimensions).collect();
        bars.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        bars.push(("together".to_owned(), found.interactions));
        let chart = Bars {
            title: format!("Importance for {}", history.request.objective),
            x_label: "share of the variance that each hyperparameter explains".to_owned(),
            bars,
            area: (620.0, 260.0),
        };
        pictures.push(("importance".to_owned(), bars::draw(&chart)));
    }
    for dimension in space.dimensions() {
        pictures.push((format!("slice-{}", dimension.name()), slice(history, dimension)));
    }
    let folder = output.join(PICTURES);
    std::fs::create_dir_all(&folder)
        .map_err(|error| anyhow::anyhow!("cannot create {}: {error}", folder.display()))?;
    for (name, picture) in &pictures {
        write_file(&folder.join(format!("{name}.svg")), &picture.document())?;
    }
    let page = page(history, space, goal, command, &pictures);
    let path = output.join(REPORT_FILE);
    write_file(&path, &page.into_string())?;
    Ok(path)
}

fn page(
    history: &History,
    space: &Space,
    goal: Goal,
    command: &str,
    pictures: &[(String, Drawing)],
) -> Markup {
    let request = &history.request;
    let title = format!("Tuning {} for {}", request.algorithm, request.objective);
    let seconds: f64 = history.trials.iter().map(|trial| trial.seconds).sum();
    let best = history.best(goal);
    let said = [
        ("Trials", html! { (history.trials.len()) }),
        ("Time of all trials", html! { (human::duration(Duration::from_secs_f64(seconds))) }),
        ("Best", html! { (best.and_then(Trial::result).map_or(String::new(), number)) }),
        ("Of trial", html! { (best.map_or(String::new(), |trial| trial.number.to_string())) }),
        ("Ranges", html! { (request.ranges.join(" ")) }),
    ];
    let content = html! {
        (card("", &facts(&said)))
        @for (_, picture) in pictures { (card("", &picture.inline())) }
        @if !pictures.iter().any(|(name, _)| name == "importance") {
            (note("Importance is told from four trials with different results."))
        }
        (card("Trials, the best first", &trials(history, space, goal)))
        (card("To train the best longer", &code("Command", command)))
    };
    standalone(&title, &content)
}

fn trials(history: &History, space: &Space, goal: Goal) -> Markup {
    let mut columns = vec![Column::numbers("Trial"), Column::numbers(&history.request.objective)];
    columns.extend(space.dimensions().iter().map(|dimension| Column::numbers(dimension.name())));
    columns.extend([Column::numbers("Time"), Column::words("Status"), Column::words("Why")]);
    let ranked = history.ranked(goal);
    let rest = history.trials.iter().filter(|trial| trial.result().is_none());
    let row = |trial: &Trial| {
        let mut cells =
            vec![html! { (trial.number) }, html! { (trial.result().map_or(String::new(), number)) }];
        cells.extend(space.dimensions().iter().map(|dimension| {
            html! { (trial.values.get(dimension.name()).map_or(String::new(), |value| short(value))) }
        }));
        cells.extend([
            html! { (human::duration(Duration::from_secs_f64(trial.seconds))) },
            html! { (trial.status.word()) },
            html! { (trial.reason.as_deref().unwrap_or_default()) },
        ]);
        cells
    };
    let rows: Vec<Vec<Markup>> = ranked.into_iter().chain(rest).map(row).collect();
    table("Trials", &columns, &rows)
}

/// Each result, and the best so far, by the order in which trials ended.
fn best_so_far(history: &History, goal: Goal) -> Drawing {
    let mut each: Vec<(f64, f64)> = Vec::new();
    let mut best: Vec<(f64, f64)> = Vec::new();
    for (place, trial) in (1..).zip(history.ended()) {
        let Some(value) = trial.result() else { continue };
        each.push((f64::from(place), value));
        let so_far =
            best.last().map_or(value, |(_, best)| if goal.prefers(value, *best) { value } else { *best });
        best.push((f64::from(place), so_far));
    }
    let chart = Chart {
        title: format!("Best {} so far", history.request.objective),
        x_label: "trials".to_owned(),
        y_label: history.request.objective.clone(),
        series: vec![
            Series { name: "best so far".to_owned(), points: best, ..Series::default() },
            Series { name: "each trial".to_owned(), points: each, ..Series::default() },
        ],
        ..Chart::default()
    };
    lines::draw(&chart)
}

/// One line per trial through its values and its result; good ones bright and on top.
fn coordinates(history: &History, space: &Space, goal: Goal) -> Drawing {
    let mut axes: Vec<ParallelAxis> = space
        .dimensions()
        .iter()
        .map(|dimension| ParallelAxis {
            name: dimension.name().to_owned(),
            log: is_logarithmic(dimension),
            categories: categories(dimension),
        })
        .collect();
    axes.push(ParallelAxis { name: history.request.objective.clone(), log: false, categories: Vec::new() });
    let mut ranked = history.ranked(goal);
    ranked.reverse();
    let last = ranked.len().saturating_sub(1).max(1) as f32;
    let line = |(place, trial): (usize, &Trial)| {
        let mut values: Vec<Option<f64>> =
            space.dimensions().iter().map(|dimension| place_of(dimension, trial)).collect();
        values.push(trial.result());
        ParallelLine { name: name(trial), values, level: Some(place as f32 / last) }
    };
    let lines: Vec<ParallelLine> = ranked.into_iter().enumerate().map(line).collect();
    parallel::draw("Values and results of every trial", &axes, &lines)
}

/// The results over one hyperparameter.
fn slice(history: &History, dimension: &Dimension) -> Drawing {
    let point = |trial: &Trial| Some((place_of(dimension, trial)?, trial.result()?, name(trial)));
    let points = history.ended().into_iter().filter_map(point).collect();
    scatter::draw(&Scatter {
        title: format!("{} over {}", history.request.objective, dimension.name()),
        x_label: dimension.name().to_owned(),
        log_x: is_logarithmic(dimension),
        categories: categories(dimension),
        points,
        area: (620.0, 240.0),
    })
}

/// The names of its values; none of numbers.
fn categories(dimension: &Dimension) -> Vec<String> {
    match dimension.range() {
        Range::Categorical { values } => values.clone(),
        _ => Vec::new(),
    }
}

fn is_logarithmic(dimension: &Dimension) -> bool {
    dimension.scale() == Some(Scale::Logarithmic)
}

/// A value's place on an axis: the number, or the place in the list of categories.
fn place_of(dimension: &Dimension, trial: &Trial) -> Option<f64> {
    let text = trial.values.get(dimension.name())?;
    match dimension.range() {
        Range::Categorical { values } => {
            values.iter().position(|value| value == text).map(|place| place as f64)
        }
        _ => text.parse().ok(),
    }
}

fn name(trial: &Trial) -> String {
    let values: Vec<String> =
        trial.values.iter().map(|(name, value)| format!("{name}={}", short(value))).collect();
    format!("trial {}: {}", trial.number, values.join(" "))
}
