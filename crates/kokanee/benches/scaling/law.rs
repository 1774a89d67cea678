//! The law that times are compared with: a constant time per multiply-add, and one per byte of parameters read or written.

/// The cost of one unit of work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) multiply_adds: f64,
    /// Bytes of parameters that are read or written whatever the number of tokens: the optimizer's pass, or the weights of a step
    /// of decoding.
    pub(crate) bytes: f64,
}

/// The two constants of a machine and a precision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Law {
    pub(crate) seconds_a_multiply_add: f64,
    pub(crate) seconds_a_byte: f64,
}

impl Law {
    pub(crate) fn expects(&self, cost: Cost) -> f64 {
        cost.multiply_adds * self.seconds_a_multiply_add + cost.bytes * self.seconds_a_byte
    }

    /// The constants, neither below 0, for which the relative errors of all measurements (a cost and its seconds) have the
    /// least sum of squares.
    pub(crate) fn fitted(measured: &[(Cost, f64)]) -> Law {
        // Divided by its time, every measurement should be 1 = a x + b y.
        let rows: Vec<(f64, f64)> =
            measured.iter().map(|(cost, time)| (cost.multiply_adds / time, cost.bytes / time)).collect();
        let sum = |term: fn(&(f64, f64)) -> f64| rows.iter().map(term).sum::<f64>();
        let (xx, xy, yy) = (sum(|r| r.0 * r.0), sum(|r| r.0 * r.1), sum(|r| r.1 * r.1));
        let (x, y) = (sum(|r| r.0), sum(|r| r.1));
        let determinant = xx * yy - xy * xy;
        let (a, b) = ((x * yy - y * xy) / determinant, (y * xx - x * xy) / determinant);
        let (a, b) = match (a.is_finite() && a >= 0.0, b.is_finite() && b >= 0.0) {
            (true, true) => (a, b),
            (true, false) => (x / xx, 0.0),
            (false, _) => (0.0, y / yy),
        };
        Law { seconds_a_multiply_add: a, seconds_a_byte: b }
    }
}
