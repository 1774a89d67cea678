//! The choices that a transform job has, under SageMaker's names.

/// An enumeration whose names are SageMaker's, in SageMaker's capitals.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The names, as SageMaker's API spells them.
            pub const NAMES: &[&'static str] = &[$(stringify!($variant)),+];

            /// The value of that name; capitals count.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($variant) => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)+
                }
            }
        }
    };
}

named! {
    /// Where an input file is divided into records (`TransformInput.SplitType`).
    SplitType {
        /// Nowhere: a file is one record.
        None,
        /// After each line.
        Line,
        /// Between RecordIO records.
        RecordIO,
    }
}

named! {
    /// How answers become one file (`TransformOutput.AssembleWith`).
    AssembleWith {
        /// Their bytes one after the other.
        None,
        /// Each ends with a line break.
        Line,
    }
}

named! {
    /// How many records a request has (`BatchStrategy`).
    BatchStrategy {
        /// As many as fit.
        MultiRecord,
        /// One.
        SingleRecord,
    }
}

named! {
    /// How input files are compressed (`TransformInput.CompressionType`).
    CompressionType {
        /// Not at all.
        None,
        /// With gzip, every one of them.
        Gzip,
    }
}

named! {
    /// What answers are put together with (`DataProcessing.JoinSource`).
    JoinSource {
        /// Nothing.
        None,
        /// The record that was answered.
        Input,
    }
}
