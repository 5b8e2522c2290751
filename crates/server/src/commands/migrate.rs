//! `epilogue migrate`: brings the schema up to date, and nothing else.

use crate::{
    cli::{GlobalArgs, ServeArgs},
    config::Config,
    data::{self, DataLock},
    exit::{Exit, complain},
    wiring::{StartError, open_store},
};

pub(super) fn run(global: &GlobalArgs, args: &ServeArgs) -> Exit {
    let config = match Config::load(global.config_file().as_deref(), args.overrides(global)) {
        Ok(config) => config,
        Err(error) => return complain(Exit::Usage, &error),
    };
    match migrate(&config) {
        Ok(()) => {
            println!("{:?} is up to date", config.storage.url);
            Exit::Success
        }
        Err(error) => complain(Exit::Failure, &error),
    }
}

fn migrate(config: &Config) -> Result<(), StartError> {
    let folder = config.storage.data_folder();
    data::create_folder(&folder)?;
    let _lock = DataLock::acquire(&folder)?;
    open_store(config).map(drop)
}
