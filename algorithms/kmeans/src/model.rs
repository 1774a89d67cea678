//! The result of training: the centres.

use kokanee_formats::rows::Rows;
use kokanee_kernels::Team;

use crate::fault::Fault;
use crate::nearest::{Centers, squared_distance};

/// The centres of k clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    width: usize,
    /// k x width, row-major.
    centers: Vec<f32>,
    /// The number of rows that each cluster represents; all 0 if it is not known.
    counts: Vec<f64>,
}

/// The cluster of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Index of the nearest centre; in a tie, the lower one.
    pub closest_cluster: u32,
    /// Its Euclidean distance.
    pub distance_to_cluster: f32,
}

impl Model {
    /// A model of centres (k x width) with the number of rows that each represents.
    pub(crate) fn new(width: usize, centers: &[f64], counts: Vec<f64>) -> Self {
        Self { width, centers: centers.iter().map(|&value| value as f32).collect(), counts }
    }

    /// A model of centres from elsewhere, k x width and row-major, with the number of rows that each represents, if that is known.
    ///
    /// # Panics
    /// When they are not whole rows, or there is not one count per centre.
    pub fn from_centers(width: usize, centers: Vec<f32>, counts: Option<Vec<f64>>) -> Self {
        assert!(width > 0 && !centers.is_empty() && centers.len().is_multiple_of(width), "whole rows");
        let k = centers.len() / width;
        let counts = counts.unwrap_or_else(|| vec![0.0; k]);
        assert_eq!(counts.len(), k, "a count per centre");
        Self { width, centers, counts }
    }

    /// The number of columns of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of clusters.
    pub fn k(&self) -> usize {
        self.counts.len()
    }

    /// The centres, k x width and row-major.
    pub fn centers(&self) -> &[f32] {
        &self.centers
    }

    /// A centre.
    ///
    /// # Panics
    /// When there is no such cluster.
    pub fn center(&self, cluster: usize) -> &[f32] {
        &self.centers[cluster * self.width..][..self.width]
    }

    /// The number of rows that each cluster represents, in which older rows count less if there is a half-life; all 0 if it is not
    /// known.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// The model laid out for predictions.
    pub fn predictor(&self, team: &Team) -> Predictor {
        let values = self.centers.iter().map(|&value| f64::from(value)).collect();
        let mut shift = vec![0.0f64; self.width];
        for center in self.centers.chunks_exact(self.width) {
            shift.iter_mut().zip(center).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let shift = shift.into_iter().map(|sum| (sum / self.k() as f64) as f32).collect();
        Predictor { centers: Centers::new(team, values, shift) }
    }
}

/// A model laid out for predictions. An answer depends on its own row alone.
pub struct Predictor {
    centers: Centers,
}

impl Predictor {
    /// The cluster of each row.
    ///
    /// # Errors
    /// When squares of values overflow.
    pub fn answer(&self, team: &Team, rows: &Rows) -> Result<Vec<Answer>, Fault> {
        let answer = |(center, square): (u32, f64)| Answer {
            closest_cluster: center,
            distance_to_cluster: square.sqrt() as f32,
        };
        Ok(self.squared_distances(team, rows)?.map(answer).collect())
    }

    /// The sum of the rows' squared distances to their clusters.
    ///
    /// # Errors
    /// When squares of values overflow.
    pub fn sum_of_squares(&self, team: &Team, rows: &Rows) -> Result<f64, Fault> {
        Ok(self.squared_distances(team, rows)?.map(|(_, square)| square).sum())
    }

    /// The nearest centre of each row and its squared distance.
    fn squared_distances(&self, team: &Team, rows: &Rows) -> Result<impl Iterator<Item = (u32, f64)>, Fault> {
        let nearest = self.centers.nearest(team, rows)?;
        Ok(nearest.into_iter().enumerate().map(|(row, center)| {
            (center, squared_distance(rows.row(row), self.centers.center(center as usize)))
        }))
    }
}
