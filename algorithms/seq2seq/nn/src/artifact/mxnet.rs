//! Parameters in MXNet's array files, as Sockeye writes them: dense `f32` under names that begin with `arg:` or `aux:`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use kokanee_formats::AtomicFile;
use kokanee_formats::mxnet::{self, Array, ArrayView, Arrays, MxnetError, Values, ValuesView};
use kokanee_tensor::Tensor;

use super::ArtifactError;

/// Writes arrays as `f32`, under `arg:` names; completely or not at all.
///
/// # Errors
/// When the system returns an error.
pub fn write_parameters(path: &Path, tensors: &[(&str, &Tensor)]) -> Result<(), ArtifactError> {
    let mut file = AtomicFile::create(path)?;
    write(&mut file, tensors).map_err(|e| ArtifactError::io("write", path, e))?;
    Ok(file.commit().map(drop)?)
}

/// Writes the content of a file of [`write_parameters`].
pub(super) fn write<'a>(file: &mut impl Write, tensors: &[(&str, &'a Tensor)]) -> io::Result<()> {
    let view = |&(_, tensor): &(&str, &'a Tensor)| ArrayView {
        shape: tensor.shape().extents(),
        values: ValuesView::F32(tensor.data()),
    };
    let arrays: Vec<_> = tensors.iter().map(view).collect();
    let names: Vec<_> = tensors.iter().map(|(name, _)| format!("arg:{name}")).collect();
    mxnet::write(file, &arrays, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Reads all arrays of a file, which must be dense `f32`, by name without the `arg:` prefix.
///
/// # Errors
/// When the file cannot be read, is damaged, or holds other data; the error names the byte offset.
pub fn read_parameters(path: &Path) -> Result<HashMap<String, Tensor>, ArtifactError> {
    let damaged = |at: usize, reason: String| {
        ArtifactError::damaged(path, format!("at byte {at}: {reason}; expected an MXNet parameter file"))
    };
    let Arrays { arrays, names } = mxnet::read(path).map_err(|error| match error {
        MxnetError::Io(error) => error.into(),
        MxnetError::Damaged { at, fault, .. } => damaged(at, fault.to_string()),
    })?;
    if let ([], [first, ..]) = (&names[..], &arrays[..]) {
        return Err(damaged(first.at, format!("0 names for {} arrays", arrays.len())));
    }
    let mut named = HashMap::new();
    for (Array { shape, values, at }, name) in arrays.into_iter().zip(names) {
        let values = match values {
            Values::F32(values) => values,
            other => {
                let kind = other.element_type();
                let reason = format!("an array has element type {kind}, and only float32 (0) can be read");
                return Err(damaged(at, reason));
            }
        };
        let short = name.strip_prefix("arg:").or_else(|| name.strip_prefix("aux:")).unwrap_or(&name);
        if named.insert(short.to_owned(), Tensor::from_vec(shape, values)).is_some() {
            return Err(damaged(at, format!("the name {short} comes twice")));
        }
    }
    Ok(named)
}
