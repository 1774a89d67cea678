//! Named tensors in safetensors files, one at a time: neither reading nor writing needs a second copy of the model in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use kokanee_formats::{AtomicFile, Digesting, FileDigest};
use kokanee_tensor::Tensor;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::ArtifactError;

/// Number of bytes that hold the length of the header.
const LENGTH_BYTES: usize = 8;
/// The limit of the format's own library.
const LARGEST_HEADER_BYTES: u64 = 100_000_000;
/// Number of bytes converted at a time.
const PIECE_BYTES: usize = 1 << 16;

/// Writes tensors as `f32`, completely or not at all.
///
/// # Errors
/// When the system returns an error.
pub fn save_parameters(path: &Path, tensors: &[(&str, &Tensor)]) -> Result<(), ArtifactError> {
    let mut file = AtomicFile::create(path)?;
    write_tensors(&mut file, tensors).map_err(|e| ArtifactError::io("write", path, e))?;
    Ok(file.commit().map(drop)?)
}

/// Writes the content of a file of tensors: the header, then the tensors in the order of their names.
///
/// # Errors
/// Those of `out`.
pub fn write_tensors(out: &mut impl Write, tensors: &[(&str, &Tensor)]) -> io::Result<()> {
    let mut tensors = tensors.to_vec();
    tensors.sort_by_key(|(name, _)| *name);
    let mut end = 0;
    let infos = tensors.iter().map(|(name, tensor)| {
        let begin = end;
        end += size_of_val(tensor.data());
        let shape = tensor.shape().extents().to_vec();
        ((*name).to_owned(), TensorInfo { dtype: Dtype::F32, shape, data_offsets: (begin, end) })
    });
    let metadata = Metadata::new(None, infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    header.resize(header.len().next_multiple_of(LENGTH_BYTES), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    let mut bytes = Vec::with_capacity(PIECE_BYTES);
    for (_, tensor) in &tensors {
        for piece in tensor.data().chunks(PIECE_BYTES / size_of::<f32>()) {
            bytes.clear();
            bytes.extend(piece.iter().flat_map(|value| value.to_le_bytes()));
            out.write_all(&bytes)?;
        }
    }
    Ok(())
}

/// Reads all tensors of a file; they must be `f32`.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub fn load_parameters(path: &Path) -> Result<HashMap<String, Tensor>, ArtifactError> {
    let file = File::open(path).map_err(|e| ArtifactError::io("read", path, e))?;
    load_digested(file, path).map(|(tensors, _)| tensors)
}

/// Reads the tensors of an open file, with the digest of what was read; `path` is for error messages.
pub(super) fn load_digested(
    file: File,
    path: &Path,
) -> Result<(HashMap<String, Tensor>, FileDigest), ArtifactError> {
    let io = |e| ArtifactError::io("read", path, e);
    let damaged =
        |reason: String| ArtifactError::damaged(path, format!("not a whole safetensors file: {reason}"));
    let length = file.metadata().map_err(io)?.len();
    let mut input = Digesting::new(BufReader::with_capacity(PIECE_BYTES, file));

    let mut begin = [0; LENGTH_BYTES];
    if length < LENGTH_BYTES as u64 {
        return Err(damaged(format!("it has {length} bytes")));
    }
    input.read_exact(&mut begin).map_err(io)?;
    let header_length = u64::from_le_bytes(begin);
    let rest = length - LENGTH_BYTES as u64;
    if header_length > rest.min(LARGEST_HEADER_BYTES) {
        return Err(damaged(format!("its header should have {header_length} bytes, and {rest} follow")));
    }
    let mut header = vec![0; header_length as usize];
    input.read_exact(&mut header).map_err(io)?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|e| damaged(format!("its header: {e}")))?;
    let (expected, got) = (metadata.data_len() as u64, rest - header_length);
    if expected != got {
        return Err(damaged(format!(
            "its tensors should have {expected} bytes, and {got} follow the header"
        )));
    }

    let mut tensors = HashMap::new();
    let mut bytes = vec![0; PIECE_BYTES];
    for name in metadata.offset_keys() {
        let info = metadata.info(&name).expect("a name of the header");
        if info.dtype != Dtype::F32 {
            let reason = format!("tensor {name} is of type {:?}, expected F32", info.dtype);
            return Err(ArtifactError::damaged(path, reason));
        }
        if !can_count(&info.shape) {
            return Err(ArtifactError::damaged(
                path,
                format!("tensor {name} is absurdly large: {:?}", info.shape),
            ));
        }
        let mut tensor = Tensor::lasting(info.shape.as_slice());
        for values in tensor.data_mut().chunks_mut(PIECE_BYTES / size_of::<f32>()) {
            let bytes = &mut bytes[..size_of_val(values)];
            input.read_exact(bytes).map_err(io)?;
            let (numbers, _) = bytes.as_chunks::<4>();
            for (value, number) in values.iter_mut().zip(numbers) {
                *value = f32::from_le_bytes(*number);
            }
        }
        tensors.insert(name, tensor);
    }
    Ok((tensors, input.digest()))
}

/// Whether the elements of these extents can be counted: even if one of them is 0, the product of the others must not overflow.
fn can_count(extents: &[usize]) -> bool {
    extents.iter().try_fold(size_of::<f32>(), |size, extent| size.checked_mul((*extent).max(1))).is_some()
}
