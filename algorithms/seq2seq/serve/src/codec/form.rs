//! The formats of request and response bodies.

use std::fmt;

use kokanee_contract::MediaType;

/// A format of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// One object with all instances: the format of SageMaker's endpoints.
    Json,
    /// One object per line: the format of SageMaker's batch transform.
    JsonLines,
    /// RecordIO frames with protobuf records of ids.
    RecordIo,
    /// One sentence per line, as a convenience.
    Text,
}

/// The media types, in the order in which errors name them.
pub(crate) const MEDIA_TYPES: [MediaType; 4] =
    [MediaType::Json, MediaType::JsonLines, MediaType::RecordIo, MediaType::Text];

impl Form {
    /// The format of a media type; none if it is not one of [`MEDIA_TYPES`].
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

/// Displays the name of its media type.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.media().fmt(f)
    }
}
