//! Array files of MXNet: lists and dictionaries of dense arrays, as `mx.nd.save` writes them.
//!
//! Little-endian throughout: u64 0x112, u64 reserved, u64 number of arrays; each array is a u32 magic (versions 2 and 3), an i32
//! storage type, the shape (u32 or i32 number of dimensions, i64 each), an i32 device type and number, an i32 element type, and
//! the elements; then u64 number of names (0 for a list, else as many as arrays), each a u64 length and its bytes. Files from
//! before MXNet 0.12 have version 1, without the storage type, or no magic at all: first the number of dimensions, then u32 each.
//! Names are returned as they are in the file; prefixes such as `arg:` have a meaning only for some writers.

mod error;
mod values;

use std::io::{self, Write};
use std::path::Path;

pub use error::{MxnetError, MxnetFault};
pub use values::{Inexact, Values, ValuesView};

use crate::{AtomicFile, FileError};

/// The first number of every file.
pub const LIST_MAGIC: u64 = 0x112;
const ARRAY_V1: u32 = 0xF993_FAC8;
const ARRAY_V2: u32 = 0xF993_FAC9;
const ARRAY_V3: u32 = 0xF993_FACA;
const DENSE: i32 = 0;
/// Device type and number of the CPU.
const CPU: [i32; 2] = [1, 0];
/// The maximum number of dimensions; no parameter has more.
const MOST_DIMENSIONS: u32 = 8;

/// The content of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrays {
    /// The arrays in the order of the file.
    pub arrays: Vec<Array>,
    /// The name of each array; empty for a list.
    pub names: Vec<String>,
}

/// One dense array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its extents, from 1 to 8 of them.
    pub shape: Vec<usize>,
    /// Its elements in row-major order: the product of the extents.
    pub values: Values,
    /// Where its elements begin, in bytes from the start of the file; for errors.
    pub at: usize,
}

/// An array to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArrayView<'a> {
    /// Its extents, from 1 to 8 of them.
    pub shape: &'a [usize],
    /// Its elements in row-major order: the product of the extents.
    pub values: ValuesView<'a>,
}

/// Writes a file, completely or not at all; see [`write()`].
///
/// # Errors
/// When the system refuses.
///
/// # Panics
/// As [`write()`].
pub fn save(path: &Path, arrays: &[ArrayView<'_>], names: &[&str]) -> Result<(), MxnetError> {
    let mut file = AtomicFile::create(path)?;
    write(&mut file, arrays, names).map_err(FileError::io(path, "write the file"))?;
    Ok(file.commit().map(drop)?)
}

/// Writes the content of a file in version 2, which MXNet reads since 0.12: a list if there are no names, otherwise a dictionary.
///
/// # Errors
/// The errors of `out`.
///
/// # Panics
/// When the names are neither one per array nor none at all, or an array's elements do not fill its shape.
pub fn write(out: &mut impl Write, arrays: &[ArrayView<'_>], names: &[&str]) -> io::Result<()> {
    assert!(names.is_empty() || names.len() == arrays.len(), "a name for each array, or none");
    for number in [LIST_MAGIC, 0, arrays.len() as u64] {
        out.write_all(&number.to_le_bytes())?;
    }
    for ArrayView { shape, values } in arrays {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "an element for each place of the shape");
        out.write_all(&ARRAY_V2.to_le_bytes())?;
        out.write_all(&DENSE.to_le_bytes())?;
        out.write_all(&(shape.len() as u32).to_le_bytes())?;
        for &extent in *shape {
            out.write_all(&(extent as i64).to_le_bytes())?;
        }
        for number in [CPU[0], CPU[1], values.element_type()] {
            out.write_all(&number.to_le_bytes())?;
        }
        values.write(out)?;
    }
    out.write_all(&(names.len() as u64).to_le_bytes())?;
    for name in names {
        out.write_all(&(name.len() as u64).to_le_bytes())?;
        out.write_all(name.as_bytes())?;
    }
    Ok(())
}

/// Reads a file.
///
/// # Errors
/// When the file cannot be read, is damaged, or holds other data than dense arrays; the error names the byte.
pub fn read(path: &Path) -> Result<Arrays, MxnetError> {
    let bytes = std::fs::read(path).map_err(FileError::io(path, "read the file"))?;
    parse(&bytes).map_err(|(at, fault)| MxnetError::Damaged { path: path.to_owned(), at, fault })
}

/// Reads the content of a file.
///
/// # Errors
/// The fault, and the byte at which it is.
pub fn parse(bytes: &[u8]) -> Result<Arrays, (usize, MxnetFault)> {
    let mut reader = Reader { bytes, at: 0 };
    let arrays = arrays(&mut reader);
    arrays.map_err(|fault| (reader.at, fault))
}

fn arrays(reader: &mut Reader<'_>) -> Result<Arrays, MxnetFault> {
    if reader.u64()? != LIST_MAGIC {
        return Err(MxnetFault::NoMagic);
    }
    reader.u64()?;
    let count = reader.count()?;
    let mut arrays = Vec::new();
    for _ in 0..count {
        arrays.push(array(reader)?);
    }
    let named = reader.count()?;
    if named != 0 && named != count {
        return Err(MxnetFault::Names { names: named, arrays: count });
    }
    let mut names = Vec::new();
    for _ in 0..named {
        let length = reader.count()?;
        let name = std::str::from_utf8(reader.take(length)?).map_err(|_| MxnetFault::NameNotUtf8)?;
        names.push(name.to_owned());
    }
    Ok(Arrays { arrays, names })
}

fn array(reader: &mut Reader<'_>) -> Result<Array, MxnetFault> {
    let first = reader.u32()?;
    let (dimensions, wide) = match first {
        ARRAY_V2 | ARRAY_V3 => {
            let storage = reader.i32()?;
            if storage != DENSE {
                return Err(MxnetFault::Storage { storage });
            }
            (reader.u32()?, true)
        }
        ARRAY_V1 => (reader.u32()?, true),
        dimensions if dimensions <= MOST_DIMENSIONS => (dimensions, false),
        magic => return Err(MxnetFault::ArrayMagic { magic }),
    };
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        return Err(MxnetFault::Dimensions { dimensions });
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let extent = if wide { reader.i64()? } else { reader.u32()?.into() };
        shape.push(usize::try_from(extent).map_err(|_| MxnetFault::NegativeSize)?);
    }
    let size = countable(&shape).ok_or(MxnetFault::Absurd)?;
    reader.i32()?;
    reader.i32()?;
    let kind = reader.i32()?;
    let width = values::width(kind).ok_or(MxnetFault::ElementType { kind })?;
    let at = reader.at;
    let values = Values::from_le_bytes(kind, reader.take(size * width)?);
    Ok(Array { shape, values, at })
}

/// The number of elements of an array of this shape. `None` if its bytes cannot be counted: even if one extent is 0, the product of the
/// others must be a valid number.
fn countable(shape: &[usize]) -> Option<usize> {
    let bytes = |size: usize, extent: &usize| size.checked_mul((*extent).max(1));
    shape.iter().try_fold(values::WIDEST, bytes)?;
    Some(shape.iter().product())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Takes the next bytes; a length beyond the end of the file allocates nothing.
    fn take(&mut self, length: usize) -> Result<&'a [u8], MxnetFault> {
        let left = self.bytes.len() - self.at;
        if length > left {
            return Err(MxnetFault::Ends { expected: length, left });
        }
        let taken = &self.bytes[self.at..][..length];
        self.at += length;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], MxnetFault> {
        Ok(self.take(N)?.try_into().expect("as many bytes as asked for"))
    }

    fn u32(&mut self) -> Result<u32, MxnetFault> {
        self.fixed().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Result<i32, MxnetFault> {
        self.fixed().map(i32::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, MxnetFault> {
        self.fixed().map(i64::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, MxnetFault> {
        self.fixed().map(u64::from_le_bytes)
    }

    fn count(&mut self) -> Result<usize, MxnetFault> {
        let count = self.u64()?;
        usize::try_from(count).map_err(|_| MxnetFault::Count { count })
    }
}

#[cfg(test)]
mod tests;
