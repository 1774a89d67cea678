//! Dense arrays of `f32`.

use crate::Shape;
use crate::buffer::Buffer;
use kokanee_kernels::{Mat, MatMut};

/// A dense row-major array.
pub struct Tensor {
    shape: Shape,
    data: Buffer,
}

impl Tensor {
    /// A tensor of zeros.
    pub fn zeros(shape: impl Into<Shape>) -> Tensor {
        let mut tensor = Self::scratch(shape);
        tensor.data.fill(0.0);
        tensor
    }

    /// A tensor of zeros, for values that live as long as a model: its memory comes from the system, which may leave it out until
    /// it is written, and goes back there.
    pub fn lasting(shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        Tensor { data: Buffer::lasting(shape.size()), shape }
    }

    /// A tensor of arbitrary content, for results that are written completely.
    pub fn scratch(shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        Tensor { data: Buffer::scratch(shape.size()), shape }
    }

    /// A tensor of the given values, in row-major order; their number must fit the shape.
    pub fn from_vec(shape: impl Into<Shape>, values: Vec<f32>) -> Tensor {
        let shape = shape.into();
        assert_eq!(shape.size(), values.len(), "values do not fill {shape}");
        Tensor { shape, data: Buffer::from(values) }
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Rows of the matrix view.
    pub fn rows(&self) -> usize {
        self.shape.rows()
    }

    /// Columns of the matrix view.
    pub fn cols(&self) -> usize {
        self.shape.cols()
    }

    /// All elements.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All elements.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// One row of the matrix view.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.cols()..(row + 1) * self.cols()]
    }

    /// The matrix view for products.
    pub fn mat(&self) -> Mat<'_> {
        Mat::new(&self.data, self.rows(), self.cols())
    }

    /// The columns `cols` of the matrix view.
    pub fn mat_columns(&self, cols: std::ops::Range<usize>) -> Mat<'_> {
        assert!(cols.end <= self.cols(), "columns {cols:?} of {}", self.shape);
        Mat::strided(&self.data[cols.start.min(self.data.len())..], self.rows(), cols.len(), self.cols())
    }

    /// The matrix view as the result of a product.
    pub fn mat_mut(&mut self) -> MatMut<'_> {
        let (rows, cols) = (self.rows(), self.cols());
        MatMut::new(&mut self.data, rows, cols)
    }

    /// The columns `cols` as the result of a product.
    pub fn mat_columns_mut(&mut self, cols: std::ops::Range<usize>) -> MatMut<'_> {
        let (rows, width) = (self.rows(), self.cols());
        assert!(cols.end <= width, "columns {cols:?} of {}", self.shape);
        let start = cols.start.min(self.data.len());
        MatMut::strided(&mut self.data[start..], rows, cols.len(), width)
    }
}

impl Clone for Tensor {
    fn clone(&self) -> Self {
        let mut copy = Tensor::scratch(self.shape.clone());
        copy.data.copy_from_slice(&self.data);
        copy
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor{} {:?}", self.shape, &self.data[..self.data.len().min(8)])
    }
}
