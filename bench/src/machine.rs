//! What the figures were measured on. Without it they say nothing.

use std::{fmt, fs, path::Path, thread};

use epilogue_engine::clock::{Clock as _, SystemClock};
use serde::Serialize;

/// A machine at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// When.
    pub date: String,
    /// Its processor.
    pub cpu: String,
    /// How many cores are to be had.
    pub cores: usize,
    /// Its memory, in MiB.
    pub memory_mib: u64,
    /// Its kernel.
    pub kernel: String,
    /// The file system that the databases are on.
    pub file_system: String,
    /// How busy it was before the run: processes over the last minute.
    pub load_before: String,
}

impl Machine {
    /// This machine, now. `folder` is where the databases will be.
    pub fn describe(folder: &Path) -> Self {
        let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
        let memory_kib: u64 = memory.trim_end_matches("kB").trim().parse().unwrap_or(0);
        let first_word = |text: String| text.split_whitespace().next().unwrap_or("?").to_owned();
        Self {
            date: SystemClock.now().to_string(),
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "?".to_owned()),
            cores: thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_mib: memory_kib / 1024,
            kernel: first_word(read("/proc/sys/kernel/osrelease")),
            file_system: file_system(&read("/proc/mounts"), folder),
            load_before: first_word(read("/proc/loadavg")),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, {} cores, {} MiB, Linux {}, {}, load before {}",
            self.date,
            self.cpu,
            self.cores,
            self.memory_mib,
            self.kernel,
            self.file_system,
            self.load_before
        )
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value of a `name: value` line.
fn field(path: &str, name: &str) -> Option<String> {
    let text = read(path);
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned()).next()
}

/// The type of the file system that `folder` is on: that of the longest mount point above it.
fn file_system(mounts: &str, folder: &Path) -> String {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = mounts.filter(|(point, _)| folder.starts_with(point));
    above.max_by_key(|(point, _)| point.len()).map_or("?", |(_, kind)| kind).to_owned()
}

/// The resident memory of a process, in KiB.
pub fn resident_kib(process: u32) -> Option<u64> {
    let value = field(&format!("/proc/{process}/status"), "VmRSS")?;
    value.trim_end_matches("kB").trim().parse().ok()
}

/// Ticks in which Linux counts processor time.
const TICKS_PER_SECOND: f64 = 100.0;

/// The processor time that a process has used, in seconds. Unlike the time that passes, it does not
/// depend on what else runs.
#[expect(clippy::cast_precision_loss, reason = "a number of ticks is far below 2^52")]
pub fn cpu_seconds(process: u32) -> Option<f64> {
    let stat = read(&format!("/proc/{process}/stat"));
    // The name, in brackets, may hold anything; what follows it are numbers.
    let (_, numbers) = stat.rsplit_once(')')?;
    let ticks = numbers.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.collect::<std::result::Result<Vec<_>, _>>().ok()?;
    (ticks.len() == 2).then(|| ticks.iter().sum::<u64>() as f64 / TICKS_PER_SECOND)
}

/// The processor time that this thread has used, in seconds.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
pub fn thread_cpu_seconds() -> Option<f64> {
    let text = read("/proc/thread-self/schedstat");
    let nanoseconds: u64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_point_names_the_file_system() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0";
        let on = |folder: &str| file_system(mounts, Path::new(folder));
        assert_eq!(on("/home/x"), "ext4");
        assert_eq!(on("/tmp/x"), "tmpfs");
        assert_eq!(on("/tmp/disk/x"), "xfs");
        assert_eq!(on("/tmpx"), "ext4");
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident_kib(std::process::id()).is_some_and(|kib| kib > 100));
        assert!(cpu_seconds(std::process::id()).is_some());
        assert!(thread_cpu_seconds().is_some_and(|seconds| seconds > 0.0));
    }
}
