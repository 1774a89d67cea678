//! Tests of number formats of weights, and of vocabulary shortlists: the requested ones are used.

use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::special_ids::UNK;
use kokanee_kernels::Team;
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_nn::artifact::Artifact;
use kokanee_seq2seq_serve::Translator;

use crate::workplace::{model, sentence, temporary};

fn open() -> Translator {
    Translator::open(model(), Arc::new(Team::new(1))).unwrap()
}

/// Scores have the same bits only if the weights are the same.
fn scores(translator: &Translator) -> Vec<u64> {
    let lines: Vec<String> = (0..4).map(|seed| sentence(5, seed)).collect();
    translator.translate(&lines).iter().map(|answer| answer.hypotheses[0].score.to_bits()).collect()
}

#[test]
fn a_model_answers_in_its_own_precision() {
    let mut seen = Vec::new();
    for (name, format) in [("f32", Format::F32), ("bf16", Format::Bf16), ("int8", Format::Int8)] {
        let folder = temporary().join(format!("in-{name}"));
        let Artifact { model: loaded, mut metadata } = Artifact::load(model()).unwrap();
        metadata.hyperparameters.insert("inference_precision".to_owned(), name.to_owned());
        Artifact::save(&loaded, &metadata, &folder).unwrap();
        for file in ["vocab.src.json", "vocab.trg.json"] {
            std::fs::copy(model().join(file), folder.join(file)).unwrap();
        }
        let own = Translator::open(&folder, Arc::new(Team::new(1))).unwrap();
        assert_eq!(own.format(), format);
        let scores_of_own = scores(&own);
        assert_eq!(scores_of_own, scores(&open().in_format(format)), "{name}");
        assert!(!seen.contains(&scores_of_own), "{name} computes what another does");
        seen.push(scores_of_own);
    }
}

/// One word is allowed, and `</s>`, which always is.
#[test]
fn answers_are_of_the_words_on_the_shortlist() {
    let b3 = open().vocabularies.target.text_id("b3");
    let narrow = open().with_shortlists(Arc::new(move |source: &[u32]| {
        assert!(source.iter().all(|&id| id != UNK));
        [b3].into()
    }));
    for answer in narrow.translate(&[sentence(3, 1), sentence(9, 2)]) {
        let best = &answer.hypotheses[0];
        assert!(best.ids.iter().all(|&id| id == b3) && !best.ids.is_empty(), "{:?}", best.tokens);
    }
}
