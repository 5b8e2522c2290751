//! Where viewers reach us, and as whom we answer.

use std::{net::SocketAddr, sync::Arc};

use str0m::{
    Candidate,
    crypto::{CryptoProvider, dtls::DtlsCert, from_feature_flags},
};

/// How many addresses an answer names.
pub const ADDRESSES_MAX: usize = 8;

/// Why viewers cannot be answered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// There is none, or more than [`ADDRESSES_MAX`].
    #[error("between 1 and {ADDRESSES_MAX} addresses are needed")]
    Addresses,
    /// No viewer can send anything there.
    #[error("{0} is no address that a viewer could reach")]
    Unreachable(SocketAddr),
    /// The certificate that connections are secured with could not be made.
    #[error("no certificate could be made")]
    Certificate,
}

/// What all connections of a node share: its addresses and its certificate.
pub struct Host {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
    addresses: Vec<SocketAddr>,
}

impl Host {
    /// A host that viewers reach at `addresses`, the best first.
    pub fn new(addresses: Vec<SocketAddr>) -> Result<Self, HostError> {
        if addresses.is_empty() || addresses.len() > ADDRESSES_MAX {
            return Err(HostError::Addresses);
        }
        if let Some(&bad) = addresses.iter().find(|a| Candidate::host(**a, "udp").is_err()) {
            return Err(HostError::Unreachable(bad));
        }
        let crypto = Arc::new(from_feature_flags());
        let certificate = crypto.dtls_provider.generate_certificate();
        let certificate = certificate.ok_or(HostError::Certificate)?;
        Ok(Self { crypto, certificate, addresses })
    }

    /// Where viewers reach us.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(super) fn crypto(&self) -> &Arc<CryptoProvider> {
        &self.crypto
    }

    pub(super) fn certificate(&self) -> &DtlsCert {
        &self.certificate
    }

    pub(super) fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.addresses.iter().filter_map(|address| Candidate::host(*address, "udp").ok())
    }

    /// The address of ours that `from` writes to. One socket serves all of them and does not tell
    /// which it was; the engine only needs one that it knows.
    pub(super) fn facing(&self, from: SocketAddr) -> SocketAddr {
        let alike = self.addresses.iter().find(|a| a.is_ipv4() == from.is_ipv4());
        *alike.unwrap_or(&self.addresses[0])
    }
}
