//! Logs: to standard error, as text for people or JSON for machines.

use std::io::{self, IsTerminal};

use tracing::{Dispatch, subscriber::SetGlobalDefaultError};
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt::MakeWriter};

use crate::config::{LogFormat, TelemetryConfig};

/// Parts that write a line about every datagram that is not as it should be: anybody may send those.
const TALKATIVE: &str = "stun_proto=off,stun_types=off,turn_types=off,turn_server_proto=off";

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.log` is not a filter.
    #[error("telemetry.log is not a log filter")]
    Filter(#[from] ParseError),
    /// Something else in this process has set up logs already.
    #[error("logs are set up twice")]
    Twice(#[from] SetGlobalDefaultError),
}

/// Sets up the process's logs. Once.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let logs = subscriber(config, io::stderr, io::stderr().is_terminal())?;
    Ok(tracing::dispatcher::set_global_default(logs)?)
}

/// Logs to any writer. Colours are for terminals.
pub fn subscriber<W>(
    config: &TelemetryConfig,
    writer: W,
    is_terminal: bool,
) -> Result<Dispatch, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        // What the operator says of one of them comes later, and counts.
        .with_env_filter(EnvFilter::try_new(format!("{TALKATIVE},{}", config.log))?)
        .with_writer(writer);
    let as_json = match config.log_format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    Ok(if as_json {
        Dispatch::new(builder.json().flatten_event(true).finish())
    } else {
        Dispatch::new(builder.with_ansi(is_terminal).finish())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log_format: LogFormat, is_terminal: bool) -> String {
        let config = TelemetryConfig { log: "info".into(), log_format };
        let written = Written::default();
        let writer = written.clone();
        let logs = subscriber(&config, move || writer.clone(), is_terminal).expect("a filter");
        tracing::dispatcher::with_default(&logs, || {
            tracing::info!(session = 7, "it ended");
            tracing::debug!("not this");
            tracing::error!(target: "stun_types::message", "nor what anybody may cause");
        });
        let bytes = written.0.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_machine_reads_json_a_line_each() {
        let line = logged(LogFormat::Auto, false);
        let event: serde_json::Value = serde_json::from_str(&line).expect("one line of JSON");
        assert_eq!((&event["message"], &event["session"]), (&"it ended".into(), &7.into()));
        assert_eq!(logged(LogFormat::Json, true).lines().count(), 1);
    }

    #[test]
    fn a_person_reads_text_in_colour_only_at_a_terminal() {
        let coloured = '\u{1b}';
        assert!(logged(LogFormat::Auto, true).contains(coloured));
        let plain = logged(LogFormat::Text, false);
        assert!(plain.contains("it ended session=7") && !plain.contains(coloured), "{plain}");
    }
}
