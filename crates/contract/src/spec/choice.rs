//! The macro that declares a hyperparameter's set of words.

/// Declares an enum for a hyperparameter whose value is one of a few words, spelled exactly as SageMaker spells them. This is
/// the only place a new set of words needs: the enum is a [`Field`](super::Field), and `KIND` is the kind of its rows.
///
/// ```text
/// choice! {
///     /// How the first centres are chosen.
///     InitMethod {
///         /// At random.
///         Random = "random",
///         /// By their distances; the second spelling is read, and never written.
///         KmeansPlusPlus = "kmeans++" | "k-means++",
///     }
/// }
/// ```
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident {
        $( $(#[$variant_meta:meta])* $variant:ident = $text:literal $(| $alias:literal)*, )+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $( $(#[$variant_meta])* #[serde(rename = $text)] $variant, )+
        }

        impl $name {
            /// Every value, in the order of the guide.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];
            /// The written spelling of every value, in the order of [`Self::ALL`].
            pub const NAMES: &'static [&'static str] = &[$( $text, )+];
            /// The kind of a hyperparameter that is one of these words.
            pub const KIND: $crate::spec::Kind = $crate::spec::Kind::Choice {
                names: Self::NAMES,
                aliases: &[$( $( ($alias, $text), )* )+],
            };

            /// The spelling used in hyperparameters, configuration files and logs.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }

            /// The value with exactly this spelling.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::spec::Field for $name {
            fn from_value(value: Option<&$crate::spec::value::Value>) -> Self {
                match value {
                    Some($crate::spec::value::Value::Word(name)) => {
                        Self::from_name(name).expect("the words in the table are those of the field's type")
                    }
                    other => unreachable!("a choice field has the value {other:?}"),
                }
            }

            fn to_text(&self) -> Option<String> {
                Some(self.as_str().to_owned())
            }
        }
    };
}
pub(crate) use choice;
