//! The options of a transform job, under SageMaker's names.

/// Declares an enumeration with SageMaker's names, in SageMaker's capitals.
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

            /// The value with that name; case matters.
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
    /// How an input file is split into records (`TransformInput.SplitType`).
    SplitType {
        /// Not at all: a file is one record.
        None,
        /// After each line.
        Line,
        /// Between RecordIO records.
        RecordIO,
    }
}

named! {
    /// How responses are assembled into one file (`TransformOutput.AssembleWith`).
    AssembleWith {
        /// Their bytes are concatenated.
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
    /// What responses are joined with (`DataProcessing.JoinSource`).
    JoinSource {
        /// Nothing.
        None,
        /// The record that the response belongs to.
        Input,
    }
}
