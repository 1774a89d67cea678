//! The stream of mini-batches through more centres than asked for.

use kokanee_formats::random::SplitMix64;
use kokanee_formats::rows::Rows;
use kokanee_kernels::{Team, reduce};

use crate::fault::Fault;
use crate::lloyd::{self, LocalLloyd, Trial, Weighted};
use crate::model::Model;
use crate::nearest::Centers;
use crate::parts::in_parts;
use crate::seeding::{self, Start};

/// Purposes of random numbers.
const STARTING_CENTERS: u64 = 1;
const TRIALS: u64 = 2;

/// The largest factor that `auto` chooses, as in the real container for k=8 of 3218 records.
const LARGEST_AUTO_FACTOR: usize = 10;

/// The least number of columns that a thread sums.
const COLUMN_GRAIN: usize = 16;

/// The value of `extra_center_factor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraCenters {
    /// As many as the first batch allows, at most ten times k.
    Auto,
    /// This many times k.
    Times(usize),
}

/// The settings that, together with the data, determine the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Number of centres of the model, at least 1.
    pub k: usize,
    /// Number of centres while streaming.
    pub extra_centers: ExtraCenters,
    /// The choice of starting centres.
    pub start: Start,
    /// Number of rows after which the weight of a row in its centre has halved; 0 for never.
    pub half_life: u64,
    /// The final clustering.
    pub local_lloyd: LocalLloyd,
    /// Seed of all random choices.
    pub seed: u64,
}

/// The centres that move with the data.
pub struct Stream {
    settings: Settings,
    factor: usize,
    /// Centres x width, row-major.
    centers: Vec<f64>,
    /// The number of rows that each centre represents.
    counts: Vec<f64>,
    /// The mean of the first batch.
    shift: Vec<f32>,
    rows_seen: u64,
}

/// The result of the final clustering.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// The model.
    pub model: Model,
    /// The loss of each trial; empty if nothing had to be shrunk.
    pub losses: Vec<f64>,
    /// The least loss: `train msd`. None without trials.
    pub loss: Option<f64>,
    /// Number of centres of the model that no record is near to, because the data has fewer distinct records.
    pub filled: usize,
}

impl Stream {
    /// Draws the starting centres from the first batch, without learning from it yet. `is_all` says that there are no other
    /// records.
    ///
    /// # Errors
    /// When the batch has fewer records than starting centres.
    pub fn begin(team: &Team, first: &Rows, is_all: bool, settings: Settings) -> Result<Self, Fault> {
        let (k, records) = (settings.k, first.len());
        if is_all && records < k {
            return Err(Fault::TooFewRecords { k, records });
        }
        let factor = match settings.extra_centers {
            ExtraCenters::Auto => (records / k).clamp(1, LARGEST_AUTO_FACTOR),
            ExtraCenters::Times(factor) => factor,
        };
        if k.saturating_mul(factor) > records {
            return Err(Fault::TooFewForCenters { k, factor, records });
        }
        let mut random = SplitMix64::stream(settings.seed, &[STARTING_CENTERS]);
        let chosen = seeding::draw(team, first, None, k * factor, settings.start, &mut random);
        let width = first.width();
        let centers = chosen.iter().flat_map(|&row| seeding::center_of(first.row(row), width)).collect();
        Ok(Self {
            settings,
            factor,
            centers,
            counts: vec![0.0; k * factor],
            shift: mean(first),
            rows_seen: 0,
        })
    }

    /// Number of centres while streaming, as a multiple of k.
    pub fn factor(&self) -> usize {
        self.factor
    }

    /// Number of rows learned from.
    pub fn rows_seen(&self) -> u64 {
        self.rows_seen
    }

    /// Learns from a batch, the first one included: each centre moves towards the mean of the rows nearest to it, by their share in
    /// all of its rows.
    ///
    /// # Errors
    /// When squares of values overflow.
    pub fn update(&mut self, team: &Team, rows: &Rows) -> Result<(), Fault> {
        let width = self.shift.len();
        let centers = Centers::new(team, self.centers.clone(), self.shift.clone());
        let nearest = centers.nearest(team, rows)?;
        let sums = column_sums(team, rows, &nearest, self.counts.len());
        let mut members = vec![0u64; self.counts.len()];
        nearest.iter().for_each(|&center| members[center as usize] += 1);
        if self.settings.half_life > 0 {
            let decay = (-(rows.len() as f64) / self.settings.half_life as f64).exp2();
            self.counts.iter_mut().for_each(|count| *count *= decay);
        }
        for (index, &members) in members.iter().enumerate().filter(|(_, members)| **members > 0) {
            let members = members as f64;
            let share = members / (self.counts[index] + members);
            let center = &mut self.centers[index * width..][..width];
            for (value, sum) in center.iter_mut().zip(&sums[index * width..][..width]) {
                *value = (1.0 - share) * *value + share * (sum / members);
            }
            self.counts[index] += members;
        }
        self.rows_seen += rows.len() as u64;
        Ok(())
    }

    /// Computes the model: k centres of what was learned. `told` is called with each trial when it is done.
    ///
    /// # Errors
    /// When squares of values overflow.
    pub fn shrink(&self, team: &Team, mut told: impl FnMut(u64, &Trial)) -> Result<Shrunk, Fault> {
        let (k, width) = (self.settings.k, self.shift.len());
        let held: Vec<usize> = (0..self.counts.len()).filter(|&center| self.counts[center] > 0.0).collect();
        if self.factor == 1 || held.len() <= k {
            return Ok(self.without_trials(&held));
        }
        let of_held = |values: &[f64]| -> Vec<f64> {
            held.iter().flat_map(|&center| values[center * width..][..width].iter().copied()).collect()
        };
        let points = of_held(&self.centers);
        let weights: Vec<f64> = held.iter().map(|&center| self.counts[center]).collect();
        let rounded: Vec<f32> = points.iter().map(|&value| value as f32).collect();
        let weighted = Weighted {
            points: &points,
            weights: &weights,
            rows: Rows::dense(width, &rounded),
            shift: &self.shift,
        };
        let settings = &self.settings.local_lloyd;
        let mut best: Option<Trial> = None;
        let mut losses = Vec::new();
        for number in 0..settings.trials.max(1) {
            let mut random = SplitMix64::stream(self.settings.seed, &[TRIALS, number]);
            let trial = lloyd::run(team, &weighted, k, settings, &mut random)?;
            told(number, &trial);
            losses.push(trial.loss);
            if best.as_ref().is_none_or(|best| trial.loss < best.loss) {
                best = Some(trial);
            }
        }
        let best = best.unwrap_or_else(|| unreachable!("one trial at least"));
        Ok(Shrunk {
            loss: Some(best.loss),
            model: Model::new(width, &best.centers, best.weights),
            losses,
            filled: 0,
        })
    }

    /// The centres without trials: those that hold rows, then others until there are k.
    fn without_trials(&self, held: &[usize]) -> Shrunk {
        let (k, width) = (self.settings.k, self.shift.len());
        let mut chosen: Vec<usize> = if self.factor == 1 { (0..k).collect() } else { held.to_vec() };
        let others = (0..self.counts.len()).filter(|center| !chosen.contains(center));
        let missing: Vec<usize> = others.take(k - chosen.len()).collect();
        chosen.extend(missing);
        let centers: Vec<f64> = chosen
            .iter()
            .flat_map(|&center| self.centers[center * width..][..width].iter().copied())
            .collect();
        let weights: Vec<f64> = chosen.iter().map(|&center| self.counts[center]).collect();
        let filled = weights.iter().filter(|weight| **weight == 0.0).count();
        Shrunk { model: Model::new(width, &centers, weights), losses: Vec::new(), loss: None, filled }
    }
}

/// Computes the mean of rows, in double precision until it is rounded.
fn mean(rows: &Rows) -> Vec<f32> {
    let mut sums = vec![0.0; rows.width()];
    for row in 0..rows.len() {
        rows.row(row).for_each(|column, value| sums[column] += f64::from(value));
    }
    sums.into_iter().map(|sum| (sum / rows.len().max(1) as f64) as f32).collect()
}

/// Computes for each of `count` centres the sum of its rows, in the order of the rows. Threads share the columns, so that no sum
/// depends on their number.
fn column_sums(team: &Team, rows: &Rows, nearest: &[u32], count: usize) -> Vec<f64> {
    let width = rows.width();
    let parts = in_parts(team, width, COLUMN_GRAIN, |range| {
        let mut sums = vec![0.0; count * range.len()];
        if let Some(values) = rows.as_dense() {
            reduce::sums_by_group(&mut sums, values, width, range, nearest);
            return sums;
        }
        for (row, &center) in nearest.iter().enumerate() {
            let sums = &mut sums[center as usize * range.len()..][..range.len()];
            rows.row(row).of_columns(range.clone(), |column, value| {
                sums[column - range.start] += f64::from(value);
            });
        }
        sums
    });
    let mut all = vec![0.0; count * width];
    for (start, sums) in parts {
        let columns = sums.len() / count.max(1);
        for (all, sums) in all.chunks_exact_mut(width).zip(sums.chunks_exact(columns.max(1))) {
            all[start..start + columns].copy_from_slice(sums);
        }
    }
    all
}
