//! Sizes of a tensor.

use std::fmt;

/// The extents of a tensor, outermost first. A matrix view has the first extent as rows and the product of the others as
/// columns; a vector is one row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// Number of elements.
    pub fn size(&self) -> usize {
        self.0.iter().product()
    }

    /// Rows of the matrix view.
    pub fn rows(&self) -> usize {
        if self.0.len() > 1 { self.0[0] } else { 1 }
    }

    /// Columns of the matrix view.
    pub fn cols(&self) -> usize {
        if self.0.len() > 1 { self.0[1..].iter().product() } else { self.size() }
    }

    /// The extents.
    pub fn extents(&self) -> &[usize] {
        &self.0
    }
}

impl From<Vec<usize>> for Shape {
    fn from(extents: Vec<usize>) -> Self {
        Shape(extents)
    }
}

impl From<&[usize]> for Shape {
    fn from(extents: &[usize]) -> Self {
        Shape(extents.to_vec())
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(extents: [usize; N]) -> Self {
        Shape(extents.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extents: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "({})", extents.join(" x "))
    }
}
