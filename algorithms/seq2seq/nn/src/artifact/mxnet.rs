//! Parameter files of MXNet: dictionaries of dense arrays as `mx.nd.save` writes them.
//!
//! Little-endian throughout: u64 0x112, u64 reserved, u64 number of arrays; each array is a u32 magic (versions 2 and 3), an i32
//! storage type, the shape (u32 or i32 number of dimensions, i64 each), an i32 device type and number, an i32 element type, and
//! the elements; then u64 number of names, each a u64 length and its bytes. Names begin with `arg:` or `aux:`. Files from
//! before MXNet 0.12 have version 1, without the storage type, or no magic at all: first the number of dimensions, then u32 each.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use kokanee_formats::AtomicFile;
use kokanee_tensor::Tensor;

use super::ArtifactError;
use super::tensors::can_count;

const LIST_MAGIC: u64 = 0x112;
const ARRAY_V1: u32 = 0xF993_FAC8;
const ARRAY_V2: u32 = 0xF993_FAC9;
const ARRAY_V3: u32 = 0xF993_FACA;
const DENSE: i32 = 0;
const FLOAT32: i32 = 0;
/// Device type and number of the CPU.
const CPU: [i32; 2] = [1, 0];
/// No parameter has more dimensions.
const MOST_DIMENSIONS: u32 = 8;

/// Writes arrays as `f32` in version 2, which MXNet reads from 0.12 on, under `arg:` names; whole or not at all.
///
/// # Errors
/// When the system refuses.
pub fn write_parameters(path: &Path, tensors: &[(&str, &Tensor)]) -> Result<(), ArtifactError> {
    let mut file = AtomicFile::create(path)?;
    write(&mut file, tensors).map_err(|e| ArtifactError::io("write", path, e))?;
    Ok(file.commit().map(drop)?)
}

/// The content of a file that [`write_parameters`] writes.
pub(super) fn write(file: &mut impl Write, tensors: &[(&str, &Tensor)]) -> io::Result<()> {
    for number in [LIST_MAGIC, 0, tensors.len() as u64] {
        file.write_all(&number.to_le_bytes())?;
    }
    for (_, tensor) in tensors {
        let extents = tensor.shape().extents();
        file.write_all(&ARRAY_V2.to_le_bytes())?;
        file.write_all(&DENSE.to_le_bytes())?;
        file.write_all(&(extents.len() as u32).to_le_bytes())?;
        for extent in extents {
            file.write_all(&(*extent as i64).to_le_bytes())?;
        }
        for number in [CPU[0], CPU[1], FLOAT32] {
            file.write_all(&number.to_le_bytes())?;
        }
        for value in tensor.data() {
            file.write_all(&value.to_le_bytes())?;
        }
    }
    file.write_all(&(tensors.len() as u64).to_le_bytes())?;
    for (name, _) in tensors {
        let name = format!("arg:{name}");
        file.write_all(&(name.len() as u64).to_le_bytes())?;
        file.write_all(name.as_bytes())?;
    }
    Ok(())
}

/// Reads all arrays of a file, which must be dense `f32`, by name without the `arg:` prefix.
///
/// # Errors
/// When the file cannot be read, is damaged, or holds something else; the byte offset is named.
pub fn read_parameters(path: &Path) -> Result<HashMap<String, Tensor>, ArtifactError> {
    let bytes = std::fs::read(path).map_err(|e| ArtifactError::io("read", path, e))?;
    let mut reader = Reader { bytes: &bytes, at: 0 };
    parse(&mut reader).map_err(|reason| {
        ArtifactError::damaged(
            path,
            format!("at byte {}: {reason}; expected an MXNet parameter file", reader.at),
        )
    })
}

fn parse(reader: &mut Reader<'_>) -> Result<HashMap<String, Tensor>, String> {
    if reader.u64()? != LIST_MAGIC {
        return Err("the file does not start with MXNet's magic number".to_owned());
    }
    reader.u64()?;
    let count = reader.count()?;
    let mut arrays = Vec::new();
    for _ in 0..count {
        arrays.push(array(reader)?);
    }
    let names = reader.count()?;
    if names != count {
        return Err(format!("{names} names for {count} arrays"));
    }
    let mut named = HashMap::new();
    for tensor in arrays {
        let length = reader.count()?;
        let name = std::str::from_utf8(reader.take(length)?).map_err(|_| "a name is not UTF-8")?;
        let short = name.strip_prefix("arg:").or_else(|| name.strip_prefix("aux:")).unwrap_or(name);
        if named.insert(short.to_owned(), tensor).is_some() {
            return Err(format!("the name {short} comes twice"));
        }
    }
    Ok(named)
}

fn array(reader: &mut Reader<'_>) -> Result<Tensor, String> {
    let first = reader.u32()?;
    let (dimensions, wide) = match first {
        ARRAY_V2 | ARRAY_V3 => {
            let storage = reader.i32()?;
            if storage != DENSE {
                return Err(format!(
                    "an array has storage type {storage}, and only dense ones (0) can be read"
                ));
            }
            (reader.u32()?, true)
        }
        ARRAY_V1 => (reader.u32()?, true),
        dimensions if dimensions <= MOST_DIMENSIONS => (dimensions, false),
        magic => {
            return Err(format!("an array starts with {magic:#x}, which is not the magic of any version"));
        }
    };
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        return Err(format!("an array has {dimensions} dimensions"));
    }
    let mut extents = Vec::new();
    for _ in 0..dimensions {
        let extent = if wide { reader.i64()? } else { reader.u32()?.into() };
        let extent = usize::try_from(extent).map_err(|_| "an array has a negative size")?;
        extents.push(extent);
    }
    if !can_count(&extents) {
        return Err("an array is absurdly large".to_owned());
    }
    let size: usize = extents.iter().product();
    reader.i32()?;
    reader.i32()?;
    let kind = reader.i32()?;
    if kind != FLOAT32 {
        return Err(format!("an array has element type {kind}, and only float32 (0) can be read"));
    }
    let bytes = reader.take(size * size_of::<f32>())?;
    let (chunks, _) = bytes.as_chunks::<4>();
    Ok(Tensor::from_vec(extents, chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next bytes; nothing is allocated for a length that the file does not have.
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            format!("the file ends: {length} more bytes expected, {} left", self.bytes.len() - self.at)
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self.take(N)?.try_into().expect("as many bytes as asked for"))
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.fixed().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Result<i32, String> {
        self.fixed().map(i32::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, String> {
        self.fixed().map(i64::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.fixed().map(u64::from_le_bytes)
    }

    fn count(&mut self) -> Result<usize, String> {
        let count = self.u64()?;
        usize::try_from(count).map_err(|_| format!("a count of {count} is absurd"))
    }
}
