//! Grid search: every combination once.

use crate::space::{Range, Space, Value};

/// All configurations of a space without continuous dimensions, with the last dimension varying fastest; none for any other space.
pub(crate) fn configurations(space: &Space) -> impl Iterator<Item = Vec<Value>> + '_ {
    (0..space.size().unwrap_or(0)).map(|index| at(space, index))
}

fn at(space: &Space, mut index: u64) -> Vec<Value> {
    let mut values: Vec<Value> = space
        .dimensions()
        .iter()
        .rev()
        .map(|dimension| {
            let size = dimension.size().unwrap_or(1);
            let place = index % size;
            index /= size;
            match dimension.range() {
                Range::Continuous { min, .. } => Value::Real(*min),
                Range::Integer { min, .. } => Value::Integer(min.saturating_add_unsigned(place)),
                Range::Categorical { .. } => Value::Category(place as usize),
            }
        })
        .collect();
    values.reverse();
    values
}
