//! Lloyd's algorithm on weighted points: reduces the centres of the stream to those of the model.

use kokanee_formats::random::SplitMix64;
use kokanee_formats::rows::Rows;
use kokanee_kernels::Team;

use crate::nearest::{Centers, Overflow};
use crate::seeding::{self, Start};

/// The options of the final clustering: the hyperparameters `local_lloyd_*`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalLloyd {
    /// The choice of each trial's starting centres.
    pub start: Start,
    /// The largest number of iterations of a trial.
    pub max_iterations: u64,
    /// Number of trials, of which the best is kept.
    pub trials: u64,
    /// A trial ends when its loss falls by at most this fraction.
    pub tolerance: f64,
}

impl LocalLloyd {
    /// The number of trials for `local_lloyd_num_trials=auto`, as in the real container.
    pub const AUTO_TRIALS: u64 = 10;
}

/// The result of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The centres, row-major.
    pub(crate) centers: Vec<f64>,
    /// The total weight of each centre's points.
    pub(crate) weights: Vec<f64>,
    /// Weighted mean of the points' squared distances to their centres.
    pub loss: f64,
    /// Number of iterations.
    pub iterations: u64,
}

/// Points and their weights, which are positive.
pub(crate) struct Weighted<'a> {
    /// In double precision, row-major.
    pub(crate) points: &'a [f64],
    pub(crate) weights: &'a [f64],
    /// The same points rounded, for the search of nearest centres.
    pub(crate) rows: Rows,
    pub(crate) shift: &'a [f32],
}

impl Weighted<'_> {
    fn point(&self, index: usize) -> &[f64] {
        let width = self.shift.len();
        &self.points[index * width..][..width]
    }
}

/// Runs one trial.
pub(crate) fn run(
    team: &Team,
    points: &Weighted<'_>,
    k: usize,
    settings: &LocalLloyd,
    random: &mut SplitMix64,
) -> Result<Trial, Overflow> {
    let start = seeding::draw(team, &points.rows, Some(points.weights), k, settings.start, random);
    let mut centers: Vec<f64> = start.iter().flat_map(|&index| points.point(index).iter().copied()).collect();
    let total: f64 = points.weights.iter().sum();
    let mut assigned = Assigned::new(team, points, centers.clone(), total)?;
    let mut iterations = 0;
    while iterations < settings.max_iterations {
        iterations += 1;
        centers = assigned.means(points, &centers);
        let next = Assigned::new(team, points, centers.clone(), total)?;
        let gain = assigned.loss - next.loss;
        let is_done = gain <= settings.tolerance * assigned.loss;
        assigned = next;
        if is_done {
            break;
        }
    }
    let mut weights = vec![0.0; k];
    for (&center, &weight) in assigned.nearest.iter().zip(points.weights) {
        weights[center as usize] += weight;
    }
    Ok(Trial { centers, weights, loss: assigned.loss, iterations })
}

/// The assignment of points to centres.
struct Assigned {
    nearest: Vec<u32>,
    /// Squared distance of each point to its centre.
    distances: Vec<f64>,
    loss: f64,
}

impl Assigned {
    fn new(team: &Team, points: &Weighted<'_>, centers: Vec<f64>, total: f64) -> Result<Self, Overflow> {
        let centers = Centers::new(team, centers, points.shift.to_vec());
        let nearest = centers.nearest(team, &points.rows)?;
        let distance = |(index, &center): (usize, &u32)| -> f64 {
            let pairs = points.point(index).iter().zip(centers.center(center as usize));
            pairs.map(|(point, center)| (point - center).powi(2)).sum()
        };
        let distances: Vec<f64> = nearest.iter().enumerate().map(distance).collect();
        let loss =
            distances.iter().zip(points.weights).map(|(distance, weight)| distance * weight).sum::<f64>();
        Ok(Self { nearest, distances, loss: loss / total })
    }

    /// The weighted means of the points of each centre. A centre without points moves to the point with the largest weighted
    /// squared distance.
    fn means(&self, points: &Weighted<'_>, centers: &[f64]) -> Vec<f64> {
        let width = points.shift.len();
        let mut sums = vec![0.0; centers.len()];
        let mut weights = vec![0.0; centers.len() / width];
        for (index, (&center, &weight)) in self.nearest.iter().zip(points.weights).enumerate() {
            weights[center as usize] += weight;
            let sums = &mut sums[center as usize * width..][..width];
            for (sum, value) in sums.iter_mut().zip(points.point(index)) {
                *sum += weight * value;
            }
        }
        let mut worst: Vec<usize> = Vec::new();
        if weights.contains(&0.0) {
            worst = (0..self.nearest.len()).collect();
            let cost = |index: usize| points.weights[index] * self.distances[index];
            worst.sort_by(|&a, &b| cost(b).total_cmp(&cost(a)).then(a.cmp(&b)));
            worst.retain(|&index| cost(index) > 0.0);
        }
        let mut worst = worst.into_iter();
        for (center, &weight) in weights.iter().enumerate() {
            let mean = &mut sums[center * width..][..width];
            if weight > 0.0 {
                mean.iter_mut().for_each(|sum| *sum /= weight);
            } else {
                let stays = &centers[center * width..][..width];
                mean.copy_from_slice(worst.next().map_or(stays, |index| points.point(index)));
            }
        }
        sums
    }
}
