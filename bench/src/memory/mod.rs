//! Measures memory: how much of what people said is recalled when it is asked for, on the evaluation set
//! (`bench/memory/README.md`), held against full-text search over the same facts.

mod clock;
mod invented;
mod judge;
mod people;
mod plain;
mod run;
mod scale;
mod written;

use std::path::Path;

use clap::Args;

use self::{
    judge::Score,
    run::{Asked, Outcome, Searched},
    scale::Scale,
};
use crate::{
    Result,
    machine::Machine,
    report::{Aim, Figure, Report},
};

/// Which model reads the conversations.
#[derive(Clone, Debug, Default, Args)]
pub struct Options {
    /// Any OpenAI-compatible endpoint, such as <http://127.0.0.1:11434/v1>; without it the answers are
    /// those of the set
    #[arg(long, value_name = "BASE_URL", requires = "name")]
    model: Option<String>,
    /// The model's name there
    #[arg(long, requires = "model")]
    name: Option<String>,
    /// An OpenAI-compatible endpoint that says what sentences are like; without it words, the graph and
    /// time find facts
    #[arg(long, value_name = "BASE_URL", requires = "embeddings_name")]
    embeddings: Option<String>,
    /// The name of the model for that
    #[arg(long, requires = "embeddings", value_name = "NAME")]
    embeddings_name: Option<String>,
    /// The variable of the environment that has the endpoints' key
    #[arg(long, value_name = "VARIABLE")]
    key: Option<String>,
    /// Only the first so many people, for a look
    #[arg(long, value_name = "N")]
    people: Option<usize>,
    /// Show each question that is not answered as it should be
    #[arg(long)]
    misses: bool,
    /// Measure how fast it is with a million facts, instead of how good (`--quick`: ten thousand)
    #[arg(long)]
    scale: bool,
}

/// Measures, prints and keeps the figures.
pub async fn measure(options: &Options, is_quick: bool, folder: &Path) -> Result<()> {
    if options.scale {
        let machine = Machine::describe(folder);
        let (size, figures) = scale::measure(Scale::new(is_quick, options.people), folder).await?;
        return Report { command: "memory-scale", size, machine, figures }.publish(folder);
    }
    let mut cases = people::read(&people::folder())?;
    cases.truncate(options.people.unwrap_or(usize::MAX));
    let outcome = run::run(&cases, options).await?;
    if options.misses {
        misses(&outcome.asked);
    }
    let size = format!(
        "{} people, {} questions, {} facts, {} conversations unread, answers by {}",
        cases.len(),
        outcome.asked.len(),
        outcome.facts,
        outcome.unread,
        options.name.as_deref().unwrap_or("the set"),
    );
    let machine = Machine::describe(folder);
    Report { command: "memory", size, machine, figures: figures(&outcome) }.publish(folder)
}

/// A way to search, as it is called in the table.
const FULL_TEXT: &str = "full text";
/// The same with the memory's words and dates.
const DATED: &str = "full text, our words, dated";

/// Which questions a figure is about. The ranking was looked at on the odd half of the people, and has not
/// seen the even one.
fn parts(asked: &[Asked]) -> Vec<(&'static str, Vec<&Asked>)> {
    let of = |is: fn(&Asked) -> bool| asked.iter().filter(|asked| is(asked)).collect();
    vec![
        ("", of(|_| true)),
        (", odd half", of(|asked| asked.is_odd)),
        (", even half", of(|asked| !asked.is_odd)),
        (", English", of(|asked| asked.is_english)),
        (", other languages", of(|asked| !asked.is_english)),
    ]
}

fn score(asked: &[&Asked], of: fn(&Searched) -> judge::Verdict) -> Score {
    Score::of(&asked.iter().map(|asked| of(&asked.searched)).collect::<Vec<_>>())
}

fn figures(outcome: &Outcome) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (which, asked) in parts(&outcome.asked) {
        let ours = score(&asked, |searched| searched.hybrid);
        if which.is_empty() {
            let full_text = score(&asked, |searched| searched.full_text);
            figures.extend(compared(which, &ours, FULL_TEXT, &full_text));
        }
        let dated = score(&asked, |searched| searched.dated);
        figures.extend(compared(which, &ours, DATED, &dated));
    }
    figures
}

/// How ours compares with a floor: one figure for each measure.
fn compared(which: &str, ours: &Score, floor: &str, theirs: &Score) -> Vec<Figure> {
    let figure = |name: &str, ours: f64, theirs: f64| {
        Figure::new(format!("{name}{which}"), ours * 100.0, "%")
            .over(floor, theirs * 100.0)
            .aim(Aim::PartOfFloor(1.0))
    };
    let mut figures = vec![
        figure("recall@5", ours.recall, theirs.recall),
        figure("precision", ours.precision, theirs.precision),
        figure("right as of the day", ours.timely, theirs.timely),
    ];
    if which.is_empty() {
        figures.push(figure("silent where nothing is to be found", ours.silent, theirs.silent));
    }
    figures
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn misses(asked: &[Asked]) {
    let is_missed = |asked: &&Asked| {
        let hybrid = asked.searched.hybrid;
        hybrid.recall.is_some_and(|part| part < 1.0)
            || hybrid.timely == Some(false)
            || hybrid.silent == Some(false)
    };
    for asked in asked.iter().filter(is_missed) {
        println!("{} ({}): {}", asked.case, asked.topics.join(", "), asked.question);
        println!("    {:?}", asked.searched.hybrid);
        for sentence in &asked.recalled {
            println!("    - {sentence}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{Router, routing::post};
    use serde_json::json;

    use super::*;

    /// An endpoint that gives these answers, one for each request.
    async fn endpoint(answers: Vec<String>) -> String {
        let answers = Arc::new(Mutex::new(answers.into_iter()));
        let answer = move || async move {
            let text = answers.lock().expect("not poisoned").next();
            let text = text.expect("one request for each conversation");
            let piece = json!({ "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": "stop" }] });
            ([("content-type", "text/event-stream")], format!("data: {piece}\n\ndata: [DONE]\n\n"))
        };
        let app = Router::new().route("/v1/chat/completions", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}/v1")
    }

    #[tokio::test]
    async fn an_endpoint_is_asked_about_each_conversation_and_its_answers_count() {
        let mut cases = people::read(&people::folder()).expect("it reads");
        cases.truncate(3);
        let answers = cases.iter().flat_map(|case| &case.answers).map(ToString::to_string);
        let model = endpoint(answers.collect()).await;
        let options =
            Options { model: Some(model), name: Some("any".into()), ..Options::default() };
        let asked = run::run(&cases, &options).await.expect("it runs");
        let written = run::run(&cases, &Options::default()).await.expect("it runs");
        assert_eq!((asked.facts, asked.unread), (written.facts, 0));
        assert!(asked.facts > 30, "{}", asked.facts);
        let recalled = |outcome: &run::Outcome| {
            outcome.asked.iter().map(|asked| asked.recalled.clone()).collect::<Vec<_>>()
        };
        assert_eq!(recalled(&asked), recalled(&written));

        let prose = endpoint(vec!["There is nothing to remember.".into(); 100]).await;
        let options = Options { model: Some(prose), ..options };
        let unread = run::run(&cases[..1], &options).await.expect("it runs");
        assert_eq!((unread.facts, unread.unread), (0, cases[0].sessions.len()));
    }

    #[tokio::test]
    async fn the_hybrid_search_beats_plain_full_text_search_on_the_evaluation_set() {
        let cases = people::read(&people::folder()).expect("it reads");
        let outcome = run::run(&cases, &Options::default()).await.expect("it runs");
        for (which, asked) in parts(&outcome.asked) {
            let ours = score(&asked, |searched| searched.hybrid);
            let plain = score(&asked, |searched| searched.full_text);
            let dated = score(&asked, |searched| searched.dated);
            let said = format!("{which}: {ours:?}\nfull text: {plain:?}\ndated: {dated:?}");
            for theirs in [plain, dated] {
                assert!(ours.recall > theirs.recall, "{said}");
                assert!(ours.precision > theirs.precision, "{said}");
                assert!(ours.timely > theirs.timely, "{said}");
            }
        }
        let all: Vec<_> = outcome.asked.iter().collect();
        let silent = score(&all, |searched| searched.hybrid).silent;
        assert!(
            (silent - 1.0).abs() < f64::EPSILON,
            "what must not be kept was recalled: {silent}"
        );
    }
}
