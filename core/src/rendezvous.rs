//! Finding the other peer through a relay that learns nothing.
//!
//! Whoever knows a fingerprint can derive the lookup token, which the relay sees, and the sealing
//! key, which it never sees; neither leads back to the fingerprint. Under the token lies a
//! [`SealedRecord`]: a signed [`ContactRecord`], padded and encrypted, so that all records look
//! alike. [`RelayClient`] carries it there and back. This module opens no connection to a peer and
//! decides nothing about when to publish or look up.

mod keys;
mod newest;
mod record;
mod relay_client;
mod relay_error;
mod sealed;

pub use keys::LookupToken;
pub(crate) use newest::NewestRecords;
pub use record::{ContactRecord, RecordError};
pub use relay_client::{RelayClient, RelayTimeouts};
pub use relay_error::{Attempt, RelayError, RelayProblem};
pub use sealed::SealedRecord;
