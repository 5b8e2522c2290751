//! The configuration as an operator meets it: text in, settings or a helpful sentence out.

use std::{collections::HashSet, path::Path};

use epilogue_core::{MicroCredits, StepKind, Timestamp, retry::RetryPolicy};
use epilogue_storage::{CredentialKind, Role};
use proptest::prelude::*;
use serde::Deserialize as _;
use toml::{Table, Value};

use super::{
    reader::{FaultKind, Node},
    *,
};

const DOCUMENTED: &str = include_str!("../../tests/fixtures/documented.toml");
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const ORGANIZATION: &str = "[[organizations]]\nid = 'o'\nname = 'O'\n";
const AGENT: &str =
    "[[organizations.agents]]\nid = 'a'\nname = 'A'\nmodel = { provider = 'scripted' }\n";

fn layers(text: &str, environment: &[(&str, &str)]) -> Result<Layers, ConfigError> {
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Layers::from_text(Some((Path::new("epilogue.toml"), text.to_owned())), environment)
}

fn load_with(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::of_layers(&layers(text, environment)?, Overrides::default())
}

fn load(text: &str) -> Result<Config, ConfigError> {
    load_with(text, &[])
}

fn complaint(text: &str) -> String {
    load(text).expect_err("a complaint").to_string()
}

/// The reference with everything that is commented out put into effect.
fn reference_in_full() -> String {
    let uncomment = |line: &'static str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') || rest.starts_with("    ") => rest,
        _ => line,
    };
    DEFAULTS.lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_defaults_alone_are_a_configuration() {
    let config = Config::defaults().expect("the defaults hold");
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:7400");
    assert!(config.organizations.is_empty());
    assert!(!config.security.allow_private_webhooks);
    assert_eq!(config.security.token_secret.0, DEFAULT_TOKEN_SECRET);
    assert_eq!(config.steps.policy(StepKind::NotifyEnded), RetryPolicy::webhook());
    assert_eq!(config.steps.policy(StepKind::NotifyFinalized), RetryPolicy::webhook());
}

#[test]
fn the_examples_of_the_reference_hold() {
    let config = Config::checked(&layers(&reference_in_full(), &[]).expect("TOML"))
        .expect("every example is valid");
    assert_eq!(config.organizations[0].agents[0].tools.len(), 1);
    assert!(config.media.speech.is_some() && config.memory.embeddings.is_some());
}

/// Asks the reader which keys a table may have, by way of a key it cannot have.
fn known_keys(root: &Table, way: &[Segment]) -> &'static [&'static str] {
    let mut root = Value::Table(root.clone());
    let mut here = &mut root;
    for segment in way {
        here = match segment {
            Segment::Key(key) => &mut here[key.as_str()],
            Segment::Index(index) => &mut here[*index],
        };
    }
    here.as_table_mut().expect("a table").insert("no_such_key".into(), true.into());
    let Value::Table(root) = root else { unreachable!("it was made as a table") };
    match Config::deserialize(Node::root(root)).expect_err("an unknown key").kind {
        FaultKind::UnknownKey { known, .. } => known,
        other => panic!("{way:?}: {other:?}"),
    }
}

/// Every table within a value, with the way to it. What is free-form is left out.
fn tables(value: &Value, way: &[Segment], found: &mut Vec<Vec<Segment>>) {
    let free = ["parameters", "headers", "query", "options", "additional_data", "models", "voices"];
    if way.last().is_some_and(|last| free.iter().any(|key| *last == Segment::Key((*key).into()))) {
        return;
    }
    let below = |segment| [way, &[segment]].concat();
    match value {
        Value::Table(table) => {
            found.push(way.to_vec());
            for (key, value) in table {
                tables(value, &below(Segment::Key(key.clone())), found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                tables(value, &below(Segment::Index(index)), found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_key_that_exists_stands_in_the_reference() {
    let reference: Table = reference_in_full().parse().expect("TOML");
    let mut found = Vec::new();
    tables(&Value::Table(reference.clone()), &[], &mut found);
    assert!(found.len() > 20, "only {} tables", found.len());
    for way in found {
        let present =
            way.iter().fold(Value::Table(reference.clone()), |value, segment| match segment {
                Segment::Key(key) => value[key.as_str()].clone(),
                Segment::Index(index) => value[*index].clone(),
            });
        // A label's options and type, a rule's tool, a second agent: one of the examples shows them.
        let further = |segment: &Segment| matches!(segment, Segment::Index(place) if *place > 0);
        let is_one_of_many =
            matches!(way.last(), Some(Segment::Index(_))) || way.iter().any(further);
        let present: HashSet<_> =
            present.as_table().expect("a table").keys().map(String::as_str).collect();
        let elsewhere = |key: &str| {
            let text = reference_in_full();
            text.contains(&format!("{key} =")) || text.contains(&format!(".{key}]"))
        };
        for key in known_keys(&reference, &way) {
            let shown = present.contains(key)
                || (is_one_of_many && elsewhere(key))
                || way.last() == Some(&Segment::Key("speech".into()))
                // Shown with the models that the operator lists; an agent's own stands beside its model.
                || (*key == "price" && way.last() == Some(&Segment::Key("model".into())));
            assert!(shown, "`{key}` of {} is not in the reference", KeyPath::new(way.clone()));
        }
    }
}

#[test]
fn the_documented_example_loads() {
    let layers = layers(DOCUMENTED, &[]).expect("TOML");
    let config = Config::of_layers(&layers, Overrides::default()).expect("the example is valid");
    let organization = &config.organizations[0];
    assert_eq!(organization.agents[0].analysis[0].labels[0].name, "resolved");
    assert_eq!(organization.projects[0].id, "proj_1");
    assert!(config.shows_avatars());
}

#[test]
fn later_features_are_refused_by_name() {
    for (text, key) in [
        ("[cluster]\nnats = 'nats://h:4222'", "cluster.nats"),
        ("[storage]\nurl = 'postgres://u@h/db'", "storage.url"),
    ] {
        let said = complaint(text);
        assert!(said.contains(&format!("{key} is not supported")), "{said}");
    }
}

#[test]
fn the_file_wins_over_the_defaults_and_the_environment_over_both() {
    let text = "[limits]\nopens_per_minute = 7\nends_per_minute = 8\n";
    let environment = [
        ("EPILOGUE_LIMITS__ENDS_PER_MINUTE", "9"),
        ("EPILOGUE_SERVER__LISTEN", "0.0.0.0:80"),
        ("EPILOGUE_SERVER__CORS_ORIGINS", r#"["https://example.com"]"#),
        ("EPILOGUE_STEPS__NOTIFY__RETRY_S", "[0, 60]"),
        ("EPILOGUE_SECURITY__TOKEN_SECRET", "12345"),
        ("EPILOGUE_TOKEN_SECRET", "not a key"),
        ("PATH", "/bin"),
    ];
    let config = load_with(text, &environment).expect("valid");
    assert_eq!(config.limits.opens_per_minute, 7);
    assert_eq!(config.limits.ends_per_minute, 9);
    assert_eq!(config.limits.messages_per_minute, 60);
    assert_eq!(config.server.listen.port(), 80);
    assert_eq!(config.server.cors_origins, ["https://example.com"]);
    assert_eq!(config.steps.notify.retry_s, [0, 60]);
    assert_eq!(config.steps.notify.timeout_s, 7);
    assert_eq!(config.security.token_secret.0, "12345");
}

#[test]
fn the_command_line_wins_over_everything() {
    let layers = layers("", &[("EPILOGUE_SERVER__LISTEN", "0.0.0.0:80")]).expect("read");
    let overrides = Overrides {
        listen: Some("127.0.0.1:0".parse().expect("an address")),
        storage: None,
        data: Some("/srv/e".into()),
    };
    let config = Config::of_layers(&layers, overrides).expect("valid");
    assert_eq!(config.server.listen.port(), 0);
    assert_eq!(config.storage.url, StorageUrl::Sqlite("/srv/e/epilogue.db".into()));
    assert_eq!(config.storage.data_folder(), Path::new("/srv/e"));
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    assert_eq!(
        complaint("[limits]\n\nopens_per_minut = 7"),
        "epilogue.toml, line 3: limits.opens_per_minut is not a known key; the nearest known one \
         is limits.opens_per_minute"
    );
    assert_eq!(
        complaint("[sever]\n"),
        "epilogue.toml, line 1: sever is not a known key; the nearest known one is server"
    );
    let text = format!("{ORGANIZATION}{AGENT}idle_timeout = 5");
    assert_eq!(
        complaint(&text),
        "epilogue.toml, line 8: organizations[0].agents[0].idle_timeout is not a known key; the \
         nearest known one is organizations[0].agents[0].idle_timeout_s"
    );
    let error = load_with("", &[("EPILOGUE_LIMITS__OPENS", "7")]).expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "environment variable EPILOGUE_LIMITS__OPENS: limits.opens is not a known key; the \
         nearest known one is limits.opens_per_minute"
    );
}

#[test]
fn a_wrong_type_says_what_is_expected() {
    assert_eq!(
        complaint("[limits]\nopens_per_minute = 'many'"),
        "epilogue.toml, line 2: limits.opens_per_minute is a text; it must be a whole number, not \
         negative, for example 100"
    );
    assert_eq!(
        complaint("[limits]\nopens_per_minute = -1"),
        "epilogue.toml, line 2: limits.opens_per_minute is -1; it must be a whole number, not \
         negative, for example 100"
    );
    assert_eq!(
        complaint("[server]\nlisten = 'here'"),
        "epilogue.toml, line 2: server.listen: invalid socket address syntax, for example \
         \"127.0.0.1:7400\""
    );
    assert_eq!(
        complaint("[telemetry]\nlog_format = 'xml'"),
        "epilogue.toml, line 2: telemetry.log_format must be one of \"auto\", \"text\", \"json\""
    );
    assert_eq!(complaint("limits = 3"), "epilogue.toml, line 1: limits is 3; it must be a table");
    let error = load_with("", &[("EPILOGUE_SERVER__DRAIN_S", "soon")]).expect_err("wrong");
    assert_eq!(
        error.to_string(),
        "environment variable EPILOGUE_SERVER__DRAIN_S: server.drain_s is a text; it must be a \
         whole number, not negative, for example 30"
    );
}

#[test]
fn what_is_not_toml_is_named_by_line_and_column_without_its_text() {
    let said = complaint("[limits]\nsecret = tk_live_secret\n");
    assert!(said.starts_with("epilogue.toml, line 2, column"), "{said}");
    assert!(!said.contains("tk_live_secret"), "{said}");
}

#[test]
fn an_agent_needs_an_organization_around_it() {
    let said = complaint(AGENT);
    assert!(said.contains("organizations is a table; it must be a list"), "{said}");
    assert!(said.contains("[[organizations]]"), "{said}");
}

#[test]
fn a_secret_of_a_wrong_shape_is_not_repeated() {
    let hook = "webhook = { url = 'hook?token=very_secret' }";
    for text in [
        format!("{ORGANIZATION}api_keys = 'very_secret'"),
        format!("{ORGANIZATION}credits = 'very_secret'"),
        format!("{ORGANIZATION}{AGENT}{hook}"),
        "[storage]\nurl = 'very_secret'".into(),
    ] {
        let said = complaint(&text);
        assert!(!said.contains("very_secret"), "{said}");
    }
}

#[test]
fn rules_between_keys_are_held() {
    let org = |more: &str| format!("{ORGANIZATION}{more}");
    let agent = |more: &str| format!("{ORGANIZATION}{AGENT}{more}");
    let long = format!("[[organizations]]\nid = 'o'\nname = '{}'", "n".repeat(201));
    for (text, said) in [
        (format!("{ORGANIZATION}{ORGANIZATION}"), "organizations[1].id `o` is already used by"),
        (agent(AGENT), "agents[1].id `a` is already used by"),
        (long, "organizations[0].name must have 1 to 200 characters"),
        ("[[organizations]]\nid = 'a b'\nname = 'x'".into(), "organizations[0].id must have"),
        (org("credits = '-1'"), "organizations[0].credits is -1; it must not be negative"),
        (org("credits = '99999999999999'"), "credits is more than the ledger can hold"),
        (org("widget_keys = [{ key = 'k', domains = [] }]"), "domains must name at least one"),
        (org("widget_keys = [{ key = 'k', domains = ['*'] }]"), "domains[0] must be a bare"),
        (org("api_keys = ['']"), "api_keys[0] must not be empty"),
        (agent("webhook = { url = 'http://a/b' }"), "webhook.url must be an https URL; http is"),
        (agent("webhook = { url = 'ftp://a/b' }"), "webhook.url must be an https URL, not ftp"),
        (agent("price = { per_minute = '-0.1' }"), "price.per_minute is -0.1; it must not be"),
        (agent("analysis = [{ name = 'f', labels = [] }]"), "labels must ask for at least one"),
        (agent("projects = 1"), "agents[0].projects is not a known key"),
        (
            org("[[organizations.projects]]\nid = 'p'\nagent = 'b'"),
            "projects[0].agent must be an agent of o: it has none",
        ),
        ("[limits]\nturn_s_max = 0".into(), "limits.turn_s_max is 0; it must be 1 to 86400"),
        ("[steps.notify]\nretry_s = []".into(), "retry_s has 0 entries; it must have 1 to 50"),
        ("[twilio]\nsession_ttl_s = 59".into(), "session_ttl_s is 59; it must be 60 to 86400"),
        ("[twilio]\nsession_ttl_s = 86401".into(), "session_ttl_s is 86401; it must be 60 to"),
        ("[twilio]\napi_url = 'ftp://x'".into(), "api_url must be an http or https URL"),
        ("[twilio.answer]\ntimeout_s = 301".into(), "timeout_s is 301; it must be 1 to 300"),
        ("[steps.notify]\ntimeout_s = 60".into(), "timeout_s is 60; it must be 1 to 59"),
        ("[server]\ncors_origins = ['a.com']".into(), "cors_origins[0] must be \"*\" or"),
        ("[pathors]\npath_sunset = 'soon'".into(), "path_sunset must be an HTTP date such as"),
        ("[pathors]\nkey_sunset = '2026-07-11'".into(), "key_sunset must be an HTTP date such as"),
        ("[telemetry]\nlog = 'a=b=c'".into(), "telemetry.log must be a level"),
    ] {
        let complaint = complaint(&text);
        assert!(complaint.contains(said), "{complaint}\ndoes not say: {said}");
        assert!(complaint.starts_with("epilogue.toml, line "), "{complaint}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let said = complaint("[limits]\nturn_s_max = 0\nturn_wait_s = 0\n[server]\ndrain_s = 9999");
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn http_webhooks_are_for_development() {
    let text = format!(
        "[security]\nallow_private_webhooks = true\n{ORGANIZATION}{AGENT}\
         webhook = {{ url = 'http://127.0.0.1/hook' }}"
    );
    assert!(load(&text).is_ok());
}

#[test]
fn the_directory_holds_hashes_and_what_each_key_is_for() {
    let text = format!(
        "{ORGANIZATION}credits = '100.00'\napi_keys = ['tk_live_acme']\n\
         widget_keys = [{{ key = 'tk_widget_acme', domains = ['Example.com'] }}]\n{AGENT}"
    );
    let directory = load(&text).expect("valid").to_directory(NOW).expect("resolves");
    let [acme] = directory.as_slice() else { panic!("{} organizations", directory.len()) };
    assert!(acme.organization.metered);
    assert_eq!(acme.opening_credits, Some(MicroCredits(100_000_000)));
    assert_eq!(acme.organization.grace, MicroCredits(5_000_000));
    assert_eq!(acme.agents.len(), 1);
    let [api, widget] = acme.keys.as_slice() else { panic!("{} keys", acme.keys.len()) };
    assert_eq!((&api.kind, api.role), (&CredentialKind::Secret, Role::Own));
    assert_eq!(api.hash, hash_key("tk_live_acme"));
    // The first 12 digits of `printf tk_live_acme | sha256sum`.
    assert_eq!(api.id.as_str(), "key_399c4a1cba7d");
    let domains = vec!["example.com".to_owned()];
    assert_eq!(widget.kind, CredentialKind::Widget { domains });
    assert!(api.configured && api.is_valid(NOW) && api.created_at == NOW);
}

#[test]
fn a_project_has_its_agent_its_name_and_its_own_keys() {
    let text = format!(
        "{ORGANIZATION}keep_transcripts = true\n{AGENT}\
         [[organizations.projects]]\nid = 'p'\nagent = 'a'\napi_keys = ['sk_p', 'buzz_live_p']\n\
         [[organizations.projects]]\nid = 'q'\nname = 'Queue'\nagent = 'a'"
    );
    let directory = load(&text).expect("valid").to_directory(NOW).expect("resolves");
    assert!(directory[0].organization.keep_transcripts);
    let projects = directory[0].projects.iter();
    let told: Vec<_> = projects.map(|p| (p.id.as_str(), &*p.name, p.agent.as_str())).collect();
    assert_eq!(told, [("p", "p", "a"), ("q", "Queue", "a")]);
    let kind = CredentialKind::Project { project: "p".into() };
    assert!(directory[0].keys.iter().all(|key| key.kind == kind && key.role == Role::Own));
    assert_eq!(directory[0].keys.len(), 2);
    let same = format!("{text}\napi_keys = ['sk_p']");
    let error = load(&same).expect("valid").to_directory(NOW).expect_err("the same key");
    assert!(error.to_string().contains("projects[1].api_keys[0] is the same key as"), "{error}");
}

#[test]
fn what_a_project_says_wrong_is_named() {
    let project = |more: &str| {
        complaint(&format!("{ORGANIZATION}{AGENT}[[organizations.projects]]\nagent = 'a'\n{more}"))
    };
    assert!(project("id = 'a/b'").contains("projects[0].id must have"));
    assert!(project("id = 'p'\nname = ''").contains("projects[0].name must have 1 to"));
    assert!(project("id = 'p'\napi_keys = [' ']").contains("api_keys[0] must not be empty"));
    assert!(project("id = 'p'\nkeys = []").contains("projects[0].keys is not a known key"));
}

#[test]
fn an_empty_sunset_announces_nothing() {
    let config = load("[pathors]\npath_sunset = ''\nkey_sunset = ''").expect("valid");
    let settings = config.pathors.settings();
    assert_eq!((settings.path_sunset, settings.key_sunset), (None, None));
    let defaults = Config::defaults().expect("valid").pathors.settings();
    assert!(defaults.path_sunset.is_some() && defaults.key_sunset.is_some());
    assert!(!defaults.refuse_legacy);
}

#[test]
fn an_organization_without_credits_is_not_metered() {
    let directory = load(ORGANIZATION).expect("valid").to_directory(NOW).expect("resolves");
    assert!(!directory[0].organization.metered);
    assert_eq!(directory[0].opening_credits, None);
}

#[test]
fn one_key_opens_one_door_and_a_missing_secret_is_named() {
    let text = format!(
        "{ORGANIZATION}api_keys = ['same_key']\n\
         [[organizations]]\nid = 'p'\nname = 'P'\napi_keys = ['same_key']"
    );
    let error = load(&text).expect("valid").to_directory(NOW).expect_err("the same key");
    assert!(error.to_string().contains("organizations[1].api_keys[0] is the same key as"));
    assert!(!error.to_string().contains("same_key"));
    let text = format!("{ORGANIZATION}api_keys = ['env:NOT_SET_ANYWHERE']");
    let error = load(&text).expect("valid").to_directory(NOW).expect_err("not set");
    assert!(error.to_string().starts_with("organizations[0].api_keys[0]"), "{error}");
}

/// A line of the full reference with its value replaced by something else.
fn twisted_line() -> impl Strategy<Value = String> {
    let lines: Vec<_> = reference_in_full().lines().map(str::to_owned).collect();
    let values = prop::sample::select(vec![
        "-1",
        "0",
        "1e400",
        "nan",
        "true",
        "[]",
        "{}",
        "''",
        "'x'",
        "[[1], {}]",
        "2020-01-01",
        "9223372036854775807",
        "'\u{0}'",
        "",
        "[{ a = 1 }]",
        "'99999999999999999999999999999'",
    ]);
    (prop::sample::select(lines), prop::option::of(values)).prop_map(|(line, value)| {
        match (value, line.split_once(" = ")) {
            (Some(value), Some((key, _))) => format!("{key} = {value}"),
            _ => line,
        }
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), name in "EPILOGUE_[A-Z_]{0,20}", value in any::<String>()) {
        let _ = load_with(&text, &[(&name, &value)]);
    }

    #[test]
    fn no_twisted_reference_makes_it_panic(lines in prop::collection::vec(twisted_line(), 0..20)) {
        if let Ok(config) = load(&lines.join("\n")) {
            let _ = config.to_directory(NOW);
        }
    }
}

#[test]
fn tenants_may_name_listed_models_and_a_list_names_no_other() {
    let listed =
        |provider: &str| format!("[models.house]\nprovider = \"{provider}\"\nname = \"m\"\n");
    let config = load(&listed("scripted")).expect("a list");
    assert!(config.models.contains_key("house"));
    assert!(complaint(&listed("listed")).contains("models.house"));
    assert!(complaint(&listed("openai")).contains("models.house.base_url"));
    let priced =
        |price: &str| format!("{}price = {{ per_minute = \"{price}\" }}\n", listed("scripted"));
    assert!(!load(&priced("0.1")).expect("a price").models["house"].price.is_free());
    assert!(complaint(&priced("-0.1")).contains("models.house.price.per_minute"));
}
