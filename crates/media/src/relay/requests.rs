//! What clients ask for, and what they are granted.

use std::{net::SocketAddr, time::Duration};

use turn_types::{
    AddressFamily,
    attribute::{
        ChannelNumber, DontFragment, EvenPort, Lifetime, RequestedAddressFamily,
        RequestedTransport, ReservationToken, XorPeerAddress, XorRelayedAddress,
    },
    message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH},
    stun::{
        attribute::{
            Attribute as _, AttributeFromRaw as _, AttributeStaticType as _, AttributeType,
            AttributeWrite, Fingerprint, MessageIntegrity, Nonce, Realm, Username,
            XorMappedAddress,
        },
        message::{Message, Method},
    },
};

use super::{
    Moment, Relay, Seat, Way,
    allocation::{Allocation, LIFETIME, LIFETIME_MAX},
    answer::{self, Refusal},
    visitor::{self, Visitor},
};

/// The attributes that we understand, where they must be understood.
const UNDERSTOOD: [AttributeType; 14] = [
    Username::TYPE,
    Realm::TYPE,
    Nonce::TYPE,
    MessageIntegrity::TYPE,
    Fingerprint::TYPE,
    Lifetime::TYPE,
    RequestedTransport::TYPE,
    RequestedAddressFamily::TYPE,
    // Nothing here is ever parted, for nothing leaves this machine.
    DontFragment::TYPE,
    EvenPort::TYPE,
    ReservationToken::TYPE,
    XorPeerAddress::TYPE,
    ChannelNumber::TYPE,
    XorRelayedAddress::TYPE,
];

/// The numbers that channels may have: those of RFC 5766, which RFC 8656 has fewer of.
const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x7fff;

/// Whether a method is one of those that need credentials.
pub(super) fn is_known(method: Method) -> bool {
    [ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND].contains(&method)
}

/// What is told to whom a request is granted.
enum Granted {
    Allocation { seat: Seat, lasts: Duration },
    Renewed { lasts: Duration },
    Nothing,
}

impl Relay {
    /// Answers a request. `None`: there is nothing to say.
    pub(super) fn ask(
        &mut self,
        moment: Moment,
        way: Way,
        request: &Message<'_>,
    ) -> Option<Vec<u8>> {
        let identified =
            visitor::identify(request, (moment, way), &self.nonces, &self.guests, &self.passwords);
        let (key, granted) = match identified {
            Ok(visitor) => {
                let granted = self.decide(moment, way, request, &visitor);
                (Some(visitor.key), granted)
            }
            Err(refusal) => (None, Err(refusal)),
        };
        let written = match (granted, &key) {
            (Ok(granted), Some(key)) => {
                let id = request.transaction_id();
                let mapped = XorMappedAddress::new(way.client, id);
                let attributes: &[&dyn AttributeWrite] = match granted {
                    Granted::Allocation { seat, lasts } => {
                        &[&XorRelayedAddress::new(seat.address(), id), &mapped, &lifetime(lasts)]
                    }
                    Granted::Renewed { lasts } => &[&lifetime(lasts)],
                    Granted::Nothing => &[],
                };
                answer::grant(request, attributes, key)
            }
            (granted, key) => {
                let refusal = granted.err().unwrap_or(Refusal::Unauthorized);
                self.note(request, &refusal);
                let nonce = self.nonces.make(moment.now, way);
                answer::refuse(request, &refusal, key.as_ref(), &nonce)
            }
        };
        written.inspect_err(|error| tracing::debug!(%error, "an answer cannot be written")).ok()
    }

    fn note(&mut self, request: &Message<'_>, refusal: &Refusal) {
        if !refusal.is_challenge() {
            self.counts.refused += 1;
            self.counts.forbidden += u64::from(*refusal == Refusal::Forbidden);
        } else if *refusal == Refusal::Unauthorized && request.has_attribute(Username::TYPE) {
            self.counts.bad_credentials += 1;
        }
    }

    fn decide(
        &mut self,
        moment: Moment,
        way: Way,
        request: &Message<'_>,
        visitor: &Visitor,
    ) -> Result<Granted, Refusal> {
        let unknown: Vec<AttributeType> = request
            .iter_attributes()
            .map(|(_, attribute)| attribute.get_type())
            .filter(|kind| kind.comprehension_required() && !UNDERSTOOD.contains(kind))
            .collect();
        if !unknown.is_empty() {
            return Err(Refusal::Unknown(unknown));
        }
        if request.method() == ALLOCATE {
            return self.allocate(moment, way, request, visitor);
        }
        let allocation = self.table.allocation(way).ok_or(Refusal::Mismatch)?;
        if allocation.username != visitor.username {
            return Err(Refusal::WrongCredentials);
        }
        if moment.now > allocation.until {
            return Err(Refusal::Mismatch);
        }
        match request.method() {
            REFRESH => self.renew(moment, way, request, visitor),
            CREATE_PERMISSION => self.permit(moment, way, request),
            _ => self.bind(moment, way, request),
        }
    }

    fn allocate(
        &mut self,
        moment: Moment,
        way: Way,
        request: &Message<'_>,
        visitor: &Visitor,
    ) -> Result<Granted, Refusal> {
        if self.table.allocation(way).is_some_and(|known| known.until < moment.now) {
            self.table.release(moment.now, way);
        }
        if let Some(known) = self.table.allocation(way) {
            // The same request once more: its answer was lost.
            let is_same =
                known.made_by == request.transaction_id() && known.username == visitor.username;
            let lasts = known.until.saturating_duration_since(moment.now);
            let seat = Seat { port: known.port, target: 0, is_v6: known.is_v6 };
            return if is_same {
                Ok(Granted::Allocation { seat, lasts })
            } else {
                Err(Refusal::Mismatch)
            };
        }
        let transport = request.attribute::<RequestedTransport>();
        if transport.map_err(|_| Refusal::BadRequest)?.protocol() != RequestedTransport::UDP {
            return Err(Refusal::NoSuchTransport);
        }
        if request.has_attribute(EvenPort::TYPE) || request.has_attribute(ReservationToken::TYPE) {
            return Err(Refusal::NoCapacity);
        }
        let is_v6 = asked_family(request)?.unwrap_or_default();
        if !self.speaks(is_v6) {
            return Err(Refusal::NoSuchFamily);
        }
        if self.table.allocations_of(visitor.session) >= self.limits.allocations_per_session {
            return Err(Refusal::QuotaReached);
        }
        if self.table.allocations() >= self.limits.allocations {
            return Err(Refusal::NoCapacity);
        }
        let port = self.table.free_port().ok_or(Refusal::NoCapacity)?;
        let lasts = lasts(request, moment, visitor);
        let whose = (visitor.session, visitor.username.clone());
        let made_by = request.transaction_id();
        let made = Allocation::new(whose, made_by, (port, is_v6), moment.now + lasts);
        self.table.allocate(way, made);
        self.counts.allocated += 1;
        tracing::debug!(session = %visitor.session, ?way, port, "a viewer is relayed");
        Ok(Granted::Allocation { seat: Seat { port, target: 0, is_v6 }, lasts })
    }

    fn renew(
        &mut self,
        moment: Moment,
        way: Way,
        request: &Message<'_>,
        visitor: &Visitor,
    ) -> Result<Granted, Refusal> {
        let wanted = asked_family(request)?;
        let allocation = self.table.allocation_mut(way).ok_or(Refusal::Mismatch)?;
        if wanted.is_some_and(|is_v6| is_v6 != allocation.is_v6) {
            return Err(Refusal::OtherFamily);
        }
        if asked_seconds(request) == Some(0) {
            self.table.release(moment.now, way);
            return Ok(Granted::Renewed { lasts: Duration::ZERO });
        }
        let lasts = lasts(request, moment, visitor);
        allocation.until = moment.now + lasts;
        self.table.list(way);
        Ok(Granted::Renewed { lasts })
    }

    fn permit(
        &mut self,
        moment: Moment,
        way: Way,
        request: &Message<'_>,
    ) -> Result<Granted, Refusal> {
        let id = request.transaction_id();
        let mut wanted = Vec::new();
        for (_, attribute) in request.iter_attributes() {
            if attribute.get_type() == XorPeerAddress::TYPE {
                let peer = XorPeerAddress::from_raw(attribute).map_err(|_| Refusal::BadRequest)?;
                wanted.push(peer.addr(id));
            }
        }
        if wanted.is_empty() {
            return Err(Refusal::BadRequest);
        }
        // All or none.
        for peer in &wanted {
            self.check_family(way, *peer)?;
            if !self.is_ours(peer.ip()) {
                return Err(Refusal::Forbidden);
            }
        }
        let allocation = self.table.allocation_mut(way).ok_or(Refusal::Mismatch)?;
        for peer in wanted {
            allocation.permit(peer.ip(), moment.now);
        }
        Ok(Granted::Nothing)
    }

    fn bind(
        &mut self,
        moment: Moment,
        way: Way,
        request: &Message<'_>,
    ) -> Result<Granted, Refusal> {
        let peer = request.attribute::<XorPeerAddress>().map_err(|_| Refusal::BadRequest)?;
        let number = request.attribute::<ChannelNumber>().map_err(|_| Refusal::BadRequest)?;
        let (peer, number) = (peer.addr(request.transaction_id()), number.channel());
        if !CHANNELS.contains(&number) {
            return Err(Refusal::BadRequest);
        }
        self.check_family(way, peer)?;
        let target = self.target(peer).ok_or(Refusal::Forbidden)?;
        let allocation = self.table.allocation_mut(way).ok_or(Refusal::Mismatch)?;
        allocation.bind(number, target, moment.now)?;
        allocation.permit(peer.ip(), moment.now);
        Ok(Granted::Nothing)
    }

    fn check_family(&self, way: Way, peer: SocketAddr) -> Result<(), Refusal> {
        let allocation = self.table.allocation(way).ok_or(Refusal::Mismatch)?;
        if allocation.is_v6 == peer.is_ipv6() { Ok(()) } else { Err(Refusal::OtherFamily) }
    }
}

fn lifetime(lasts: Duration) -> Lifetime {
    Lifetime::new(u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX))
}

fn asked_seconds(request: &Message<'_>) -> Option<u32> {
    request.attribute::<Lifetime>().ok().map(|asked| asked.seconds())
}

/// Whether an allocation of the newer protocol is asked for, if either is.
fn asked_family(request: &Message<'_>) -> Result<Option<bool>, Refusal> {
    if !request.has_attribute(RequestedAddressFamily::TYPE) {
        return Ok(None);
    }
    let asked = request.attribute::<RequestedAddressFamily>();
    let asked = asked.map_err(|_| Refusal::BadRequest)?;
    Ok(Some(asked.family() == AddressFamily::IPV6))
}

/// How long what is asked for lasts: as long as is asked for, within bounds, and no longer than the
/// credentials.
fn lasts(request: &Message<'_>, moment: Moment, visitor: &Visitor) -> Duration {
    let asked = asked_seconds(request).map_or(LIFETIME, |asked| Duration::from_secs(asked.into()));
    let left = Duration::from_millis(visitor.until.since(moment.day).as_millis());
    asked.clamp(LIFETIME, LIFETIME_MAX).min(left)
}
