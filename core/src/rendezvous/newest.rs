//! The newest contact record seen of each peer, so that a relay can't bring back an older one.
//!
//! Remembers when the newest record of a peer was issued, for as long as this peer runs. Knows no
//! clock: an expired record is refused when it is opened.

use std::collections::HashMap;
use std::time::Duration;

use super::record::{ContactRecord, RecordError};
use crate::identity::Fingerprint;
use crate::limits::CONTACT_RECORDS_REMEMBERED_MAX;

/// When the newest record of each peer was issued, in milliseconds since 1970 by that peer's clock.
#[derive(Debug, Default)]
pub(crate) struct NewestRecords(HashMap<Fingerprint, u64>);

impl NewestRecords {
    /// Remembers `record`. Noting the same one again is fine.
    ///
    /// # Errors
    /// [`RecordError::Superseded`] when a newer one was seen.
    pub(crate) fn note(&mut self, record: &ContactRecord) -> Result<(), RecordError> {
        let fingerprint = Fingerprint::of(&record.public_key());
        let issued = record.issued_unix_ms();
        let newest = self.0.get(&fingerprint).copied();
        if let Some(newest) = newest.filter(|newest| issued < *newest) {
            let by = Duration::from_millis(newest - issued);
            return Err(RecordError::Superseded { by });
        }
        if newest.is_none() && self.0.len() >= CONTACT_RECORDS_REMEMBERED_MAX {
            let oldest = self.0.iter().min_by_key(|(_, issued)| **issued);
            let oldest = oldest.map(|(fingerprint, _)| *fingerprint);
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        self.0.insert(fingerprint, issued);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::identity::Identity;

    fn record(peer: usize, issued: u64) -> ContactRecord {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(peer as u64).to_le_bytes());
        let identity = Identity::from_seed(Zeroizing::new(seed)).unwrap();
        ContactRecord::new(identity.public_key(), Vec::new(), issued).unwrap()
    }

    #[test]
    fn an_older_record_is_refused_and_the_same_one_is_not() {
        let mut newest = NewestRecords::default();
        newest.note(&record(1, 1_000)).unwrap();
        newest.note(&record(1, 1_000)).unwrap();
        newest.note(&record(2, 5)).unwrap();
        let error = newest.note(&record(1, 999)).unwrap_err();
        assert!(
            matches!(error, RecordError::Superseded { by } if by == Duration::from_millis(1)),
            "{error:?}"
        );
        newest.note(&record(1, 1_001)).unwrap();
        assert!(newest.note(&record(1, 1_000)).is_err());
    }

    #[test]
    fn peers_up_to_the_limit_are_remembered_and_one_more_replaces_the_oldest() {
        let mut newest = NewestRecords::default();
        for peer in 0..CONTACT_RECORDS_REMEMBERED_MAX {
            newest.note(&record(peer, 1_000 + peer as u64)).unwrap();
        }
        assert!(newest.note(&record(0, 1)).is_err());
        newest
            .note(&record(CONTACT_RECORDS_REMEMBERED_MAX, 5_000))
            .unwrap();
        assert_eq!(newest.0.len(), CONTACT_RECORDS_REMEMBERED_MAX);
        assert!(newest.note(&record(1, 1)).is_err());
        newest.note(&record(0, 1)).unwrap();
    }
}
