//! Suggestions over standard input and output, for programs in other languages: one request per line, one reply per line, both JSON.
//!
//! A request has `space` (per dimension `name`, `kind` and, for `continuous` and `integer`, `min`, `max` and `scale`, for `categorical` the
//! strings `values`), `trials` (each with its `values` as strings and `value`, a number; `"running"` or `"failed"`), `seed`, and optionally
//! `strategy` (`"bayesian"` or `"random"`) and `initial_trials`. Small values are better. The reply has `values`, or `exhausted`.

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};

use kokanee_tuner::{Dimension, Goal, Options, Outcome, Scale, Space, Strategy, Suggestion, Trial, suggest};
use serde::Deserialize;
use serde_json::{Value as Json, json};

#[derive(Deserialize)]
struct Request {
    space: Vec<Description>,
    trials: Vec<Past>,
    seed: u64,
    #[serde(default)]
    strategy: Option<String>,
    #[serde(default)]
    initial_trials: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
enum Description {
    Continuous { name: String, min: f64, max: f64, scale: String },
    Integer { name: String, min: i64, max: i64, scale: String },
    Categorical { name: String, values: Vec<String> },
}

#[derive(Deserialize)]
struct Past {
    values: Vec<String>,
    value: Json,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut output = stdout().lock();
    for line in stdin().lock().lines() {
        let reply = answer(&serde_json::from_str(&line?)?)?;
        writeln!(output, "{reply}")?;
        output.flush()?;
    }
    Ok(())
}

fn answer(request: &Request) -> Result<Json, Box<dyn Error>> {
    let dimensions: Result<Vec<Dimension>, String> = request.space.iter().map(dimension).collect();
    let space = Space::new(dimensions?)?;
    let mut trials = Vec::new();
    for past in &request.trials {
        let names: Vec<&str> = space.dimensions().iter().map(Dimension::name).collect();
        let text = |name: &str| {
            let place = names.iter().position(|own| *own == name)?;
            past.values.get(place).map(String::as_str)
        };
        let outcome = match &past.value {
            Json::String(word) if word == "running" => Outcome::Running,
            Json::String(word) if word == "failed" => Outcome::Failed,
            value => Outcome::Finished(value.as_f64().ok_or_else(|| format!("not a value: {value}"))?),
        };
        trials.push(Trial::new(space.parse(text)?, outcome));
    }
    let strategy = match request.strategy.as_deref() {
        None | Some("bayesian") => Strategy::Bayesian,
        Some("random") => Strategy::Random,
        Some(other) => return Err(format!("no strategy is called {other}").into()),
    };
    let options =
        Options { strategy, initial_trials: request.initial_trials, ..Options::bayesian(Goal::Minimize) };
    Ok(match suggest(&space, &trials, &options, request.seed)? {
        Suggestion::Configuration(values) => {
            let texts: Vec<String> = space.print(&values).into_iter().map(|(_, text)| text).collect();
            json!({ "values": texts })
        }
        Suggestion::Exhausted { configurations } => json!({ "exhausted": configurations }),
    })
}

fn dimension(description: &Description) -> Result<Dimension, String> {
    let scale = |scale: &str| match scale {
        "auto" => Ok(Scale::Auto),
        "linear" => Ok(Scale::Linear),
        "logarithmic" => Ok(Scale::Logarithmic),
        "reverse-logarithmic" => Ok(Scale::ReverseLogarithmic),
        other => Err(format!("no scale is called {other}")),
    };
    Ok(match description {
        Description::Continuous { name, min, max, scale: name_of_scale } => {
            Dimension::continuous(name, *min, *max, scale(name_of_scale)?)
        }
        Description::Integer { name, min, max, scale: name_of_scale } => {
            Dimension::integer(name, *min, *max, scale(name_of_scale)?)
        }
        Description::Categorical { name, values } => Dimension::categorical(name, values.clone()),
    })
}
