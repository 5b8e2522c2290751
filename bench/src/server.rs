//! The server that is measured: the real binary as a process of its own, on a free port of the
//! loopback, with a data folder that goes away with it.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use http::Method;
use tempfile::TempDir;

use crate::{
    Context, Result, agent,
    http::{Connection, call},
    machine,
    time::{self, Duration},
};

/// How long a server may take to answer for the first time, or to stop.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often we look whether it has.
const LOOK: Duration = Duration::from_millis(1);

/// Builds the server as this program was built, and says where it is.
pub fn build() -> Result<PathBuf> {
    let folder = std::env::current_exe()?.parent().ok_or("no folder")?.to_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "epilogue"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if !command.status()?.success() {
        return Err("the server does not build".into());
    }
    Ok(folder.join("epilogue"))
}

/// A data folder. Goes away when it is dropped.
pub struct Data {
    folder: TempDir,
}

impl Data {
    /// A new one.
    pub fn new(context: &Context) -> Result<Self> {
        fs::create_dir_all(&context.folder)?;
        let folder = tempfile::Builder::new().prefix("data-").tempdir_in(&context.folder)?;
        Ok(Self { folder })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The database in it.
    pub fn database(&self) -> PathBuf {
        self.path().join("epilogue.db")
    }
}

/// A server process. Killed when it is dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long it took from nothing to its first answer.
    pub cold_start: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already; that is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts a server on a data folder and waits for its first answer.
    pub async fn start(context: &Context, data: &Data, agent: &agent::Setup) -> Result<Self> {
        let config = data.path().join("bench.toml");
        fs::write(&config, agent::config(data, agent))?;
        let told = data.path().join("server.url");
        if told.exists() {
            fs::remove_file(&told)?;
        }
        let log = File::options().create(true).append(true).open(data.path().join("log"))?;
        let started = time::now();
        let child = Command::new(&context.binary)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        // From here on the process is killed with this value, whatever goes wrong.
        let mut server = Self { child, address, cold_start: Duration::ZERO };
        server.address = server.listening(&told, data).await?;
        server.first_answer().await?;
        server.cold_start = started.elapsed();
        Ok(server)
    }

    async fn listening(&mut self, told: &Path, data: &Data) -> Result<SocketAddr> {
        let started = time::now();
        while started.elapsed() < PATIENCE {
            if let Some(address) = fs::read_to_string(told).ok().and_then(|url| parse(&url)) {
                return Ok(address);
            }
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(data.path().join("log")).unwrap_or_default();
                return Err(format!("the server stopped ({status}): {log}").into());
            }
            time::sleep(LOOK).await;
        }
        Err("the server does not listen".into())
    }

    async fn first_answer(&self) -> Result<()> {
        let live = call(Method::GET, "/health/live", &[], String::new())?;
        // Whatever it says: it says something.
        Connection::open(self.address).await?.send(live).await.map(drop)
    }

    /// Its resident memory, in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        Ok(machine::resident_kib(self.child.id()).ok_or("the server is gone")?)
    }

    /// The processor time it has used, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64> {
        Ok(machine::cpu_seconds(self.child.id()).ok_or("the server is gone")?)
    }

    /// Lets it finish and stop, so that its database is whole and alone.
    pub async fn stop(mut self) -> Result<()> {
        let process = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &process]).status()?;
        let asked = time::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > PATIENCE {
                return Err("the server does not stop".into());
            }
            time::sleep(LOOK).await;
        }
        Ok(())
    }
}

fn parse(url: &str) -> Option<SocketAddr> {
    url.trim().strip_prefix("http://")?.parse().ok()
}
