//! What a client of the relay was given: a seat, and to which of our own addresses it may write.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use epilogue_core::SessionId;
use turn_types::stun::message::TransactionId;

use super::answer::Refusal;

/// How long an allocation lasts that asks for nothing, and the least that one may ask for.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// How long an allocation may last without being renewed.
pub const LIFETIME_MAX: Duration = Duration::from_secs(3600);
/// How long a permission lasts without being renewed.
pub const PERMISSION_LASTS: Duration = Duration::from_secs(300);
/// How long a channel lasts without being renewed.
pub const CHANNEL_LASTS: Duration = Duration::from_secs(600);

/// A number that stands for one of our addresses.
struct Channel {
    number: u16,
    target: u8,
    until: Instant,
}

/// How what is for a client is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// As data of this channel.
    Channel(u16),
    /// As an indication that names where it comes from.
    Indication,
}

/// One client's allocation.
pub(super) struct Allocation {
    /// Whose avatar it sees.
    pub(super) session: SessionId,
    /// By which credentials. They must stay the same.
    pub(super) username: String,
    /// The request that made it, which may be heard again.
    pub(super) made_by: TransactionId,
    /// The port of its seat.
    pub(super) port: u16,
    /// Of which protocol.
    pub(super) is_v6: bool,
    /// When it ends unless it is renewed.
    pub(super) until: Instant,
    permissions: Vec<(IpAddr, Instant)>,
    channels: Vec<Channel>,
}

impl Allocation {
    pub(super) fn new(
        (session, username): (SessionId, String),
        made_by: TransactionId,
        (port, is_v6): (u16, bool),
        until: Instant,
    ) -> Self {
        let (permissions, channels) = (Vec::new(), Vec::new());
        Self { session, username, made_by, port, is_v6, until, permissions, channels }
    }

    /// Lets it write to one of our addresses, for a time. There are no more permissions than we have
    /// addresses, for no others get here.
    pub(super) fn permit(&mut self, ip: IpAddr, now: Instant) {
        let until = now + PERMISSION_LASTS;
        match self.permissions.iter_mut().find(|(known, _)| *known == ip) {
            Some(known) => known.1 = until,
            None => self.permissions.push((ip, until)),
        }
    }

    /// Whether it may write to an address.
    pub(super) fn is_permitted(&self, ip: IpAddr, now: Instant) -> bool {
        self.permissions.iter().any(|(known, until)| *known == ip && now <= *until)
    }

    /// Has a number stand for an address, for a time. While it does, neither changes.
    pub(super) fn bind(&mut self, number: u16, target: u8, now: Instant) -> Result<(), Refusal> {
        self.channels.retain(|channel| now <= channel.until);
        let until = now + CHANNEL_LASTS;
        let known = self.channels.iter_mut().find(|c| c.number == number || c.target == target);
        match known {
            Some(known) if known.number == number && known.target == target => known.until = until,
            Some(_) => return Err(Refusal::BadRequest),
            None => self.channels.push(Channel { number, target, until }),
        }
        Ok(())
    }

    /// What a number stands for.
    pub(super) fn target(&self, number: u16, now: Instant) -> Option<u8> {
        let known = self.channels.iter().find(|channel| channel.number == number);
        known.filter(|channel| now <= channel.until).map(|channel| channel.target)
    }

    /// How what comes from one of our addresses is wrapped. `None`: it may not hear from there.
    pub(super) fn wrapping(&self, (target, ip): (u8, IpAddr), now: Instant) -> Option<Wrapping> {
        if !self.is_permitted(ip, now) {
            return None;
        }
        let channel = self.channels.iter().find(|c| c.target == target && now <= c.until);
        Some(channel.map_or(Wrapping::Indication, |channel| Wrapping::Channel(channel.number)))
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> (usize, usize) {
        (self.permissions.len(), self.channels.len())
    }
}
