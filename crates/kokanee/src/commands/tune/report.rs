//! The report of a tuning: a self-contained page with its pictures, which are also written as files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use kokanee_algorithm::human;
use kokanee_pages::page::standalone;
use kokanee_pages::parts::{Column, card, code, facts, note, table};
use kokanee_pages::search::{Run, Search};
use kokanee_pages::svg::parallel::ParallelAxis;
use kokanee_pages::svg::{Drawing, number};
use kokanee_tuner::importance::importance;
use kokanee_tuner::{Dimension, Goal, Scale, Space, Trial as Known};
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
/// Width and height of the plotting area of the pictures, in pixels.
const AREA: (f64, f64) = (620.0, 260.0);
/// The seed of the random forest for importance: the same history gives the same figures.
const SEED: u64 = 1;

/// Writes the page and the pictures; returns the page's path.
///
/// # Errors
/// When the history does not fit the space, or the system returns an error.
pub(super) fn write(
    output: &Path,
    history: &History,
    space: &Space,
    goal: Goal,
    command: &str,
) -> Result<PathBuf> {
    let search = search(history, space, goal)?;
    let mut pictures = vec![
        ("best-so-far".to_owned(), search.best_so_far()),
        ("parallel-coordinates".to_owned(), search.parallel()),
    ];
    pictures.extend(search.importance().map(|picture| ("importance".to_owned(), picture)));
    let slices = search.axes.iter().zip(search.slices());
    pictures.extend(slices.map(|(axis, picture)| (format!("slice-{}", axis.name), picture)));
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
        ("Total time of trials", html! { (human::duration(Duration::from_secs_f64(seconds))) }),
        ("Best", html! { (best.and_then(Trial::result).map_or(String::new(), number)) }),
        ("Best trial", html! { (best.map_or(String::new(), |trial| trial.number.to_string())) }),
        ("Ranges", html! { (request.ranges.join(" ")) }),
    ];
    let content = html! {
        (card("", &facts(&said)))
        @for (_, picture) in pictures { (card("", &picture.inline())) }
        @if !pictures.iter().any(|(name, _)| name == "importance") {
            (note("Importance needs at least four trials with different results."))
        }
        (card("Trials, best first", &trials(history, space, goal)))
        (card("Train the best longer", &code("Command", command)))
    };
    standalone(&title, &content)
}

fn trials(history: &History, space: &Space, goal: Goal) -> Markup {
    let mut columns = vec![Column::numbers("Trial"), Column::numbers(&history.request.objective)];
    columns.extend(space.dimensions().iter().map(|dimension| Column::numbers(dimension.name())));
    columns.extend([Column::numbers("Time"), Column::words("Status"), Column::words("Reason")]);
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

/// The trials in the order in which they ended.
fn search(history: &History, space: &Space, goal: Goal) -> Result<Search> {
    let axis = |dimension: &Dimension| ParallelAxis {
        name: dimension.name().to_owned(),
        log: dimension.scale() == Some(Scale::Logarithmic),
        categories: dimension.categories().to_vec(),
    };
    let known = known_trials(space, history)?;
    let mut ended: Vec<(&Trial, &Known)> = history.trials.iter().zip(&known).collect();
    ended.retain(|(trial, _)| trial.ended.is_some());
    ended.sort_by_key(|(trial, _)| trial.ended);
    let run = |(number, (trial, known)): (u32, (&Trial, &Known))| Run {
        number,
        name: name(trial),
        values: known.values.iter().map(|value| Some(value.coordinate())).collect(),
        result: trial.result(),
    };
    let shares = importance(space, &known, goal, SEED);
    Ok(Search {
        objective: history.request.objective.clone(),
        noun: "trial",
        area: AREA,
        maximizes: goal == Goal::Maximize,
        axes: space.dimensions().iter().map(axis).collect(),
        runs: (1..).zip(ended).map(run).collect(),
        importance: shares.map_or_else(Vec::new, |shares| shares.named(space)),
    })
}

fn name(trial: &Trial) -> String {
    let values: Vec<String> =
        trial.values.iter().map(|(name, value)| format!("{name}={}", short(value))).collect();
    format!("trial {}: {}", trial.number, values.join(" "))
}
