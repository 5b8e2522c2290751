//! What every handler has at hand.

use std::sync::Arc;

use epilogue_core::Span;
use epilogue_engine::{Engine, records::KeyHash};

use crate::{
    dialect::{
        dasha::sms::TwilioSettings,
        kaltura::{KalturaSettings, KeyedCreates, Uploads},
        pathors::{PathorsSettings, SearchPlaces},
    },
    rate::Limiter,
    token::SessionTokens,
};

/// How the API is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Origins that pages may come from: exact ones, or `*` for any.
    pub cors_origins: Vec<String>,
    /// Where clients reach this server.
    pub public_url: url::Url,
    /// The longest request body, in bytes.
    pub body_bytes_max: usize,
    /// How long a client may take to send a body.
    pub body_timeout: Span,
    /// How often a key may open sessions, per minute; 0 for no limit.
    pub opens_per_minute: u32,
    /// How often a session may be sent messages, per minute; 0 for no limit.
    pub messages_per_minute: u32,
    /// How often a session's history may be read, per minute; 0 for no limit.
    pub history_per_minute: u32,
    /// How often a session may be ended, per minute; 0 for no limit.
    pub ends_per_minute: u32,
    /// How long a session that lives by a socket waits for its client to come back.
    pub disconnect_grace: Span,
    /// Text messages through Twilio.
    pub twilio: TwilioSettings,
    /// What the Pathors API announces to go.
    pub pathors: PathorsSettings,
    /// Avatar sessions of the Kaltura API.
    pub kaltura: KalturaSettings,
    /// The key of whoever has the data folder, good for every organization.
    pub operator: Option<KeyHash>,
}

/// The state of every handler. A cheap handle.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    tokens: SessionTokens,
    settings: Settings,
    limiter: Limiter,
    searches: SearchPlaces,
    uploads: Uploads,
    keyed_creates: KeyedCreates,
}

impl Api {
    /// An API over an engine.
    pub fn new(engine: Engine, tokens: SessionTokens, settings: Settings) -> Self {
        let (limiter, searches) = (Limiter::default(), SearchPlaces::default());
        let (uploads, keyed_creates) = (Uploads::default(), KeyedCreates::default());
        let inner = Inner { engine, tokens, settings, limiter, searches, uploads, keyed_creates };
        Self { inner: Arc::new(inner) }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Signs and reads session tokens.
    pub fn tokens(&self) -> &SessionTokens {
        &self.inner.tokens
    }

    /// How the API is set up.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The places of searches that read whole conversations.
    pub(crate) fn searches(&self) -> &SearchPlaces {
        &self.inner.searches
    }

    /// The places of recordings that are taken in.
    pub(crate) fn uploads(&self) -> &Uploads {
        &self.inner.uploads
    }

    /// Whose turn it is to create a session under a key.
    pub(crate) fn keyed_creates(&self) -> &KeyedCreates {
        &self.inner.keyed_creates
    }

    /// Counts requests against the limits.
    pub(crate) fn limiter(&self) -> &Limiter {
        &self.inner.limiter
    }
}
