//! The line between the hall and the relay, each of which has a task of its own. What does not fit
//! on it is dropped, as on any network.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Guests, Inward, way::Seat};

/// How many datagrams may wait on the line, each way.
pub const LINE_MAX: usize = 1024;

/// What goes from the hall to a client of the relay.
pub(crate) struct ToClient {
    pub(crate) seat: Seat,
    pub(crate) bytes: Vec<u8>,
}

/// The hall's end.
pub(crate) struct HallEnd {
    pub(crate) incoming: mpsc::Receiver<Inward>,
    pub(crate) outgoing: mpsc::Sender<ToClient>,
    pub(crate) guests: Arc<Guests>,
}

/// The relay's end.
pub(super) struct RelayEnd {
    pub(super) incoming: mpsc::Receiver<ToClient>,
    pub(super) outgoing: mpsc::Sender<Inward>,
    pub(super) guests: Arc<Guests>,
}

/// Both ends of a line.
pub(super) fn line() -> (HallEnd, RelayEnd) {
    let (to_hall, from_clients) = mpsc::channel(LINE_MAX);
    let (to_clients, from_hall) = mpsc::channel(LINE_MAX);
    let guests = Arc::new(Guests::default());
    let hall =
        HallEnd { incoming: from_clients, outgoing: to_clients, guests: Arc::clone(&guests) };
    (hall, RelayEnd { incoming: from_hall, outgoing: to_hall, guests })
}
