//! The results of the demo's model, and the next steps for the user.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use kokanee_algorithm::human;
use kokanee_kernels::Team;
use kokanee_seq2seq_serve::{Answer, Translator};
use kokanee_seq2seq_train::model_folder::METRICS_FILE;

use super::{DemoFolder, data};
use crate::cmudict::{self, DEMO_WORDS, Part};
use crate::evaluation::{self, Item, Stress};
use crate::learning_curve::{self, Labels};
use crate::output_file::{print, write_file};
use crate::render::heatmap::heatmap;
use crate::render::table::Table;
use kokanee_pages::svg::heat_map;
use kokanee_pages::{Attention, Scale};

use crate::terminal;

/// Number of test words that are pronounced for the error rates: enough for the first decimal, in seconds.
const TEST_WORDS: usize = 2000;
/// The word whose attention is drawn if the user named none.
const DRAWN_WORD: &str = "tapeworm";

/// Shows error rates on unseen words, pronunciations, attention, and the commands for the next steps.
pub(super) fn show(folder: &DemoFolder, words: &[String], team: Arc<Team>) -> Result<()> {
    let mut translator = Translator::open(&folder.model(), team)?;
    error_rates(&translator)?;

    translator.search.attention = true;
    let own = words.iter().map(String::as_str);
    let shown: Vec<&str> = DEMO_WORDS.into_iter().chain(own).collect();
    let letters: Vec<String> = shown.iter().map(|word| cmudict::letters(word)).collect();
    let answers = translator.translate(&letters);
    pronunciations(&shown, &answers)?;
    let drawn = words.first().map_or(DRAWN_WORD, String::as_str);
    if let Some(place) = shown.iter().rposition(|word| *word == drawn) {
        attention(drawn, &answers[place], &folder.attention_picture())?;
    }
    let labels = Labels {
        title: "Learning to pronounce".to_owned(),
        samples: "words",
        perplexity: "perplexity per phoneme",
    };
    learning_curve::draw(&folder.model().join(METRICS_FILE), &folder.curve_picture(), labels)?;
    print(&commands(folder))
}

fn error_rates(translator: &Translator) -> Result<()> {
    let all: Vec<_> = data::of(Part::Test).collect();
    let step = all.len().div_ceil(TEST_WORDS).max(1);
    let items: Vec<Item> = all
        .iter()
        .step_by(step)
        .map(|entry| Item {
            source: cmudict::letters(entry.word),
            references: vec![entry.phonemes.to_owned()],
        })
        .collect();
    let bar = terminal::progress_bar(items.len() as u64, "pronouncing unseen words {bar:30} {percent:>3}%");
    let answers = evaluation::answers(translator, &items, |count| bar.inc(count));
    bar.finish_and_clear();
    let mut table =
        Table::new().words("unseen words").numbers("phoneme error rate").numbers("word error rate");
    for (name, stress) in [("with stress", Stress::Counts), ("without stress", Stress::Stripped)] {
        let errors = evaluation::quality(&items, &answers, stress)?.errors;
        let percent = |rate: Option<f64>| rate.map_or("-".to_owned(), human::percent);
        table.row([
            name.to_owned(),
            percent(errors.token_error_rate()),
            percent(errors.sequence_error_rate()),
        ]);
    }
    print(&format!("{} words that were not trained on:\n\n{table}\n", human::count(items.len() as u64)))
}

fn pronunciations(words: &[&str], answers: &[Answer]) -> Result<()> {
    let mut table = Table::new().words("word").words("the model says").words("the dictionary says");
    for (word, answer) in words.iter().zip(answers) {
        let said = answer.hypotheses.first().map(|best| best.text()).unwrap_or_default();
        let found = cmudict::entries().binary_search_by_key(word, |entry| entry.word).ok();
        let known = match found.map(|place| cmudict::entries()[place].phonemes) {
            None => "(not in it)".to_owned(),
            Some(phonemes) if cmudict::split(word) == Part::Train => format!("{phonemes} (trained on)"),
            Some(phonemes) => phonemes.to_owned(),
        };
        table.row([*word, &said, &known]);
    }
    print(&format!("{table}\n"))
}

fn attention(word: &str, answer: &Answer, picture: &Path) -> Result<()> {
    let Some(best) = answer.hypotheses.first() else { return Ok(()) };
    let weights = best.matrix.dense();
    let map = Attention::new(&best.tokens, &answer.source, &weights, Scale::One)?;
    write_file(picture, &heat_map::draw(&map, &format!("{word}: {}", best.text())).document())?;
    let drawn = heatmap(&map, terminal::color_mode(), terminal::columns());
    print(&format!("where the model looked in \"{word}\" for each phoneme:\n\n{drawn}\n"))
}

/// The commands for the next steps, ready to be pasted.
fn commands(folder: &DemoFolder) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "kokanee".to_owned());
    let program = quoted(&program);
    let path = |path: &Path| quoted(&path.display().to_string());
    let model = path(&folder.model());
    format!(
        "pictures: {} {}\n\nto go on from here:\n  \
         {program} demo --output {folder} {example}\n  \
         echo 'k o k a n e e' | {program} translate --model {model} --nbest 5\n  \
         {program} evaluate --model {model} --source {graphemes} --target {phonemes} --strip-stress --worst 20\n  \
         {program} inspect {model}\n  \
         {program} inspect {records}\n  \
         {program} train --train {records} --validation {validation} --vocab {folder} --output {model} \
         --hyperparameters {hyperparameters} --resume\n\
         The last one trains on until nothing improves any more, or until Ctrl-C.\n",
        path(&folder.attention_picture()),
        path(&folder.curve_picture()),
        folder = path(folder.path()),
        example = "kokanee salmon",
        graphemes = path(&folder.graphemes(Part::Test)),
        phonemes = path(&folder.phonemes(Part::Test)),
        records = path(&folder.train_records()),
        validation = path(&folder.validation_records()),
        hyperparameters = path(&folder.hyperparameters()),
    )
}

/// A word quoted for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_a_shell_where_they_must_be() {
        for (text, expected) in
            [("a/b-c.d", "a/b-c.d"), ("my folder", "'my folder'"), ("it's", r"'it'\''s'"), ("", "''")]
        {
            assert_eq!(quoted(text), expected);
        }
    }
}
