//! The search for promising points: evenly over the space, near the best trials, then uphill.

use super::model::Model;
use crate::history::History;
use crate::minimize::minimize;
use crate::normal::draw;
use crate::quasi_random::Sobol;
use crate::space::Range;

/// Number of points spread over the space.
const EVERYWHERE: usize = 512;
/// Number of measured points whose neighbourhood is searched, the best expected first.
const INCUMBENTS: usize = 5;
/// Number of neighbours of each, and the widths of their neighbourhoods in the unit cube.
const NEIGHBOURS: usize = 80;
const WIDTHS: [f64; 4] = [0.2, 0.05, 0.01, 0.002];
/// Number of points of each kind that climb.
const CLIMBERS: usize = 4;
/// Maximum evaluations of one climb.
const STEPS: usize = 40;
/// Maximum rounds over the neighbours in integers and categories.
const ROUNDS: usize = 10;

/// Streams of random numbers, one per purpose.
const CANDIDATE_STREAM: u64 = 2;
const NEIGHBOUR_STREAM: u64 = 3;

/// Points of the space, the most promising first; each is the encoding of its configuration.
pub(super) fn ranked(history: &History<'_>, model: &Model) -> Vec<Vec<f64>> {
    let space = history.space;
    let judged = |points: Vec<Vec<f64>>| {
        let mut judged: Vec<(f64, Vec<f64>)> = points
            .into_iter()
            .map(|point| space.snap(&point))
            .map(|point| (model.promise(&point), point))
            .filter(|(promise, _)| promise.is_finite())
            .collect();
        judged.sort_by(|a, b| b.0.total_cmp(&a.0));
        judged
    };
    let far = judged(everywhere(history));
    let near = judged(neighbours(history, model));
    let mut all: Vec<(f64, Vec<f64>)> = far
        .iter()
        .take(CLIMBERS)
        .chain(near.iter().take(CLIMBERS))
        .map(|(_, start)| climbed(history, model, start))
        .collect();
    all.extend(far);
    all.extend(near);
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().map(|(_, point)| point).collect()
}

fn everywhere(history: &History<'_>) -> Vec<Vec<f64>> {
    let sobol = Sobol::new(history.space.dimensions().len(), history.stream(CANDIDATE_STREAM).next_u64());
    (0..EVERYWHERE).map(|index| sobol.point(index)).collect()
}

/// Each neighbour moves some coordinates of an incumbent: one always, the others with a probability that gives two on average.
fn neighbours(history: &History<'_>, model: &Model) -> Vec<Vec<f64>> {
    let mut random = history.stream(NEIGHBOUR_STREAM);
    let dimensions = history.space.dimensions();
    let mut points = Vec::new();
    for incumbent in model.incumbents.iter().take(INCUMBENTS) {
        for index in 0..NEIGHBOURS {
            let mut point = incumbent.clone();
            let surely = random.place(dimensions.len());
            // Every other neighbour moves all coordinates, which ridges that follow no axis require.
            let chance = if index % 2 == 0 { 1.0 } else { 1.0 / dimensions.len() as f64 };
            for (j, dimension) in dimensions.iter().enumerate() {
                if j != surely && random.unit() >= chance {
                    continue;
                }
                point[j] = match dimension.range() {
                    Range::Categorical { .. } => {
                        if j == surely || random.unit() < 0.2 {
                            random.unit()
                        } else {
                            point[j]
                        }
                    }
                    _ => (point[j] + WIDTHS[index / 2 % WIDTHS.len()] * draw(&mut random)).clamp(0.0, 1.0),
                };
            }
            points.push(point);
        }
    }
    points
}

/// Climbs from `start`, first along numbers as if integers were continuous, then over neighbours in integers and categories.
fn climbed(history: &History<'_>, model: &Model, start: &[f64]) -> (f64, Vec<f64>) {
    let dimensions = history.space.dimensions();
    let is_number = |j: usize| !matches!(dimensions[j].range(), Range::Categorical { .. });
    let (low, high): (Vec<f64>, Vec<f64>) =
        (0..start.len()).map(|j| if is_number(j) { (0.0, 1.0) } else { (start[j], start[j]) }).unzip();
    let mut uphill = |point: &[f64], slopes: &mut [f64]| {
        let promise = model.promise_with_slopes(point, slopes);
        slopes.iter_mut().for_each(|slope| *slope = -*slope);
        -promise
    };
    let (end, _) = minimize(start, &low, &high, STEPS, &mut uphill);
    let judged = |point: Vec<f64>| (model.promise(&point), point);
    let mut best = judged(history.space.snap(&end));
    let from = judged(start.to_vec());
    if from.0 > best.0 {
        best = from;
    }
    for _ in 0..ROUNDS {
        let steps = discrete_steps(history, &best.1);
        let Some(step) = steps.into_iter().map(judged).max_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        if step.0 <= best.0 {
            break;
        }
        best = step;
    }
    best
}

/// The points that differ in one integer by one, or in one category.
fn discrete_steps(history: &History<'_>, point: &[f64]) -> Vec<Vec<f64>> {
    let mut steps = Vec::new();
    let values = history.space.decode(point);
    for (j, dimension) in history.space.dimensions().iter().enumerate() {
        for value in dimension.neighbours(values[j]) {
            let mut changed = values.clone();
            changed[j] = value;
            steps.push(history.space.encode(&changed));
        }
    }
    steps
}
