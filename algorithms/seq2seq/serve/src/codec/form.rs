//! The forms of bodies that are read and written.

use std::fmt;

use kokanee_contract::MediaType;

/// A form of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// One object with all instances: the form of SageMaker's endpoints.
    Json,
    /// One object per line: the form of SageMaker's batch transform.
    JsonLines,
    /// RecordIO frames with protobuf records of ids.
    RecordIo,
    /// One sentence per line, a courtesy.
    Text,
}

/// Their media types, in the order in which errors name them.
pub(crate) const MEDIA_TYPES: [MediaType; 4] =
    [MediaType::Json, MediaType::JsonLines, MediaType::RecordIo, MediaType::Text];

impl Form {
    /// The form of a media type; none where it is not one of [`MEDIA_TYPES`].
    pub(crate) fn of(media: MediaType) -> Option<Self> {
        match media {
            MediaType::Json => Some(Self::Json),
            MediaType::JsonLines => Some(Self::JsonLines),
            MediaType::RecordIo => Some(Self::RecordIo),
            MediaType::Text => Some(Self::Text),
            MediaType::Csv | MediaType::Libsvm | MediaType::Model => None,
        }
    }

    fn media(self) -> MediaType {
        match self {
            Self::Json => MediaType::Json,
            Self::JsonLines => MediaType::JsonLines,
            Self::RecordIo => MediaType::RecordIo,
            Self::Text => MediaType::Text,
        }
    }
}

/// The name of its media type.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.media().fmt(f)
    }
}
