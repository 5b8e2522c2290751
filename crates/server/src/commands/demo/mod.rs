//! `epilogue demo`: the server with a sample organization, a webhook receiver, and one real
//! conversation for every way a session can end. Prints what every end did, and stays up.

mod avatars;
mod chats;
mod page;
mod print;
mod projects;
mod receiver;
mod script;
mod summary;
mod talk;
mod voice;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use url::Url;

use self::{
    page::Page,
    print::Printer,
    receiver::Receiver,
    talk::{Failure, Talk},
};
use crate::{
    cli::{DemoArgs, GlobalArgs},
    config::{Config, ConfigError, Layers, Overrides, environment},
    exit::{Exit, complain},
    lifecycle::{Lifecycle, signals},
    running::Listening,
    telemetry,
    wiring::assemble,
};

/// The configuration, with the receiver's address to be filled in.
const CONFIG: &str = include_str!("demo.toml");

/// Where the demo keeps its data, apart from a server's.
const DATA: &str = "data/demo";

/// Runs the demo.
pub fn run(global: &GlobalArgs, args: &DemoArgs) -> Exit {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(Exit::Failure, &error),
    };
    match runtime.block_on(demo(global, args)) {
        Ok(true) => Exit::Success,
        Ok(false) => Exit::Failure,
        Err(error) => complain(Exit::Failure, &*error),
    }
}

fn config(global: &GlobalArgs, args: &DemoArgs, receiver: &str) -> Result<Config, ConfigError> {
    let text = CONFIG.replace("RECEIVER", receiver);
    let layers = Layers::from_text(Some((Path::new("demo.toml"), text)), environment())?;
    let data = global.data.clone().or_else(|| Some(PathBuf::from(DATA)));
    Config::of_layers(&layers, Overrides { listen: args.listen, data, ..Overrides::default() })
}

/// Where the server will be: with a port, for addresses that are told to viewers are made of it.
fn address(wanted: SocketAddr) -> io::Result<SocketAddr> {
    if wanted.port() != 0 { Ok(wanted) } else { TcpListener::bind(wanted)?.local_addr() }
}

/// Returns whether everything went as it should.
async fn demo(global: &GlobalArgs, args: &DemoArgs) -> Result<bool, Failure> {
    let printer = Printer::new();
    let receiver = Receiver::start(printer.clone()).await?;
    let mut config = config(global, args, &receiver.url)?;
    config.server.listen = address(config.server.listen)?;
    config.server.public_url = Url::parse(&format!("http://{}", config.server.listen))?;
    telemetry::init(&config.telemetry)?;
    let listening = Listening::bind(&config, assemble(&config).await?).await?;
    let base = format!("http://{}", listening.address);
    let lifecycle = Lifecycle::default();
    let server = tokio::spawn(listening.serve(lifecycle.clone()));
    introduce(&printer, &config, &base, &receiver.url);
    let page = Page::new(Talk::to(&base)?, printer.clone(), &base).await;
    let went_well = show(&printer, &receiver, &page, &base).await;
    if went_well.is_ok() && !args.exit {
        let page = page.show().await?;
        printer.heading(&format!("See and hear the avatar, and end it: {page}"));
        printer.heading(&format!("The server stays up at {base}. Stop it with Ctrl-C."));
        let drain = epilogue_core::Span::from_secs(config.server.drain_s);
        let clock = epilogue_engine::clock::SystemClock;
        tokio::select! {
            () = lifecycle.supervise(signals()?, &clock, drain) => {}
            () = stopped(&lifecycle, &printer) => {}
        }
    }
    lifecycle.stop.cancel();
    server.await?;
    went_well
}

/// Ready when the first wish to stop has come: what is open is finished then, at leisure.
async fn stopped(lifecycle: &Lifecycle, printer: &Printer) {
    lifecycle.stop.cancelled().await;
    printer.remark("stopping");
}

fn introduce(printer: &Printer, config: &Config, base: &str, receiver: &str) {
    printer.heading("Epilogue demo");
    printer
        .remark("The agents are SCRIPTED: they answer from rules, no model is asked. Everything");
    printer.remark("else is real: the APIs, the store, the ledger, memory, analysis and webhooks.");
    printer.remark("For a real model give an agent, in a configuration file of yours:");
    printer.remark(r#"  model = { provider = "openai", base_url = "http://…/v1", name = "…" }"#);
    printer.remark("and start it with: epilogue serve --config epilogue.toml");
    printer.remark("");
    printer.remark(&format!("server    {base}  (X-API-Key: tk_live_demo)"));
    printer.remark(&format!("receiver  {receiver}"));
    printer.remark(&format!("data      {}", config.storage.data_folder().display()));
}

async fn show(
    printer: &Printer,
    receiver: &Receiver,
    page: &Page,
    base: &str,
) -> Result<bool, Failure> {
    let talk = Talk::to(base)?;
    let before = summary::unfinished(&talk).await?;
    if before > 0 {
        printer.remark(&format!("{before} steps were owed from the last time; they run now"));
    }
    let shown = script::run(&talk, printer, page).await?;
    summary::print(&talk, printer, receiver, &shown).await
}
