//! The binary under test, and the folder it lives in.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    sync::watch,
};

use super::in_time;

/// The binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_epilogue");

/// A configuration and a data folder, which outlive every process that uses them.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// A home with this configuration.
    pub fn new(config: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Self { folder };
        let text = toml::to_string(config).expect("TOML");
        std::fs::write(home.config(), text).expect("written");
        home
    }

    /// The folder it all lies in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    fn config(&self) -> PathBuf {
        self.folder.path().join("epilogue.toml")
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.data().join("epilogue.db")
    }

    /// `epilogue serve` on a port of the system's choice.
    fn command(&self) -> Command {
        self.command_at(Path::new(BINARY), "127.0.0.1:0")
    }

    /// `epilogue serve` of this copy of the binary, on this address.
    pub fn command_at(&self, binary: &Path, address: &str) -> Command {
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .arg("--config")
            .arg(self.config())
            .arg("--data")
            .arg(self.data())
            .args(["--listen", address])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        clean(&mut command);
        command
    }

    /// What a command says, such as `memory show`: what it prints and its exit code.
    pub async fn says(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_epilogue"));
        command.args(arguments).arg("--config").arg(self.config()).arg("--data").arg(self.data());
        clean(command.current_dir(self.folder.path()).stdin(Stdio::null()));
        let output = in_time("the command to be done", command.output()).await;
        let output = output.expect("the binary runs");
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    }

    /// Starts the server, and waits until it listens.
    pub async fn start(&self) -> Binary {
        Self::listening(self.spawn()).await
    }

    /// The same on this address.
    pub async fn start_at(&self, address: &str) -> Binary {
        Self::listening(Self::spawned(self.command_at(Path::new(BINARY), address))).await
    }

    async fn listening(mut binary: Binary) -> Binary {
        match in_time("the server to listen", binary.listens()).await {
            Some(_) => binary,
            None => panic!("the server did not start:\n{}", binary.logs()),
        }
    }

    /// Starts the server, and waits for nothing.
    pub fn spawn(&self) -> Binary {
        Self::spawned(self.command())
    }

    fn spawned(mut command: Command) -> Binary {
        let mut child = command.spawn().expect("the binary runs");
        let (logs, url) = (Arc::<Mutex<String>>::default(), watch::Sender::new(None));
        let heard = url.subscribe();
        let stderr = child.stderr.take().expect("piped");
        let reading = tokio::spawn(read(stderr, logs.clone(), url));
        Binary { child, logs, heard, reading }
    }

    /// What `epilogue` says to these arguments, of this configuration and data.
    pub async fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.args(arguments).arg("--config").arg(self.config()).arg("--data").arg(self.data());
        command.current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        in_time("the answer", command.output()).await.expect("the binary runs")
    }

    /// Starts a server that is expected to give up by itself.
    pub async fn run(&self) -> Output {
        in_time("the server to give up", self.command().output()).await.expect("the binary runs")
    }
}

/// Keeps the test's own environment from the binary.
fn clean(command: &mut Command) {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("EPILOGUE_")) {
        command.env_remove(name);
    }
}

/// Collects what the process says, and hears where it listens.
async fn read(stderr: ChildStderr, logs: Arc<Mutex<String>>, url: watch::Sender<Option<String>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        let mut logs = logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.push_str(&line);
        logs.push('\n');
        drop(logs);
        if let ("listening", Some(address)) =
            (event["message"].as_str().unwrap_or_default(), event["address"].as_str())
        {
            url.send_replace(Some(format!("http://{address}")));
        }
    }
}

/// A server that runs. It dies with its handle.
pub struct Binary {
    child: Child,
    logs: Arc<Mutex<String>>,
    heard: watch::Receiver<Option<String>>,
    reading: tokio::task::JoinHandle<()>,
}

impl Binary {
    /// Where it listens, once it does. `None`: it has given up.
    async fn listens(&mut self) -> Option<String> {
        let url = self.heard.wait_for(Option::is_some).await.ok()?;
        url.clone()
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.heard.borrow().clone().expect("it listens")
    }

    /// What it has logged so far.
    pub fn logs(&self) -> String {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kills it as a power cut would.
    pub fn strike(&mut self) {
        self.child.start_kill().expect("killed");
    }

    /// Kills it and waits until it is gone. Returns what it has logged.
    pub async fn kill(mut self) -> String {
        self.strike();
        self.gone().await;
        self.logs()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// The sockets it holds, each by its number.
    pub fn sockets(&self) -> BTreeSet<u64> {
        let held = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it runs");
        held.filter_map(|entry| {
            let target = std::fs::read_link(entry.ok()?.path()).ok()?;
            let name = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            name.parse().ok()
        })
        .collect()
    }

    /// Of these, those that take datagrams.
    pub fn datagram_sockets(&self) -> usize {
        let tables =
            ["udp", "udp6"].map(|name| std::fs::read_to_string(format!("/proc/net/{name}")));
        let held = self.sockets();
        let rows = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
        let number = |row: &str| row.split_whitespace().nth(9)?.parse().ok();
        rows.filter_map(number).filter(|number: &u64| held.contains(number)).count()
    }

    /// Asks it to stop. Needs a second call to insist.
    pub fn terminate(&self) {
        let pid = self.pid().to_string();
        let sent = std::process::Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill runs").success(), "the server is gone");
    }

    /// Waits until it is gone and has said everything.
    pub async fn gone(&mut self) -> ExitStatus {
        let status = in_time("the server to be gone", self.child.wait()).await.expect("a status");
        in_time("the server's last words", &mut self.reading).await.expect("read");
        status
    }

    /// Asks it to stop and waits until it has. Returns what it has logged.
    pub async fn stop(mut self) -> String {
        self.terminate();
        let status = self.gone().await;
        assert!(status.success(), "the server stopped with {status}:\n{}", self.logs());
        self.logs()
    }
}
