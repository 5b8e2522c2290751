//! The load driver: a number of connections that take requests from one list, as fast as the
//! answers come or at a given pace.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    vec,
};

use crate::{
    Result,
    http::{Answer, Call, Connection},
    time::{self, Duration, Instant},
};

/// How a list of requests is sent.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where to.
    pub address: SocketAddr,
    /// Over how many connections, each with one request at a time.
    pub connections: usize,
    /// Requests per second over all connections; `None`: as fast as answers come.
    pub pace: Option<f64>,
}

/// What came of it.
#[derive(Debug)]
pub struct Run<T> {
    /// From the first request to the last answer.
    pub took: Duration,
    /// How long each answer took, from the moment its request was sent.
    pub latencies: Latencies,
    /// What was read from the answers.
    pub values: Vec<T>,
}

impl<T> Run<T> {
    /// Answers per second.
    pub fn rate(&self) -> f64 {
        count(self.values.len()) / self.took.as_secs_f64()
    }
}

/// A number of things, for division.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub const fn count(things: usize) -> f64 {
    things as f64
}

/// Durations, to be asked for quantiles.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(durations: I) -> Self {
        let mut sorted: Vec<_> = durations.into_iter().collect();
        sorted.sort_unstable();
        Self(sorted)
    }
}

impl Latencies {
    /// The duration that `percent` of all are not longer than, in milliseconds.
    pub fn quantile_ms(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(rank).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e3)
    }

    /// The longest, in milliseconds.
    pub fn worst_ms(&self) -> f64 {
        self.0.last().map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e3)
    }
}

/// The middle one of several measurements.
pub fn median(measured: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = measured.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

type Queue = Arc<Mutex<vec::IntoIter<Call>>>;

/// Sends all requests. An answer that `read` refuses fails the whole run: a server that answers
/// with errors is not measured.
pub async fn drive<T: Send + 'static>(
    plan: Plan,
    calls: Vec<Call>,
    read: fn(Answer) -> Result<T>,
) -> Result<Run<T>> {
    let total = calls.len();
    let queue = Arc::new(Mutex::new(calls.into_iter()));
    let mut open = Vec::new();
    for _ in 0..plan.connections {
        open.push(Connection::open(plan.address).await?);
    }
    let started = time::now();
    let workers: Vec<_> = open
        .into_iter()
        .enumerate()
        .map(|(place, connection)| {
            let pacer = Pacer::new(plan, place, started);
            tokio::spawn(work(connection, queue.clone(), pacer, read))
        })
        .collect();
    let (mut values, mut latencies) = (Vec::with_capacity(total), Vec::with_capacity(total));
    for worker in workers {
        for (value, latency) in worker.await?? {
            values.push(value);
            latencies.push(latency);
        }
    }
    let took = started.elapsed();
    Ok(Run { took, latencies: latencies.into_iter().collect(), values })
}

async fn work<T>(
    mut connection: Connection,
    queue: Queue,
    mut pacer: Pacer,
    read: fn(Answer) -> Result<T>,
) -> Result<Vec<(T, Duration)>> {
    let mut answers = Vec::new();
    loop {
        pacer.wait().await;
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some(call) = next else { return Ok(answers) };
        let sent = time::now();
        let answer = connection.send(call).await?;
        let latency = sent.elapsed();
        answers.push((read(answer)?, latency));
    }
}

/// When a connection sends its next request. The connections' beats are spread evenly.
struct Pacer {
    next: Instant,
    interval: Option<Duration>,
}

impl Pacer {
    fn new(plan: Plan, place: usize, started: Instant) -> Self {
        let interval =
            plan.pace.map(|pace| Duration::from_secs_f64(count(plan.connections) / pace));
        let share = count(place) / count(plan.connections);
        let offset = interval.map_or(Duration::ZERO, |interval| interval.mul_f64(share));
        Self { next: started + offset, interval }
    }

    async fn wait(&mut self) {
        if let Some(interval) = self.interval {
            time::sleep_until(self.next).await;
            self.next += interval;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_durations_that_were_measured() {
        let latencies: Latencies = (1..=100).rev().map(Duration::from_millis).collect();
        let quantiles = [1, 50, 99, 100].map(|percent| latencies.quantile_ms(percent));
        for (found, expected) in quantiles.into_iter().zip([1.0, 50.0, 99.0, 100.0]) {
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        }
        let single: Latencies = [Duration::from_millis(7)].into_iter().collect();
        assert!((single.quantile_ms(1) - 7.0).abs() < 1e-9);
        assert!(Latencies::default().quantile_ms(50).is_nan());
    }

    #[test]
    fn one_measurement_that_went_wrong_does_not_move_the_median_far() {
        assert!((median([3.0, 1000.0, 2.0]) - 3.0).abs() < 1e-9);
    }
}
