//! A table of hyperparameters, and the macro that declares one.

use std::collections::BTreeMap;

use super::value::Value;
use super::{Spec, find};
use crate::registry::AlgorithmContract;

/// The typed hyperparameters of one algorithm, with the table that they follow from. Implemented by the macro
/// `hyperparameters!`; values come from [`resolve`](crate::resolve()).
pub trait Table: Sized + Clone + 'static {
    /// Every hyperparameter, in the order of the documentation.
    const SPECS: &'static [Spec];
    /// What single valid values cannot break alone.
    const RULES: &'static [Rule<Self>];

    /// The algorithm.
    fn contract() -> &'static AlgorithmContract;

    /// Every value in force as SageMaker would carry it, name to string; hyperparameters that are not set are absent. Resolving
    /// the result gives the same hyperparameters again.
    fn to_strings(&self) -> BTreeMap<String, String>;

    /// From a value for every hyperparameter that has one.
    ///
    /// # Panics
    /// If rows and fields do not belong together, which a test of every table excludes.
    fn from_values(values: &Values) -> Self;

    /// The one form among those that mean the same, such as a number without its sign.
    fn in_normal_form(self) -> Self {
        self
    }

    /// The row with this name or alias.
    fn spec(name: &str) -> Option<&'static Spec> {
        find(Self::SPECS, name)
    }
}

/// Typed values by the names of a table.
#[derive(Clone, Debug, Default)]
pub struct Values(pub(crate) BTreeMap<&'static str, Value>);

/// One rule over typed values: what a single valid value cannot break alone, or its range cannot express.
pub struct Rule<H> {
    /// What the rule looks at; the first is the one to blame. The rule is skipped where one of them is faulty already.
    pub names: &'static [&'static str],
    /// The contradiction, if there is one, and how to resolve it.
    pub broken: fn(&H) -> Option<String>,
}

/// Declares the struct of an algorithm's hyperparameters and its [`Table`] from one list of rows.
///
/// A row is `name: Type = Spec::…;` under its documentation. The name of a hyperparameter that is no good name of a field is
/// given as `field as "name"`.
///
/// ```text
/// hyperparameters! {
///     /// The hyperparameters of one training job.
///     Hyperparameters of CONTRACT, rules RULES, normal form std::convert::identity;
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
        $struct:ident of $contract:path, rules $rules:path, normal form $normal_form:path;
        $( $(#[doc = $doc:literal])+ $field:ident $(as $name:literal)?: $type:ty = $spec:expr; )+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $struct {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl $struct {
            /// Every value in force as SageMaker would carry it, name to string; hyperparameters that are not set are absent.
            /// Resolving the result gives the same hyperparameters again.
            pub fn to_strings(&self) -> std::collections::BTreeMap<String, String> {
                let mut strings = std::collections::BTreeMap::new();
                $( if let Some(text) = $crate::spec::Field::to_text(&self.$field) {
                    let name = $crate::spec::hyperparameters!(@name $field $($name)?);
                    strings.insert(name.to_owned(), text);
                } )+
                strings
            }
        }

        impl $crate::spec::Table for $struct {
            const SPECS: &'static [$crate::spec::Spec] = &[$(
                $spec.documented($crate::spec::hyperparameters!(@name $field $($name)?), concat!($($doc),+)),
            )+];
            const RULES: &'static [$crate::spec::Rule<Self>] = $rules;

            fn contract() -> &'static $crate::registry::AlgorithmContract {
                &$contract
            }

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

            fn in_normal_form(self) -> Self {
                $normal_form(self)
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
}
pub(crate) use hyperparameters;
