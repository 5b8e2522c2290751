//! Every `curl` command in `docs/API.md`, run from top to bottom.

use std::collections::HashMap;

use serde_json::Value;

use crate::native_support::{Answer, Call, OWN, World};

const PAGE: &str = include_str!("../../../../docs/API.md");

/// The shell commands of the page, each on one line.
fn commands() -> Vec<String> {
    let blocks = PAGE.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let joined = blocks.map(|block| block.replace("\\\n", " "));
    let lines = joined.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| line.starts_with("curl ")).collect()
}

/// The words of a command: quotes hold together, double ones let `$NAME` through.
fn words(command: &str, variables: &HashMap<&str, String>) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut single = Vec::new();
    for letter in command.chars() {
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => {
                single.push(open == '\'');
                quote = None;
            }
            (' ', None) => {
                if !word.is_empty() {
                    words.push((std::mem::take(&mut word), single.drain(..).any(|raw| raw)));
                }
            }
            (letter, _) => word.push(letter),
        }
    }
    words.push((word, single.contains(&true)));
    let expand = |word: String| {
        variables.iter().fold(word, |word, (name, value)| word.replace(&format!("${name}"), value))
    };
    words.into_iter().map(|(word, raw)| if raw { word } else { expand(word) }).collect()
}

async fn run(world: &World, command: &[String]) -> Answer {
    let (mut method, mut url, mut body, mut key) = ("GET", "", "", "");
    let mut rest = command.iter().map(String::as_str).skip(1);
    while let Some(word) = rest.next() {
        match word {
            "-sS" | "-N" => {}
            "-X" => method = rest.next().expect("a method"),
            "-d" => {
                (method, body) = ("POST", rest.next().expect("a body"));
            }
            "-H" => {
                let header = rest.next().expect("a header");
                key = header.strip_prefix("Authorization: Bearer ").expect("the only header used");
            }
            address => url = address,
        }
    }
    let path = url.strip_prefix("http://127.0.0.1:7400").expect("a URL of this server");
    let call = Call::new(world, method, &format!("/{path}")).raw(body);
    if key.is_empty() { call.send().await } else { call.key(key).send().await }
}

#[tokio::test]
async fn every_command_in_the_documentation_does_what_it_says() {
    let world = World::start().await;
    let mut variables =
        HashMap::from([("EPILOGUE", "http://127.0.0.1:7400".to_owned()), ("KEY", OWN.to_owned())]);
    let commands = commands();
    assert!(commands.len() >= 12, "{}", commands.len());
    for command in commands {
        let words = words(&command, &variables);
        world.finalize().await;
        let answer = run(&world, &words).await;
        assert!(matches!(answer.status, 200..=202), "{command}\n{}", answer.text);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let Some(token) = text(&answer.body["session_token"]) {
            variables.insert("TOKEN", token);
        }
        if command.contains("/deliveries?")
            && let Some(event) = text(&answer.body["items"][0]["id"])
        {
            variables.insert("EVENT", event);
        }
    }
}
