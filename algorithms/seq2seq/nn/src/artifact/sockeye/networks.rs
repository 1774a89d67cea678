//! Conversion of Sockeye's configurations of encoders and decoders to ours.

use kokanee_contract::algorithms::seq2seq::{
    CnnActivationType, RnnAttentionType, RnnCellType, RnnDecoderStateInit,
};

use super::fields::Section;
use super::read_config::Reader;
use crate::config::{AttentionConfig, CnnConfig, DecoderConfig, EncoderConfig, RnnConfig, RnnDecoderConfig};
use crate::params;

impl Reader<'_> {
    /// The encoder, and the dropout of its embedding if it is given there.
    pub(super) fn encoder(&self, section: &Section<'_>, data: &Section<'_>) -> (EncoderConfig, Option<f64>) {
        section.only("dtype", "float32");
        section.no_matter(&["vocab_size", "num_embed"], None);
        let dropout = section.real("embed_dropout");
        let encoder = if self.is_cnn(section, "Encoder") {
            let positions = section.count("max_seq_len_source").or(self.longest("max_seq_len_source", data));
            EncoderConfig::Cnn(self.cnn(section, false, positions))
        } else {
            section.off(&["conv_config", "reverse_input"]);
            let rnn = section.section("rnn_config");
            let [forward, _, recurrent, _] = params::cell_names(params::bidirectional_prefix(false));
            let recurrent = self.recurrent_shape(&recurrent);
            let upper = |layer: &usize| params::cell_names(&params::encoder_layer_prefix(*layer))[0].clone();
            let layers = self.parameters.tensors.contains_key(&forward).then(|| 1 + self.run_of(upper));
            let hidden = recurrent.map(|(hidden, _)| 2 * hidden);
            EncoderConfig::Rnn(self.rnn(rnn, hidden, recurrent.map(|(_, cell)| cell), layers))
        };
        (encoder, dropout)
    }

    /// The decoder, the dropout of its embedding if it is given there, and that of its hidden layers.
    pub(super) fn decoder(
        &self,
        section: &Section<'_>,
        data: &Section<'_>,
        encoder_width: usize,
    ) -> (DecoderConfig, Option<f64>, f64) {
        section.only("dtype", "float32");
        section.off(&["weight_normalization"]);
        section.no_matter(&["vocab_size", "num_embed", "encoder_num_hidden", "max_seq_len_source"], None);
        let dropout = section.real("embed_dropout");
        let hidden_dropout = section.real("hidden_dropout").unwrap_or(0.0);
        let decoder = if self.is_cnn(section, "Decoder") {
            section.off(&["project_qkv"]);
            let positions = section.count("max_seq_len_target").or(self.longest("max_seq_len_target", data));
            DecoderConfig::Cnn(self.cnn(section, true, positions))
        } else {
            DecoderConfig::Rnn(self.rnn_decoder(section, encoder_width))
        };
        (decoder, dropout, hidden_dropout)
    }

    fn rnn_decoder(&self, section: &Section<'_>, encoder_width: usize) -> RnnDecoderConfig {
        section.off(&[
            "context_gating",
            "layer_normalization",
            "state_init_lhuc",
            "enc_last_hidden_concat_to_embedding",
        ]);
        let [input, _, recurrent, _] = params::cell_names(&params::decoder_layer_prefix(0));
        let recurrent = self.recurrent_shape(&recurrent);
        let layer_input =
            |layer: &usize| params::cell_names(&params::decoder_layer_prefix(*layer))[0].clone();
        let layers = self.parameters.tensors.contains_key(&input).then(|| self.run_of(layer_input));
        let hidden = recurrent.map(|(hidden, _)| hidden);
        let rnn = self.rnn(section.section("rnn_config"), hidden, recurrent.map(|(_, cell)| cell), layers);
        let has_init = self.parameters.tensors.contains_key(&params::state_init_names(0)[0]);
        let default = if has_init { RnnDecoderStateInit::Last } else { RnnDecoderStateInit::Zero };
        let state_init = section.choice("state_init", RnnDecoderStateInit::from_name).unwrap_or(default);
        let attention = self.attention(section.section("attention_config"), rnn.hidden);
        let said = section.flag("attention_in_upper_layers");
        RnnDecoderConfig {
            attention_in_upper_layers: self.upper_attention(
                section,
                said,
                &layer_input(&1),
                &rnn,
                encoder_width,
            ),
            rnn,
            attention,
            state_init,
        }
    }

    /// Before 1.13, Sockeye looked for the flag in the wrong place, so that it had no effect. The width of the second layer's input
    /// decides instead.
    fn upper_attention(
        &self,
        section: &Section<'_>,
        said: bool,
        second_layer: &str,
        rnn: &RnnConfig,
        encoder_width: usize,
    ) -> bool {
        let Some(width) = self.parameters.extent(second_layer, 1) else { return said };
        let built = match width {
            width if width == rnn.hidden => false,
            width if width == rnn.hidden + encoder_width => true,
            _ => said,
        };
        if built != said {
            section.note(format!(
                "config_decoder.attention_in_upper_layers is {said}, but {second_layer} reads {width} values, so that it is \
                 {built} in truth"
            ));
        }
        built
    }

    fn attention(&self, section: Section<'_>, decoder_width: usize) -> AttentionConfig {
        section.only("dtype", "float32");
        section.off(&["config_coverage", "input_previous_word", "layer_normalization"]);
        section.no_matter(&["num_heads", "query_num_hidden", "source_num_hidden"], None);
        let projection = [params::MLP_SCORE, params::DOT_QUERY, params::DOT_KEYS, params::BILINEAR]
            .into_iter()
            .find(|name| self.parameters.tensors.contains_key(*name));
        let built = projection.map(|name| match name {
            params::MLP_SCORE => RnnAttentionType::Mlp,
            params::BILINEAR => RnnAttentionType::Bilinear,
            _ => RnnAttentionType::Dot,
        });
        let kind = section.choice("type", RnnAttentionType::from_name);
        let kind = section.known("type", kind, built, RnnAttentionType::Fixed);
        if kind == RnnAttentionType::Dot {
            section.off(&["is_scaled"]);
        } else {
            section.no_matter(&["is_scaled"], None);
        }
        let rows = [params::MLP_KEYS, params::DOT_QUERY, params::DOT_KEYS]
            .iter()
            .find_map(|name| self.parameters.extent(name, 0));
        let hidden = section.count("num_hidden").or(rows).unwrap_or(decoder_width);
        section.finish();
        AttentionConfig { kind, hidden }
    }

    /// Layers of recurrent cells; `hidden`, `cell` and `layers` are those of the parameters.
    fn rnn(
        &self,
        section: Section<'_>,
        hidden: Option<usize>,
        cell: Option<RnnCellType>,
        layers: Option<usize>,
    ) -> RnnConfig {
        section.only("dtype", "float32");
        section.off(&["lhuc"]);
        // 1.10 has a field here that nothing sets.
        section.no_matter(
            &[
                "forget_bias",
                "attention_in_upper_layers",
                "dropout_inputs",
                "dropout_states",
                "dropout_recurrent",
            ],
            None,
        );
        let given = section.choice("cell_type", RnnCellType::from_name);
        let cell = section.known("cell_type", given, cell, RnnCellType::Lstm);
        let first = section.count("first_residual_layer").unwrap_or(2);
        let rnn = RnnConfig {
            cell,
            layers: section.size("num_layers", section.count("num_layers"), layers),
            hidden: section.size("num_hidden", section.count("num_hidden"), hidden),
            first_residual_layer: section.flag("residual").then_some(first),
        };
        section.finish();
        rnn
    }

    fn cnn(&self, section: &Section<'_>, decoder: bool, positions: Option<usize>) -> CnnConfig {
        section.only("positional_embedding_type", "learned");
        let [input, table] = if decoder {
            [params::DECODER_CNN_INPUT, params::TARGET_POSITIONS]
        } else {
            [params::ENCODER_CNN_INPUT, params::SOURCE_POSITIONS]
        };
        let filters = |layer: &usize| params::convolution_names(decoder, *layer)[0].clone();
        let layers = Some(self.run_of(filters)).filter(|&layers| layers > 0);
        let layers = section.size("num_layers", section.count("num_layers"), layers);
        let convolution = section.section("cnn_config");
        convolution.off(&["weight_normalization"]);
        let hidden = convolution.count("num_hidden");
        let width = convolution.count("kernel_width");
        let activation = convolution.choice("act_type", CnnActivationType::from_name);
        let cnn = CnnConfig {
            layers,
            hidden: convolution.size("num_hidden", hidden, self.parameters.extent(input, 0)),
            kernel_width: convolution.size("kernel_width", width, self.parameters.extent(&filters(&0), 2)),
            activation: activation.unwrap_or(CnnActivationType::Glu),
            positions: section.size(
                if decoder { "max_seq_len_target" } else { "max_seq_len_source" },
                positions,
                self.parameters.extent(table, 0),
            ),
        };
        convolution.finish();
        cnn
    }

    /// Whether the network is convolutional; reports any kind but the two that are built.
    fn is_cnn(&self, section: &Section<'_>, side: &str) -> bool {
        match section.kind() {
            Some(kind) if kind == format!("Convolutional{side}Config") => true,
            Some(kind) if kind == format!("Recurrent{side}Config") => false,
            _ if section.has("cnn_config") => true,
            _ if section.has("rnn_config") => false,
            Some(kind) => {
                section.unsupported("", &format!("a {kind}"));
                false
            }
            None => {
                let what = format!("is neither a Recurrent{side}Config nor a Convolutional{side}Config");
                section.wrong("", &what);
                false
            }
        }
    }

    /// Units and cell of a layer whose recurrent weight has this name.
    fn recurrent_shape(&self, name: &str) -> Option<(usize, RnnCellType)> {
        let rows = self.parameters.extent(name, 0)?;
        let hidden = self.parameters.extent(name, 1)?;
        let cell = match rows.checked_div(hidden)? {
            4 => RnnCellType::Lstm,
            3 => RnnCellType::Gru,
            _ => return None,
        };
        Some((hidden, cell))
    }

    /// The number of layers from 0 on that have a parameter with the name that `name` returns.
    fn run_of(&self, name: impl Fn(&usize) -> String) -> usize {
        (0..).take_while(|layer| self.parameters.tensors.contains_key(&name(layer))).count()
    }
}
