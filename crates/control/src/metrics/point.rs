//! Metrics, their dimensions and points.

/// The identity of a metric.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Metric {
    /// `AWS/SageMaker`.
    pub namespace: String,
    /// `Invocations`.
    pub name: String,
    /// Its dimensions.
    pub dimensions: Dimensions,
}

/// Names and values, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dimensions(Vec<(String, String)>);

/// Measurements of one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Number of measurements.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The minimum.
    pub min: f64,
    /// The maximum.
    pub max: f64,
}

/// A sample of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The metric.
    pub metric: Metric,
    /// The unit, one of CloudWatch's words: `Percent`, `Microseconds`, `None`.
    pub unit: &'static str,
    /// The time, in milliseconds since 1970.
    pub at_ms: i64,
    /// The measured values.
    pub sample: Sample,
}

impl Metric {
    /// A metric with its dimensions, in any order.
    pub fn new<'a>(
        namespace: &str,
        name: &str,
        dimensions: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            dimensions: dimensions
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

impl Point {
    /// One measurement, without a unit.
    pub fn new(metric: Metric, at_ms: i64, value: f64) -> Self {
        Self { metric, unit: "None", at_ms, sample: value.into() }
    }

    /// Sets the unit.
    #[must_use]
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }
}

impl Dimensions {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same text for equal dimensions: a list of pairs in JSON.
    pub(super) fn text(&self) -> String {
        serde_json::json!(self.0).to_string()
    }

    pub(super) fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text).map(Self)
    }
}

impl FromIterator<(String, String)> for Dimensions {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort();
        Self(pairs)
    }
}

/// Whether CloudWatch accepts a value: sums of any number of accepted values are finite.
pub(crate) fn is_taken(value: f64) -> bool {
    value.abs() <= 2_f64.powi(360)
}

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self { count: 1.0, sum: value, min: value, max: value }
    }
}
