//! The first four ids of every vocabulary, as AWS's preparation script numbers them.
//!
//! Sequences on disk hold neither [`BOS`] nor [`EOS`]; the trainer adds them. [`PAD`] must be 0: Sockeye 1.x takes the
//! number of non-zero ids in a row as the length of the sentence.

/// Fills rows of a batch up to the length of their bucket; never predicted deliberately, never part of the loss.
pub const PAD: u32 = 0;
/// Stands for every word outside the vocabulary.
pub const UNK: u32 = 1;
/// Beginning of sentence: the first input of the decoder.
pub const BOS: u32 = 2;
/// End of sentence: the last label of the decoder.
pub const EOS: u32 = 3;

/// How the special ids are spelled in `vocab.src.json` and `vocab.trg.json`; the index is the id.
pub const SPECIAL_SYMBOLS: [&str; 4] = ["<pad>", "<unk>", "<s>", "</s>"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_stand_at_their_ids() {
        let at = |id: u32| SPECIAL_SYMBOLS[id as usize];
        assert_eq!([at(PAD), at(UNK), at(BOS), at(EOS)], ["<pad>", "<unk>", "<s>", "</s>"]);
    }
}
