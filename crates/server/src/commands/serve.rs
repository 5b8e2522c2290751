//! `epilogue serve`: the server.

use epilogue_core::Span;
use epilogue_engine::clock::SystemClock;

use crate::{
    cli::{GlobalArgs, ServeArgs},
    config::Config,
    exit::{Exit, complain},
    lifecycle::{Lifecycle, signals},
    running::Listening,
    telemetry,
    wiring::assemble,
};

/// Runs the server until it is told to stop.
pub fn run(global: &GlobalArgs, args: &ServeArgs) -> Exit {
    let config = match Config::load(global.config_file().as_deref(), args.overrides(global)) {
        Ok(config) => config,
        Err(error) => return complain(Exit::Usage, &error),
    };
    if let Err(error) = telemetry::init(&config.telemetry) {
        return complain(Exit::Usage, &error);
    }
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(serve(&config)),
        Err(error) => complain(Exit::Failure, &error),
    }
}

async fn serve(config: &Config) -> Exit {
    let assembly = match assemble(config).await {
        Ok(assembly) => assembly,
        Err(error) if error.is_usage() => return complain(Exit::Usage, &error),
        Err(error) => return complain(Exit::Failure, &error),
    };
    if config.organizations.is_empty() {
        tracing::warn!("no organization is configured, so no key opens anything yet");
    }
    if config.shows_avatars() && config.media.speech.is_none() {
        tracing::warn!("no [media] speech is configured, so avatars say recordings and no text");
    }
    if config.shows_avatars() {
        for doubt in config.relay_doubts() {
            tracing::warn!("{doubt}");
        }
    }
    for agent in config.idle_avatars() {
        tracing::warn!(%agent, "no kaltura_partners name this avatar, so nobody can meet it");
    }
    let listening = match Listening::bind(config, assembly).await {
        Ok(listening) => listening,
        Err(error) => return complain(Exit::Failure, &error),
    };
    let signals = match signals() {
        Ok(signals) => signals,
        Err(error) => return complain(Exit::Failure, &error),
    };
    tracing::info!(address = %listening.address, "listening");
    let lifecycle = Lifecycle::default();
    let drain = Span::from_secs(config.server.drain_s);
    let served = listening.serve(lifecycle.clone());
    tokio::select! {
        () = served => {}
        () = async {
            lifecycle.supervise(signals, &SystemClock, drain).await;
            // The cut has been ordered: what remains is the server's to finish.
            std::future::pending::<()>().await;
        } => {}
    }
    Exit::Success
}
