//! Parameter names of all Sockeye 1.x versions, converted to those of 1.18.
//!
//! Up to 1.12, parameters of recurrent cells were saved gate by gate, in the format of MXNet's `unpack_weights` (`…i2h_i_weight`),
//! the output layer had the prefix of its decoder (`decoder_rnn_cls_weight`), and the attention had none (`att_e2h_weight`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kokanee_tensor::Tensor;

use crate::params::ParameterMismatch;

/// Prefixes that changed, old and new. None is a prefix of another.
const RENAMED: [(&str, &str); 3] = [
    ("decoder_rnn_cls_", "target_output_"),
    ("decoder_cnn_cls_", "target_output_"),
    ("att_", "decoder_rnn_att_"),
];
/// Gates in the order in which their rows follow each other (MXNet's `_gate_names`).
const LSTM_GATES: &[char] = &['i', 'f', 'c', 'o'];
const GRU_GATES: &[char] = &['r', 'z', 'o'];

/// Parameters under the names of 1.18.
#[derive(Default)]
pub(super) struct Adopted {
    pub(super) tensors: HashMap<String, Tensor>,
    /// The parameters that could not be matched.
    pub(super) mismatch: ParameterMismatch,
    pub(super) notes: Vec<String>,
}

impl Adopted {
    /// Renames and packs saved parameters.
    pub(super) fn new(saved: HashMap<String, Tensor>) -> Adopted {
        let mut adopted = Adopted::default();
        let mut gates: BTreeMap<[String; 2], BTreeMap<char, Tensor>> = BTreeMap::new();
        let mut renamed = 0;
        for (name, tensor) in saved {
            if let Some((cell, gate, kind)) = split_gate(&name) {
                gates.entry([cell, kind]).or_default().insert(gate, tensor);
            } else {
                let current = current_name(&name);
                renamed += usize::from(current != name);
                adopted.insert(current, &name, tensor);
            }
        }
        if renamed > 0 {
            adopted.notes.push(format!(
                "names of Sockeye up to 1.12 became those of 1.18: {renamed} of the parameters"
            ));
        }
        if !gates.is_empty() {
            let count = gates.len();
            adopted.notes.push(format!(
                "parameters of recurrent cells were saved gate by gate; they were packed into {count} matrices and biases"
            ));
        }
        for ([cell, kind], gates) in gates {
            adopted.pack(&cell, &kind, gates);
        }
        adopted
    }

    /// The size of a parameter along an axis.
    pub(super) fn extent(&self, name: &str, axis: usize) -> Option<usize> {
        self.tensors.get(name)?.shape().extents().get(axis).copied()
    }

    fn insert(&mut self, name: String, saved_as: &str, tensor: Tensor) {
        match self.tensors.entry(name) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(tensor);
            }
            // The old and the current name occur side by side.
            std::collections::hash_map::Entry::Occupied(occupied) => {
                let name = occupied.key();
                self.mismatch.unexpected.push(format!("{saved_as} (there is another {name})"));
            }
        }
    }

    /// Stacks the gates of a cell's weight or bias.
    fn pack(&mut self, cell: &str, kind: &str, gates: BTreeMap<char, Tensor>) {
        let is_gru = gates.keys().any(|gate| ['r', 'z'].contains(gate));
        let order = if is_gru { GRU_GATES } else { LSTM_GATES };
        let name = |gate: &char| format!("{cell}_{gate}_{kind}");
        let missing: Vec<String> = order.iter().filter(|g| !gates.contains_key(g)).map(name).collect();
        let unexpected: Vec<String> = gates.keys().filter(|g| !order.contains(g)).map(name).collect();
        let shapes: BTreeSet<String> = gates.values().map(|t| t.shape().to_string()).collect();
        if !missing.is_empty() || !unexpected.is_empty() {
            self.mismatch.missing.extend(missing);
            self.mismatch.unexpected.extend(unexpected);
        } else if shapes.len() > 1 {
            let shapes = shapes.into_iter().collect::<Vec<_>>().join(" and ");
            self.mismatch
                .misshapen
                .push(format!("the gates of {cell}_{kind} are {shapes} and should be alike"));
        } else {
            let mut extents = gates[&order[0]].shape().extents().to_vec();
            // No file holds so many numbers; a file that claims to has no others, and is not a model.
            let Some(packed_rows) = extents[0].checked_mul(order.len()) else {
                self.mismatch
                    .misshapen
                    .push(format!("the gates of {cell}_{kind} have {} rows each", extents[0]));
                return;
            };
            extents[0] = packed_rows;
            let values = order.iter().flat_map(|gate| gates[gate].data()).copied().collect();
            let packed = format!("{cell}_{kind}");
            self.insert(packed.clone(), &packed, Tensor::from_vec(extents, values));
        }
    }

    /// Whether a packed parameter is missing only because its gates could not be packed, which has been reported.
    pub(super) fn is_explained(&self, name: &str) -> bool {
        let Some((cell, kind)) = name.rsplit_once('_') else { return false };
        let said = self.mismatch.missing.iter().chain(&self.mismatch.unexpected);
        let by_gate = |said: &String| split_gate(said).is_some_and(|(c, _, k)| c == cell && k == kind);
        let by_shape = |said: &String| said.starts_with(&format!("the gates of {name} "));
        said.clone().any(by_gate) || self.mismatch.misshapen.iter().any(by_shape)
    }
}

fn current_name(name: &str) -> String {
    for (old, current) in RENAMED {
        if let Some(rest) = name.strip_prefix(old) {
            return format!("{current}{rest}");
        }
    }
    name.to_owned()
}

/// Splits `encoder_rnn_l0_i2h_f_weight` into (`encoder_rnn_l0_i2h`, `f`, `weight`).
fn split_gate(name: &str) -> Option<(String, char, String)> {
    let (rest, kind) = name.rsplit_once('_')?;
    let (cell, gate) = rest.rsplit_once('_')?;
    let gate = gate.parse().ok().filter(|gate| LSTM_GATES.contains(gate) || GRU_GATES.contains(gate))?;
    let is_cell = cell.ends_with("i2h") || cell.ends_with("h2h");
    (is_cell && matches!(kind, "weight" | "bias")).then(|| (cell.to_owned(), gate, kind.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[(&str, usize)], expected: Result<&[(&str, usize)], &str>) {
        let tensor = |(name, rows): &(&str, usize)| ((*name).to_owned(), Tensor::zeros([*rows, 3]));
        let adopted = Adopted::new(names.iter().map(tensor).collect());
        match expected {
            Ok(expected) => {
                let mut got: Vec<_> =
                    adopted.tensors.iter().map(|(n, t)| (n.as_str(), t.shape().extents()[0])).collect();
                got.sort_unstable();
                assert_eq!((got.as_slice(), adopted.mismatch), (expected, ParameterMismatch::default()));
            }
            Err(expected) => assert_eq!(adopted.mismatch.to_string(), expected),
        }
    }

    #[test]
    fn names_of_both_generations_become_those_of_1_18() {
        check(
            &[("att_e2h_weight", 2), ("decoder_rnn_cls_weight", 5)],
            Ok(&[("decoder_rnn_att_e2h_weight", 2), ("target_output_weight", 5)]),
        );
        check(&[("decoder_cnn_cls_bias", 5)], Ok(&[("target_output_bias", 5)]));
        check(
            &[("decoder_rnn_att_e2h_weight", 2), ("encoder_cnn_i2h_weight", 4)],
            Ok(&[("decoder_rnn_att_e2h_weight", 2), ("encoder_cnn_i2h_weight", 4)]),
        );
        let lstm = ["x_i2h_i_weight", "x_i2h_f_weight", "x_i2h_c_weight", "x_i2h_o_weight"];
        check(&lstm.map(|name| (name, 2)), Ok(&[("x_i2h_weight", 8)]));
        let gru = ["x_h2h_r_bias", "x_h2h_z_bias", "x_h2h_o_bias"];
        check(&gru.map(|name| (name, 2)), Ok(&[("x_h2h_bias", 6)]));
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        check(
            &[("x_i2h_i_weight", 2), ("x_i2h_o_weight", 2)],
            Err("missing: x_i2h_f_weight, x_i2h_c_weight"),
        );
        check(
            &[("x_i2h_r_weight", 2), ("x_i2h_i_weight", 2), ("x_i2h_o_weight", 2)],
            Err("missing: x_i2h_z_weight; unexpected: x_i2h_i_weight"),
        );
        check(
            &[("x_h2h_r_bias", 2), ("x_h2h_z_bias", 2), ("x_h2h_o_bias", 3)],
            Err("wrong: the gates of x_h2h_bias are (2 x 3) and (3 x 3) and should be alike"),
        );
    }
}
