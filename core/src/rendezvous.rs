//! Finding the other peer through a relay that learns nothing.
//!
//! Anyone who knows a fingerprint can derive the lookup token, which the relay sees, and the
//! sealing key, which it never sees. Neither reveals the fingerprint. Under the token the relay
//! stores a [`SealedRecord`]: a signed [`ContactRecord`], padded and encrypted, so that all records
//! look alike. [`RelayClient`] publishes it and looks it up. This module opens no connection to a
//! peer and does not decide when to publish or look up.

mod invitation;
mod invitation_record;
mod keys;
mod newest;
mod record;
mod relay_client;
mod relay_error;
mod sealed;
mod signed;

pub use invitation::{CodeError, InvitationCode, Role};
pub(crate) use invitation_record::{Ending, InvitationRecord, Word};
pub use keys::LookupToken;
pub(crate) use newest::NewestRecords;
pub use record::{ContactRecord, RecordError};
pub use relay_client::{Published, RelayClient, RelayTimeouts};
pub use relay_error::{Attempt, RelayError, RelayProblem};
pub use sealed::SealedRecord;
