//! Finding the other peer through a relay that learns nothing.
//!
//! Whoever knows a fingerprint can derive the lookup token, which the relay sees, and the sealing key, which it never
//! sees; neither leads back to the fingerprint. Under the token lies a [`SealedRecord`]: a signed [`ContactRecord`],
//! padded and encrypted, so that all records look alike. [`RelayClient`] carries it there and back. This module opens
//! no connection to a peer and decides nothing about when to publish or look up.
//!
//! ```
//! use tandem_core::clock::Clock;
//! use tandem_core::identity::Identity;
//! use tandem_core::rendezvous::{ContactRecord, LookupToken, SealedRecord};
//!
//! let (alice, now) = (Identity::ephemeral()?, Clock::system().unix_ms());
//! let record = ContactRecord::new(alice.public_key(), vec!["[::1]:26100".parse()?], now)?;
//! // All that the relay gets:
//! let (token, blob) = (LookupToken::of(&alice.fingerprint()).to_text(), record.seal(&alice)?.to_text());
//! // Bob, who was told alice's fingerprint, fetches the blob by the same token and opens it:
//! let sealed: SealedRecord = blob.parse()?;
//! assert_eq!(sealed.open(&alice.fingerprint(), now)?, record);
//! # assert_eq!(token.len(), 64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod keys;
mod record;
mod relay_client;
mod relay_error;
mod sealed;

pub use keys::LookupToken;
pub use record::{ContactRecord, RecordError};
pub use relay_client::{RelayClient, RelayTimeouts};
pub use relay_error::{Attempt, RelayError, RelayProblem};
pub use sealed::SealedRecord;
