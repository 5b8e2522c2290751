//! Puts the server together: the one place that knows which adapter stands behind each port.

use std::{path::Path, sync::Arc};

use epilogue_api::{
    Api, Dialects, Settings,
    dialect::{
        dasha::sms::{Twilio, TwilioSettings},
        kaltura::KalturaSettings,
    },
    token::SessionTokens,
};
use epilogue_core::{NodeId, Span, StepKind};
use epilogue_engine::{
    Engine, Limits, Parts, StepPolicies,
    clock::{SharedClock, SystemClock},
    ids::Ids,
    inbox::InboxWorker,
    llm::{LanguageModel, Models, OpenAi, Scripted},
    media::MediaPlane,
    memory::{
        EmbeddedMemory, Embeddings, EmbeddingsEndpoint, EndpointEmbeddings, Memory, Retention,
        graphiti::{Graphiti, UploadWorker},
    },
    speech::{CommandVoice, Endpoint, EndpointVoice, Voice},
    tool::Toolbox,
    webhook::{HttpWebhooks, egress::Egress},
};
use epilogue_media::Connections;
use epilogue_storage::{
    Storage,
    sqlite::{Options, SqliteStorage},
};
use secrecy::SecretString;

use crate::{
    config::{Config, ConfigError, MemoryBackend, SpeechConfig, StorageUrl},
    data::{self, DataError, DataLock, OperatorKey, TokenSecretError},
    stage::{NoStage, Stage, StageError},
};

/// How long whoever speaks may take for a part of what is said.
const SPEECH_TIMEOUT: Span = Span::from_secs(20);

/// How long whoever says what sentences are like may take for some of them.
const EMBEDDINGS_TIMEOUT: Span = Span::from_secs(10);

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// Why the server could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There is no token secret.
    #[error(transparent)]
    TokenSecret(#[from] TokenSecretError),
    /// The database cannot be used.
    #[error("the database {url} cannot be used")]
    Store {
        /// Which database.
        url: String,
        /// Why.
        #[source]
        source: epilogue_storage::Error,
    },
    /// Avatars cannot be shown.
    #[error("avatars cannot be shown")]
    Stage(#[from] StageError),
    /// The engine could not take over.
    #[error("the server could not take over where it left off")]
    Recover(#[from] epilogue_engine::Error),
    /// A client for outgoing requests could not be made.
    #[error("outgoing requests are not possible")]
    Outgoing(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StartError {
    /// Whether the operator must change something before another try can succeed.
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Config(_) | Self::TokenSecret(_) => true,
            Self::Data(_)
            | Self::Store { .. }
            | Self::Stage(_)
            | Self::Recover(_)
            | Self::Outgoing(_) => false,
        }
    }
}

/// A server that is put together, and whose past is taken over. Nothing runs yet.
pub struct Assembly {
    /// The API over the engine.
    pub api: Api,
    /// The key of whoever has the data folder.
    pub operator: OperatorKey,
    /// Answers messages that people send.
    pub inbox: InboxWorker,
    /// Carries conversations to Graphiti, if that remembers.
    pub uploads: Option<UploadWorker>,
    /// Lets go of what is remembered for too long.
    pub retention: Retention,
    /// Held for as long as the server lives.
    pub lock: DataLock,
}

/// Puts the server together.
pub async fn assemble(config: &Config) -> Result<Assembly, StartError> {
    let folder = config.storage.data_folder();
    data::create_folder(&folder)?;
    let lock = DataLock::acquire(&folder)?;
    let ids = Arc::new(Ids::from_os());
    let secret = data::token_secret(&config.security, &folder, || ids.bytes())?;
    let operator = OperatorKey::load_or_make(&folder, || ids.bytes())?;
    let clock: SharedClock = Arc::new(SystemClock);
    let storage = open_store(config)?;
    let directory = config.to_directory(clock.now())?;
    let store_fault =
        |source| StartError::Store { url: format!("{:?}", config.storage.url), source };
    storage.apply_config(directory, clock.now()).await.map_err(store_fault)?;
    let settings = settings(config, &operator, &secret)?;
    let media = media(config, &ids, &clock, &settings.kaltura).await?;
    let graphiti = graphiti(config, &storage, &clock)?;
    let parts = parts(config, (storage, graphiti.clone()), media, (clock, ids))?;
    let engine = Engine::new(parts);
    // One process per data folder: whoever else had turns or steps is gone.
    engine.recover(&[]).await?;
    let api = Api::new(engine, SessionTokens::new(&secret), settings);
    let inbox = inbox(config, &api)?;
    let uploads = graphiti.map(|graphiti| UploadWorker::new(api.engine(), graphiti));
    let retention = retention(config, &api);
    Ok(Assembly { api, operator, inbox, uploads, retention, lock })
}

/// The Graphiti server that remembers, if one does.
fn graphiti(
    config: &Config,
    storage: &Arc<dyn Storage>,
    clock: &SharedClock,
) -> Result<Option<Arc<Graphiti>>, StartError> {
    if config.memory.backend == MemoryBackend::Embedded {
        return Ok(None);
    }
    let settings = config.memory.graphiti();
    let graphiti = Graphiti::new(settings, storage.clone(), clock.clone());
    graphiti.map(Arc::new).map(Some).map_err(|error| StartError::Outgoing(error.into()))
}

/// For how long each organization keeps what is remembered.
fn retention(config: &Config, api: &Api) -> Retention {
    let bounded = config.organizations.iter().filter(|of| of.memory_days > 0);
    let kept =
        bounded.map(|of| (of.id.clone(), Span::from_secs(u64::from(of.memory_days) * DAY_S)));
    Retention::new(api.engine().clone(), kept.collect())
}

/// The operator chooses where Twilio is, so any address is right there.
fn inbox(config: &Config, api: &Api) -> Result<InboxWorker, StartError> {
    let egress = Egress::new(true).map_err(|error| StartError::Outgoing(error.into()))?;
    let twilio = Arc::new(Twilio::new(api, egress));
    Ok(InboxWorker::new(api.engine(), twilio, config.twilio.policy()))
}

/// Opens the store the configuration names, and brings its schema up to date.
pub fn open_store(config: &Config) -> Result<Arc<dyn Storage>, StartError> {
    let StorageUrl::Sqlite(path) = &config.storage.url else {
        // Refused when the configuration was read.
        let source = epilogue_storage::Error::Other("only sqlite: is supported".into());
        return Err(StartError::Store { url: format!("{:?}", config.storage.url), source });
    };
    let options =
        Options { queue_max: config.limits.store_queue_max as usize, ..Options::default() };
    open_sqlite(path, &options)
        .map_err(|source| StartError::Store { url: format!("{:?}", config.storage.url), source })
}

fn open_sqlite(path: &Path, options: &Options) -> epilogue_storage::Result<Arc<dyn Storage>> {
    Ok(Arc::new(SqliteStorage::open(path, options)?))
}

fn parts(
    config: &Config,
    (storage, graphiti): (Arc<dyn Storage>, Option<Arc<Graphiti>>),
    media: Arc<dyn MediaPlane>,
    (clock, ids): (SharedClock, Arc<Ids>),
) -> Result<Parts, StartError> {
    let egress = Egress::new(config.security.allow_private_webhooks)
        .map_err(|error| StartError::Outgoing(error.into()))?;
    let allow_private = config.security.allow_private_webhooks;
    let openai = OpenAi::new(clock.clone(), ids.clone(), allow_private)
        .map_err(|error| StartError::Outgoing(error.into()))?;
    let models: Arc<dyn LanguageModel> =
        Models::new(openai, Scripted::new(clock.clone()), config.models.clone());
    let memory: Arc<dyn Memory> = match graphiti {
        Some(graphiti) => graphiti,
        None => memory(config, &storage, &models, (&clock, &ids))?,
    };
    Ok(Parts {
        node: NodeId::new(format!("node-{}", hex::encode(ids.bytes::<6>()))),
        models,
        tools: Toolbox::new(egress.clone(), clock.clone()),
        webhooks: Arc::new(HttpWebhooks::new(egress, clock.clone())),
        memory,
        media,
        voice: voice(config, &clock)?,
        wording: Arc::new(Dialects),
        limits: limits(config),
        policies: policies(config),
        storage,
        clock,
        ids,
    })
}

/// Who remembers.
fn memory(
    config: &Config,
    storage: &Arc<dyn Storage>,
    models: &Arc<dyn LanguageModel>,
    (clock, ids): (&SharedClock, &Arc<Ids>),
) -> Result<Arc<dyn Memory>, StartError> {
    let embeddings = config.memory.embeddings.as_ref().map(|embeddings| {
        let endpoint = EmbeddingsEndpoint {
            base_url: embeddings.base_url.clone(),
            name: embeddings.name.clone(),
            api_key: embeddings.api_key.clone(),
        };
        EndpointEmbeddings::new(endpoint, EMBEDDINGS_TIMEOUT, clock.clone())
            .map(|embeddings| Arc::new(embeddings) as Arc<dyn Embeddings>)
            .map_err(|error| StartError::Outgoing(error.into()))
    });
    let (storage, models) = (storage.clone(), models.clone());
    let memory = EmbeddedMemory::new(storage, models, clock.clone(), ids.clone());
    Ok(Arc::new(memory.with_embeddings(embeddings.transpose()?)))
}

fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        turn_wait: Span::from_secs(limits.turn_wait_s),
        turns_waiting_max: limits.turns_waiting_max as usize,
        turn_max: Span::from_secs(limits.turn_s_max),
        tool_rounds_max: limits.tool_rounds_max,
        turn_settle: Span::from_millis(limits.turn_settle_ms),
        recall: Span::from_millis(config.memory.recall_timeout_ms),
        steps_at_once: config.steps.concurrency as usize,
        steps_per_lane: config.steps.concurrency_per_lane as usize,
        lease: Span::from_secs(config.steps.lease_s),
        stuck_after: Span::from_secs(config.health.stuck_after_s),
        ..Limits::default()
    }
}

fn policies(config: &Config) -> StepPolicies {
    StepPolicies {
        notify: config.steps.policy(StepKind::NotifyEnded),
        ingest_memory: config.steps.policy(StepKind::IngestMemory),
        analyze: config.steps.policy(StepKind::Analyze),
        release_media: config.steps.policy(StepKind::ReleaseMedia),
        purge: config.steps.policy(StepKind::Purge),
        record_result: config.steps.policy(StepKind::RecordResult),
    }
}

fn settings(
    config: &Config,
    operator: &OperatorKey,
    token_secret: &SecretString,
) -> Result<Settings, ConfigError> {
    Ok(Settings {
        cors_origins: config.server.cors_origins.clone(),
        public_url: config.server.public_url.clone(),
        body_bytes_max: usize::try_from(config.limits.body_bytes_max).unwrap_or(usize::MAX),
        body_timeout: Span::from_secs(config.limits.request_body_timeout_s),
        opens_per_minute: config.limits.opens_per_minute,
        messages_per_minute: config.limits.messages_per_minute,
        history_per_minute: config.limits.history_per_minute,
        ends_per_minute: config.limits.ends_per_minute,
        disconnect_grace: Span::from_secs(config.limits.disconnect_grace_s),
        twilio: TwilioSettings {
            api_url: config.twilio.api_url.clone(),
            session_ttl: Span::from_secs(config.twilio.session_ttl_s),
        },
        pathors: config.pathors.settings(),
        kaltura: config.kaltura(token_secret)?,
        operator: Some(operator.hash()),
    })
}

/// Who shows avatars: nobody, and no socket is opened, where nobody may create sessions with one.
async fn media(
    config: &Config,
    ids: &Arc<Ids>,
    clock: &SharedClock,
    kaltura: &KalturaSettings,
) -> Result<Arc<dyn MediaPlane>, StartError> {
    if !config.shows_avatars() {
        return Ok(Arc::new(NoStage(Connections::default())));
    }
    let (ids, secret) = (Arc::clone(ids), kaltura.relay_secret.clone());
    Ok(Arc::new(Stage::start(&config.media, ids, clock.clone(), secret).await?))
}

/// Whoever speaks for avatars, if anybody is configured.
pub fn voice(config: &Config, clock: &SharedClock) -> Result<Option<Arc<dyn Voice>>, StartError> {
    let clock = clock.clone();
    Ok(match &config.media.speech {
        None => None,
        Some(SpeechConfig::Command { command }) => {
            let voice = CommandVoice::new(command, SPEECH_TIMEOUT, clock);
            voice.map(|voice| Arc::new(voice) as Arc<dyn Voice>)
        }
        Some(SpeechConfig::Openai { base_url, name, voice, api_key }) => {
            let endpoint = Endpoint {
                base_url: base_url.clone(),
                name: name.clone(),
                voice: voice.clone(),
                api_key: api_key.clone(),
            };
            let voice = EndpointVoice::new(endpoint, SPEECH_TIMEOUT, clock)
                .map_err(|error| StartError::Outgoing(error.into()))?;
            Some(Arc::new(voice))
        }
    })
}
