//! The search for the values of the next child.

use std::collections::BTreeMap;

use kokanee_tuner::{Options, Source, Space, Strategy, SuggestError, Suggestion, Trial, WarmStart, suggest};

use crate::tuning::{Child, Definition, DefinitionError, StrategyKind, TuningState};

/// A parent of a warm start: its definitions and its children.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    pub(super) definitions: Vec<Definition>,
    pub(super) children: Vec<Child>,
}

/// The search over one definition's ranges.
pub(super) struct Search {
    place: usize,
    space: Space,
    options: Options,
    seed: u64,
    parents: Vec<Trial>,
}

impl Search {
    /// The search of the definition at this index.
    ///
    /// # Errors
    /// If its ranges are not valid.
    pub(super) fn new(
        state: &TuningState,
        place: usize,
        parents: &[Parent],
    ) -> Result<Self, DefinitionError> {
        let definition = &state.definitions[place];
        let space = definition.space()?;
        let is_identical = state.parents.as_ref().is_none_or(|(_, is_identical)| *is_identical);
        let options = Options {
            warm_start: if is_identical {
                WarmStart::IdenticalDataAndAlgorithm
            } else {
                WarmStart::TransferLearning
            },
            strategy: match state.strategy {
                StrategyKind::Bayesian => Strategy::Bayesian,
                StrategyKind::Random => Strategy::Random,
                StrategyKind::Grid => Strategy::Grid,
                StrategyKind::Hyperband { .. } => Strategy::Hyperband,
            },
            ..Options::bayesian(definition.goal())
        };
        let trials = parents.iter().enumerate().flat_map(|(number, parent)| {
            let source = Source::Parent(number);
            let space = &space;
            parent.children.iter().filter_map(move |child| {
                let statics = &parent.definitions.get(child.definition)?.statics;
                let text = |name: &str| child.values.get(name).or_else(|| statics.get(name));
                let values = space.parse(|name| text(name).map(String::as_str)).ok()?;
                Some(Trial { source, ..Trial::new(values, child.outcome()) })
            })
        });
        let parents = trials.collect();
        Ok(Self { place, space, options, seed: state.seed ^ place as u64, parents })
    }

    /// Returns the next names and values; none if all have been tried.
    ///
    /// # Errors
    /// If the strategy cannot search the ranges.
    pub(super) fn next(&self, children: &[Child]) -> Result<Option<BTreeMap<String, String>>, SuggestError> {
        let own = children.iter().filter(|child| child.definition == self.place);
        let own = own.filter_map(|child| {
            let values = self.space.parse(|name| child.values.get(name).map(String::as_str)).ok()?;
            Some(Trial::new(values, child.outcome()))
        });
        let trials: Vec<Trial> = self.parents.iter().cloned().chain(own).collect();
        let Suggestion::Configuration(values) = suggest(&self.space, &trials, &self.options, self.seed)?
        else {
            return Ok(None);
        };
        let values = self.space.print(&values);
        Ok(Some(values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
    }
}
