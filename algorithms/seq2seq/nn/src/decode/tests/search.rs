//! Tests of the search against a naive one, of long inputs, and of output limits.

use super::*;

/// The rule of Sockeye 1.12 with all its rows, written like its definition: (words with `</s>`, score).
fn naive_1_12(
    model: &Model,
    team: &Arc<Team>,
    source: &[u32],
    beam: usize,
    limit: usize,
) -> Vec<(Vec<u32>, f64)> {
    let mut rows: Vec<(Vec<u32>, f64)> = vec![(Vec::new(), 0.0)];
    let finished = |words: &[u32]| matches!(words.last(), Some(&EOS | &PAD));
    for _ in 0..limit {
        let mut all = Vec::new();
        for (words, acc) in &rows {
            if finished(words) {
                all.push((words.clone(), *acc));
                continue;
            }
            let n = words.len() as f64 + 1.0;
            for (word, cost) in costs(model, team, source, words).into_iter().enumerate() {
                let mut longer = words.clone();
                longer.push(word as u32);
                all.push((longer, (cost + acc * (n - 1.0)) / n));
            }
        }
        all.sort_by(|a, b| a.1.total_cmp(&b.1));
        all.truncate(beam);
        rows = all;
        if rows.iter().all(|(words, _)| finished(words)) {
            break;
        }
    }
    rows
}

#[test]
fn the_default_rule_equals_a_naive_search() {
    let team = Arc::new(Team::new(1));
    let mut stream = Stream::new(5, "sources");
    for (seed, beam) in [(1, 1), (2, 2), (3, 5), (4, 5), (5, 30)] {
        let model = model(seed);
        let sources: Vec<Vec<u32>> = (1..=8).map(|length| source(&mut stream, length)).collect();
        let views: Vec<&[u32]> = sources.iter().map(|s| &s[..]).collect();
        let found = translate(&model, &lengths(), &team, &views, &search(BeamSearchRule::Sockeye1_12, beam));
        for (source, translation) in sources.iter().zip(&found) {
            let rule = BeamSearchRule::Sockeye1_12;
            let limit = lengths().output_limit(model.config(), source.len(), rule).0;
            let want = naive_1_12(&model, &team, source, beam, limit);
            assert_eq!(translation.hypotheses.len(), want.len());
            for (got, (words, score)) in translation.hypotheses.iter().zip(&want) {
                assert!((got.score - score).abs() < 1e-4, "{} {score}", got.score);
                assert_eq!(got.scored_tokens, words.len());
                let said: Vec<u32> = words.iter().copied().filter(|&w| w != EOS && w != PAD).collect();
                assert_eq!(got.words, said, "seed {seed}, beam {beam}");
            }
        }
    }
}

#[test]
fn empty_sources_have_no_answer_and_long_ones_are_cut_into_pieces() {
    let team = Arc::new(Team::new(1));
    let model = model(9);
    let mut stream = Stream::new(7, "sources");
    let long = source(&mut stream, 23);
    let search = search(BeamSearchRule::Sockeye1_12, 3);
    let found = translate(&model, &lengths(), &team, &[&[], &long], &search);
    assert!(found[0].hypotheses.is_empty());
    assert_eq!([found[0].pieces, found[1].pieces], [0, 3]);
    let whole = &found[1].hypotheses[0];
    let pieces: Vec<Hypothesis> = long
        .chunks(9)
        .map(|piece| translate(&model, &lengths(), &team, &[piece], &search)[0].hypotheses[0].clone())
        .collect();
    let words: Vec<u32> = pieces.iter().flat_map(|p| p.words.clone()).collect();
    assert_eq!(whole.words, words);
    let nll: f64 = pieces.iter().map(|p| p.score * p.scored_tokens as f64).sum();
    let tokens: usize = pieces.iter().map(|p| p.scored_tokens).sum();
    assert!((whole.score - nll / tokens as f64).abs() < 1e-5 && whole.scored_tokens == tokens);
    assert_eq!(whole.attention.len(), words.len());
    let (mut row, mut column) = (0, 0);
    for (piece, ids) in pieces.iter().zip(long.chunks(9)) {
        for _ in 0..piece.words.len() {
            // No weights of the other pieces are kept.
            let AttentionRow { first, weights } = &whole.attention[row];
            let sum: f32 = weights.iter().sum();
            assert!((*first, weights.len()) == (column, ids.len()) && (sum - 1.0).abs() < 1e-5);
            let dense: Vec<f32> = whole.attention[row].dense(23).collect();
            assert_eq!(dense[column..column + ids.len()], weights[..]);
            assert!(dense.len() == 23 && dense.iter().sum::<f32>() == sum);
            row += 1;
        }
        column += ids.len();
    }
}

/// A convolutional encoder accepts as many tokens as positions have vectors, whatever lengths it was trained on.
#[test]
fn a_translation_says_in_how_many_pieces_it_was_made() {
    let h = Hyperparameters {
        encoder_type: kokanee_contract::algorithms::seq2seq::NetworkType::Cnn,
        rnn_num_hidden: 10,
        cnn_num_hidden: 10,
        num_embed_source: 6,
        num_embed_target: 7,
        max_seq_len_source: 20,
        ..Hyperparameters::default()
    };
    let config = ModelConfig::new(&h, 20, VOCABULARY).unwrap();
    let convolutional = Model::new(config, &Initialisation::from(&h), &Team::new(1)).unwrap();
    let team = Arc::new(Team::new(1));
    let search = search(BeamSearchRule::Sockeye1_12, 2);
    let check = |model: &Model, words: usize, expected: usize| {
        let request = Request::new(vec![5; words], search.clone());
        let extent = lengths().extent(model.config(), &request);
        let found = translate(model, &lengths(), &team, &[&request.source], &search);
        assert_eq!([found[0].pieces, extent.pieces], [expected; 2], "{words} words");
        // The extent predicted before decoding is right.
        for hypothesis in &found[0].hypotheses {
            let weights: usize = hypothesis.attention.iter().map(|row| row.weights.len()).sum();
            assert!(hypothesis.words.len() <= extent.words && weights <= extent.weights);
        }
    };
    let recurrent = model(3);
    let short = Request { max_length: Some(7), ..Request::new(vec![5; 27], search.clone()) };
    let extent = lengths().extent(recurrent.config(), &short);
    assert_eq!((extent.pieces, extent.words, extent.weights), (3, 7, 3 * 7 * 9));
    for (words, pieces) in [(0, 0), (1, 1), (9, 1), (10, 2), (27, 3), (28, 4)] {
        check(&recurrent, words, pieces);
    }
    for (words, pieces) in [(9, 1), (10, 1), (19, 1), (20, 1), (21, 2), (50, 3)] {
        check(&convolutional, words, pieces);
    }
}

#[test]
fn output_limits_are_those_of_sockeye() {
    // F = 1 + 2 * 0.25 = 1.5; buckets 4, 8, 9.
    let config = model(1).config().clone();
    for (words, later, earlier) in [(1, 7, 5), (4, 7, 5), (5, 13, 11), (9, 15, 13)] {
        let limit = |rule| lengths().output_limit(&config, words, rule).0;
        assert_eq!(limit(BeamSearchRule::Sockeye1_18), later, "{words}");
        assert_eq!(limit(BeamSearchRule::Sockeye1_12), earlier, "{words}");
    }
}
