//! Named tensors in safetensors files.

use std::collections::HashMap;
use std::path::Path;

use kokanee_tensor::Tensor;
use safetensors::{Dtype, SafeTensors, View};

use super::{ArtifactError, write_whole};

struct F32<'a>(&'a Tensor, Vec<usize>);

impl View for F32<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.1
    }
    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.0.data().iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into()
    }
    fn data_len(&self) -> usize {
        size_of_val(self.0.data())
    }
}

/// Writes tensors as `f32`, whole or not at all.
///
/// # Errors
/// When the system refuses.
pub fn save_parameters(path: &Path, tensors: &[(&str, &Tensor)]) -> Result<(), ArtifactError> {
    let views = tensors.iter().map(|(name, t)| (*name, F32(t, t.shape().extents().to_vec())));
    let bytes = safetensors::serialize(views, None)
        .map_err(|e| ArtifactError::damaged(path, format!("tensors cannot be written: {e}")))?;
    write_whole(path, |file| file.write_all(&bytes))
}

/// Reads all tensors of a file; they must be `f32`.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub fn load_parameters(path: &Path) -> Result<HashMap<String, Tensor>, ArtifactError> {
    let bytes = std::fs::read(path).map_err(|e| ArtifactError::io("read", path, e))?;
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|e| ArtifactError::damaged(path, format!("not a whole safetensors file: {e}")))?;
    tensors
        .iter()
        .map(|(name, view)| {
            if view.dtype() != Dtype::F32 {
                let reason = format!("tensor {name} is of type {:?}, expected F32", view.dtype());
                return Err(ArtifactError::damaged(path, reason));
            }
            let (chunks, _) = view.data().as_chunks::<4>();
            let values = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Ok((name.to_owned(), Tensor::from_vec(view.shape(), values)))
        })
        .collect()
}
