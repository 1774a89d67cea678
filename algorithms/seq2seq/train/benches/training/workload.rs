//! The workloads on which all systems are compared, as hyperparameters.

use std::collections::BTreeMap;

use kokanee_contract::algorithms::seq2seq::Hyperparameters;

/// A workload: Multi30k English to German, all words as vocabulary, embeddings of 512, Adam at 3e-4, element-wise clip at 1,
/// batches of 64 sentences, lengths up to 60, buckets of 10, no dropout; and its own settings.
pub(crate) struct Work {
    /// The name in reports.
    pub(crate) name: &'static str,
    /// The settings that differ from the defaults.
    settings: &'static [(&'static str, &'static str)],
    /// 2 x 3 x the multiply-adds of the forward pass per target token, in millions, as estimated for the vocabularies of this
    /// corpus: the figure for comparing systems that do not count.
    pub(crate) estimated_mflop: f64,
}

/// The workloads: recurrent ones with one layer on each side and mlp attention, convolutional ones with 1 + 1 and 8 + 8 layers.
pub(crate) const WORKS: &[Work] = &[
    Work { name: "RNN512", settings: &[("rnn_num_hidden", "512")], estimated_mflop: 92.7 },
    Work { name: "RNN1024", settings: &[("rnn_num_hidden", "1024")], estimated_mflop: 229.8 },
    Work {
        name: "GRU512",
        settings: &[("rnn_num_hidden", "512"), ("rnn_cell_type", "gru")],
        estimated_mflop: 85.5,
    },
    Work {
        name: "CNN1",
        settings: &[("num_layers_encoder", "1"), ("num_layers_decoder", "1")],
        estimated_mflop: 86.4,
    },
    Work {
        name: "CNN8",
        settings: &[("num_layers_encoder", "8"), ("num_layers_decoder", "8")],
        estimated_mflop: 266.0,
    },
];

const OF_ALL: &[(&str, &str)] = &[
    ("num_embed_source", "512"),
    ("num_embed_target", "512"),
    ("optimizer_type", "adam"),
    ("learning_rate", "0.0003"),
    ("clip_gradient", "1"),
    ("batch_size", "64"),
    ("bucket_width", "10"),
    ("max_seq_len_source", "60"),
    ("max_seq_len_target", "60"),
];

const OF_CONVOLUTIONS: &[(&str, &str)] = &[
    ("encoder_type", "cnn"),
    ("decoder_type", "cnn"),
    ("cnn_num_hidden", "512"),
    ("cnn_kernel_width_encoder", "3"),
    ("cnn_kernel_width_decoder", "5"),
    ("cnn_activation_type", "glu"),
];

impl Work {
    /// The workload of this name.
    pub(crate) fn named(name: &str) -> Result<&'static Work, String> {
        WORKS.iter().find(|work| work.name == name).ok_or_else(|| {
            let names: Vec<&str> = WORKS.iter().map(|work| work.name).collect();
            format!("--work {name}: works are {}", names.join(", "))
        })
    }

    /// All hyperparameters of the training, in a precision that `contract` knows.
    pub(crate) fn hyperparameters(&self, precision: &str) -> Result<Hyperparameters, String> {
        let kind = if self.name.starts_with("CNN") { OF_CONVOLUTIONS } else { &[] };
        let precision = ("precision", precision);
        let all = OF_ALL.iter().chain(kind).chain(self.settings).chain([&precision]);
        let all: BTreeMap<String, String> =
            all.map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Hyperparameters::resolve(&all).map_err(|faults| faults.to_string())
    }
}
