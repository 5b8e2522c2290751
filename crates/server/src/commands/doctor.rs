//! `epilogue doctor`: looks at everything that can be wrong, and says what is and what would help.

mod media;

use epilogue_core::agent::SecretRef;
use epilogue_engine::{
    clock::{Clock, SystemClock},
    secret,
};
use epilogue_storage::Storage;

use crate::{
    cli::GlobalArgs,
    config::Config,
    data::{self, DataError, DataLock},
    exit::{Exit, chain, complain},
    wiring::open_store,
};

/// What was found, printed as it is found.
#[derive(Default)]
struct Findings {
    failed: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    Note,
    Wrong,
}

impl Findings {
    fn say(&mut self, level: Level, text: &str) {
        self.failed |= level == Level::Wrong;
        let word = match level {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Wrong => "WRONG",
        };
        println!("{word:8} {text}");
    }

    fn well(&mut self, text: &str) {
        self.say(Level::Ok, text);
    }

    fn note(&mut self, text: &str) {
        self.say(Level::Note, text);
    }

    fn wrong(&mut self, text: &str) {
        self.say(Level::Wrong, text);
    }
}

pub(super) fn run(global: &GlobalArgs) -> Exit {
    let config = match Config::load(global.config_file().as_deref(), global.overrides()) {
        Ok(config) => config,
        Err(error) => return complain(Exit::Usage, &error),
    };
    let mut findings = Findings::default();
    findings.well("the configuration is valid");
    secrets(&config, &mut findings);
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(async {
            let is_served = store(&config, &mut findings).await;
            media::look(&config, is_served, &mut findings).await;
        }),
        Err(error) => return complain(Exit::Failure, &error),
    }
    if findings.failed { Exit::Failure } else { Exit::Success }
}

/// Every secret that is named can be had.
fn secrets(config: &Config, findings: &mut Findings) {
    let agents = config.organizations.iter().flat_map(|o| &o.agents);
    for agent in agents {
        let webhook = agent.webhook.iter().flat_map(|w| w.secret.iter().chain(&w.previous_secret));
        let tools = agent.tools.iter().flat_map(|tool| tool.headers.values());
        let named: Vec<&SecretRef> =
            agent.model.api_key.iter().chain(webhook).chain(tools).collect();
        for reference in named {
            if let Err(error) = secret::resolve(reference) {
                findings.wrong(&format!("agent {}: {}", agent.id, chain(&error)));
            }
        }
    }
}

/// Whether a server runs on this data.
async fn store(config: &Config, findings: &mut Findings) -> bool {
    let folder = config.storage.data_folder();
    let _lock = match data::create_folder(&folder).and_then(|()| DataLock::acquire(&folder)) {
        Ok(lock) => lock,
        Err(error @ DataError::InUse { .. }) => {
            findings.note(&format!("{error}; ask it: /health/ready tells how it is"));
            return true;
        }
        Err(error) => {
            findings.wrong(&chain(&error));
            return false;
        }
    };
    findings.well(&format!("the data folder {} can be used", folder.display()));
    match open_store(config) {
        Ok(storage) => {
            findings.well(&format!("{:?} opens, and its schema is up to date", config.storage.url));
            if let Err(error) = records(&*storage, findings).await {
                findings.wrong(&chain(&error));
            }
        }
        Err(error) => findings.wrong(&chain(&error)),
    }
    false
}

async fn records(storage: &dyn Storage, findings: &mut Findings) -> epilogue_storage::Result<()> {
    for organization in storage.organizations().await? {
        let mismatches = storage.audit_ledger(&organization.id).await?;
        for wrong in &mismatches {
            findings.wrong(&format!(
                "{}: account {} should hold {}, and its running balance says {}",
                organization.id,
                wrong.account.as_str(),
                wrong.ledger,
                wrong.running
            ));
        }
        if mismatches.is_empty() {
            findings.well(&format!("{}: every balance is its ledger's sum", organization.id));
        }
    }
    let steps = storage.step_census().await?;
    if steps.parked > 0 {
        let text = "steps are parked; see `epilogue steps list --state parked`";
        findings.note(&format!("{} {text}", steps.parked));
    }
    if let Some(oldest) = steps.oldest_owed_at {
        let age = SystemClock.now().since(oldest);
        findings.note(&format!(
            "{} steps are owed, the oldest for {:.0} s; a running server works them off",
            steps.owed,
            age.as_secs_f64()
        ));
    }
    Ok(())
}
