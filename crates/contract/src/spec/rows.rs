//! The rows of a table of hyperparameters, and the macro that declares them.

use std::collections::BTreeMap;

use super::{Spec, Values, find};

/// The typed hyperparameters of one algorithm and their rows. Implemented by the macro `hyperparameters!`; [`Table`](crate::Table) adds the
/// rules between rows, and the algorithm that they belong to.
pub trait Rows: Sized + Clone + 'static {
    /// Every hyperparameter, in the order of the documentation.
    const SPECS: &'static [Spec];

    /// Every value in force as SageMaker would pass it, name to string; hyperparameters that are not set are absent. Resolving the result
    /// gives the same hyperparameters again.
    fn to_strings(&self) -> BTreeMap<String, String>;

    /// Builds the struct from a value for every hyperparameter that has one.
    ///
    /// # Panics
    /// If rows and fields do not match, which a test of every table excludes.
    fn from_values(values: &Values) -> Self;

    /// The row with this name or alias.
    fn spec(name: &str) -> Option<&'static Spec> {
        find(Self::SPECS, name)
    }
}

/// Declares the struct of an algorithm's hyperparameters and its [`Rows`] from one list.
///
/// A row is `name: Type = Spec::…;` below its documentation. A hyperparameter whose name is not a good field name is written as `field as
/// "name"`.
///
/// ```text
/// hyperparameters! {
///     /// The hyperparameters of one training job.
///     Hyperparameters;
///
///     /// What it does.
///     epochs: usize = Spec::sagemaker(DATA, COUNT, "1");
///     /// Seed of every random choice.
///     seed as "_seed": u64 = Spec::extension(RUN, SEED, "0");
/// }
/// ```
macro_rules! hyperparameters {
    (
        $(#[$meta:meta])*
        $struct:ident;
        $( $(#[doc = $doc:literal])+ $field:ident $(as $name:literal)?: $type:ty = $spec:expr; )+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $struct {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl $struct {
            /// Every value in force as SageMaker would pass it, name to string; hyperparameters that are not set are absent. Resolving the
            /// result gives the same hyperparameters again.
            pub fn to_strings(&self) -> std::collections::BTreeMap<String, String> {
                let mut strings = std::collections::BTreeMap::new();
                $( if let Some(text) = $crate::spec::Field::to_text(&self.$field) {
                    let name = $crate::spec::hyperparameters!(@name $field $($name)?);
                    strings.insert(name.to_owned(), text);
                } )+
                strings
            }
        }

        impl $crate::spec::Rows for $struct {
            const SPECS: &'static [$crate::spec::Spec] = &[$(
                $spec.documented($crate::spec::hyperparameters!(@name $field $($name)?), concat!($($doc),+)),
            )+];

            fn to_strings(&self) -> std::collections::BTreeMap<String, String> {
                Self::to_strings(self)
            }

            fn from_values(values: &$crate::spec::Values) -> Self {
                Self { $(
                    $field: $crate::spec::Field::from_value(
                        values.0.get($crate::spec::hyperparameters!(@name $field $($name)?))
                    ),
                )+ }
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
}
pub(crate) use hyperparameters;
