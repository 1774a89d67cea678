//! The report of a training that diverged.

use std::fmt;

use kokanee_seq2seq_nn::Parameters;
use kokanee_tensor::Gradient;

use crate::gradients::values;

/// The largest number of parameters named in a message.
const MOST_NAMED: usize = 4;

/// A loss or a gradient that is not finite, with what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The update that failed, from 1; for validation, the last one made.
    pub update: u64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Mean loss per target token of its batches: it may be finite while a gradient is not. NaN for validation.
    pub loss: f64,
    /// The place where it was detected.
    pub place: Place,
    /// The model that is kept, as a sentence.
    pub kept: String,
}

/// The place where divergence was detected.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// In the loss or the gradients of an update.
    Update {
        /// Number of pairs in the update.
        pairs: usize,
        /// Number of target tokens in the update, `</s>` included.
        target_tokens: usize,
        /// The gradients.
        gradients: Magnitudes,
    },
    /// On the validation data.
    Validation {
        /// The parameters.
        parameters: Magnitudes,
    },
}

/// The size of many named tensors' elements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Magnitudes {
    /// Name and value of the finite element with the largest magnitude; none if there is no finite one.
    pub largest: Option<(String, f32)>,
    /// For each tensor with elements that are infinite or NaN: its name, their number, and the number of all elements.
    pub not_finite: Vec<(String, usize, usize)>,
}

impl Magnitudes {
    /// The magnitudes of gradients, in the order of the parameters.
    pub(crate) fn of_gradients(parameters: &Parameters, gradients: &[Option<Gradient>]) -> Magnitudes {
        let named = parameters.iter().zip(gradients);
        Self::of(named.filter_map(|(p, gradient)| Some((&*p.name, values(gradient.as_ref()?).data()))))
    }

    /// The magnitudes of parameters.
    pub(crate) fn of_parameters(parameters: &Parameters) -> Magnitudes {
        Self::of(parameters.iter().map(|p| (&*p.name, p.value.data())))
    }

    fn of<'a>(tensors: impl Iterator<Item = (&'a str, &'a [f32])>) -> Magnitudes {
        let mut magnitudes = Magnitudes::default();
        for (name, elements) in tensors {
            let finite = elements.iter().copied().filter(|x| x.is_finite());
            let largest = finite.max_by(|a, b| a.abs().total_cmp(&b.abs()));
            let before = magnitudes.largest.as_ref().map_or(-1.0, |(_, value)| value.abs());
            if let Some(largest) = largest.filter(|x| x.abs() > before) {
                magnitudes.largest = Some((name.to_owned(), largest));
            }
            let odd = elements.iter().filter(|x| !x.is_finite()).count();
            if odd > 0 {
                magnitudes.not_finite.push((name.to_owned(), odd, elements.len()));
            }
        }
        magnitudes
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, what: &str) -> fmt::Result {
        match &self.largest {
            Some((name, value)) => write!(f, "the largest finite {what} is {value:e} in {name}")?,
            None => write!(f, "no {what} is finite")?,
        }
        if self.not_finite.is_empty() {
            return write!(f, ", and none is infinite or undefined");
        }
        let named = self.not_finite.iter().take(MOST_NAMED);
        let named: Vec<String> = named.map(|(name, odd, all)| format!("{name} ({odd} of {all})")).collect();
        write!(f, "; infinite or undefined ones are in {}", named.join(", "))?;
        match self.not_finite.len().saturating_sub(MOST_NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { update, learning_rate, loss, place, kept } = self;
        write!(f, "training diverged at update {update}")?;
        match place {
            Place::Update { pairs, target_tokens, gradients } => {
                let what = if loss.is_finite() {
                    format!("a gradient is not a number while the loss is {loss:.6}")
                } else {
                    format!("the loss became {loss}")
                };
                write!(
                    f,
                    ": {what}, with learning rate {learning_rate:?}, on {pairs} pairs with {target_tokens} target tokens; "
                )?;
                gradients.write(f, "gradient")?;
            }
            Place::Validation { parameters } => {
                write!(f, ": after it the loss on the validation data is not a number, with learning rate ")?;
                write!(f, "{learning_rate:?}; ")?;
                parameters.write(f, "parameter")?;
            }
        }
        write!(f, ". Lower the learning rate, let it rise slowly, or clip gradients harder. {kept}")
    }
}
