//! Rows that are read and written part by part, in `f32` or as products in another precision read them.

use std::cell::Cell;
use std::ops::Range;

use super::super::super::gemm::Precision;
use super::PRODUCTS;

/// Stores numbers in the form in which products in a precision read them.
pub(super) struct Store {
    precision: Precision,
    /// Buffer for numbers that are to be rounded, and for those that nobody needs.
    room: [[f32; PART]; PRODUCTS],
}

impl Store {
    /// Writes the non-empty rows of `len` numbers, as `compute` makes them part by part.
    pub(super) fn write<const N: usize>(
        &mut self,
        len: usize,
        mut rows: [&mut [f32]; N],
        compute: impl Fn(&Range<usize>, [&mut [f32]; N]),
    ) {
        let precision = self.precision;
        for start in (0..len).step_by(PART) {
            let part = start..len.min(start + PART);
            // Parts begin at word boundaries in any precision.
            let place = precision.stored(start)..precision.stored(start) + precision.stored(part.len());
            let mut places = rows.each_mut().map(|row| row.get_mut(place.clone()));
            let mut room = self.room.iter_mut();
            let targets = places.each_mut().map(|place| {
                let room = &mut room.next().expect("no more rows than products")[..part.len()];
                match place {
                    Some(place) if precision == Precision::F32 => &mut **place,
                    _ => room,
                }
            });
            compute(&part, targets);
            if precision != Precision::F32 {
                for (place, numbers) in places.into_iter().zip(&self.room) {
                    if let Some(place) = place {
                        precision.store(&numbers[..part.len()], place);
                    }
                }
            }
        }
    }
}

/// Numbers of a row that are transformed and stored together: with their inputs, a part of the first cache.
const PART: usize = 256;

/// The content that is read from missing rows.
pub(super) static ZEROS: [f32; PART] = [0.0; PART];

/// Reads a part of each row; zeros for empty rows.
pub(super) fn read<'a, const N: usize>(rows: [&'a [f32]; N], part: &Range<usize>) -> [&'a [f32]; N] {
    rows.map(|row| if row.is_empty() { &ZEROS[..part.len()] } else { &row[part.clone()] })
}

thread_local! {
    /// A thread's buffers, on the heap: inlined as often as they are, they would fill the stack.
    static ROOM: Cell<Option<Box<Room>>> = const { Cell::new(None) };
}

struct Room {
    store: Store,
    /// The filter, width x H, that is being processed.
    taps: Vec<f32>,
}

/// Calls `work` with this thread's store, and with a buffer for a filter of `len` elements.
pub(super) fn with_room(precision: Precision, len: usize, work: impl FnOnce(&mut Store, &mut [f32])) {
    let new =
        || Box::new(Room { store: Store { precision, room: [[0.0; PART]; PRODUCTS] }, taps: Vec::new() });
    let mut room = ROOM.take().unwrap_or_else(new);
    let Room { store, taps } = &mut *room;
    store.precision = precision;
    taps.resize(len.max(taps.len()), 0.0);
    work(store, &mut taps[..len]);
    ROOM.set(Some(room));
}
