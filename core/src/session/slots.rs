//! Slots for strangers: how many handshakes a listener runs at once, in total and per source.
//!
//! Owns which connection has a slot, and which one loses it to a newcomer. No connection waits. A
//! source that has all of its slots loses its own oldest one. When all slots are taken, the source
//! with the most loses its oldest; among sources with equally many, the one with the oldest
//! connection does. The bytes that a connection has sent do not count, because they cost a stranger
//! nothing. So strangers shut out others only while they keep connecting faster than a handshake
//! takes. A peer that has proved its identity keeps its slot. Knows no clock and no socket.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_relay::api::Source;
use tokio_util::sync::CancellationToken;

use crate::limits::{PENDING_HANDSHAKES_MAX, PENDING_HANDSHAKES_PER_SOURCE_MAX};

/// All slots of one listener.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slots(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    /// By id, so the oldest comes first.
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    source: Source,
    /// Whether the connection has proved to be the expected peer.
    is_proved: bool,
    lost: CancellationToken,
}

/// A taken slot; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    id: u64,
    lost: CancellationToken,
}

impl Slots {
    /// A slot for a connection from `ip`, which `cancel` ends too. `None` if every slot that could
    /// be taken away belongs to a peer that has proved its identity.
    pub(crate) fn enter(&self, ip: IpAddr, cancel: &CancellationToken) -> Option<Slot> {
        let source = Source::of(ip);
        let mut table = self.lock();
        table.make_room(source)?;
        let (id, lost) = (table.next_id, cancel.child_token());
        table.next_id += 1;
        let taken = Taken {
            source,
            is_proved: false,
            lost: lost.clone(),
        };
        table.taken.insert(id, taken);
        let slots = self.clone();
        Some(Slot { slots, id, lost })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Notes that the connection has proved to be the expected peer.
    pub(crate) fn proved(&self) {
        if let Some(taken) = self.slots.lock().taken.get_mut(&self.id) {
            taken.is_proved = true;
        }
    }

    /// Cancelled when the slot is lost to a newcomer, or the listener ends.
    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().taken.remove(&self.id);
    }
}

impl Table {
    /// Takes a slot away if `source`, or the whole listener, has no free one.
    fn make_room(&mut self, source: Source) -> Option<()> {
        if self.count_of(source) >= PENDING_HANDSHAKES_PER_SOURCE_MAX {
            return self.take_away(|taken| taken.source == source);
        }
        if self.taken.len() >= PENDING_HANDSHAKES_MAX {
            return self.take_away(|_| true);
        }
        Some(())
    }

    /// Takes away a slot that `may` allows: of the sources that have the most slots, the oldest
    /// one.
    fn take_away(&mut self, may: impl Fn(&Taken) -> bool) -> Option<()> {
        let unproved = self.taken.iter().filter(|(_, taken)| !taken.is_proved);
        let candidates = unproved.filter(|(_, taken)| may(taken));
        let rank = |(id, taken): &(&u64, &Taken)| (Reverse(self.count_of(taken.source)), **id);
        let (&id, _) = candidates.min_by_key(rank)?;
        let taken = self.taken.remove(&id)?;
        tracing::debug!(source = ?taken.source, "a connection lost its slot to another");
        taken.lost.cancel();
        Some(())
    }

    fn count_of(&self, source: Source) -> usize {
        self.taken.values().filter(|taken| taken.source == source).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address of its own for each `index`.
    fn stranger(index: usize) -> IpAddr {
        IpAddr::from([198, 51, 100, u8::try_from(index).unwrap()])
    }

    fn enter(slots: &Slots, ip: IpAddr) -> Slot {
        slots.enter(ip, &CancellationToken::new()).unwrap()
    }

    fn fill(slots: &Slots, ip: IpAddr, count: usize) -> Vec<Slot> {
        (0..count).map(|_| enter(slots, ip)).collect()
    }

    fn kept(slots: &[Slot]) -> Vec<bool> {
        slots.iter().map(|slot| !slot.lost().is_cancelled()).collect()
    }

    #[test]
    fn a_source_has_its_share_of_slots_and_one_more_costs_its_oldest() {
        let slots = Slots::default();
        let other = enter(&slots, stranger(2));
        let taken = fill(&slots, stranger(1), PENDING_HANDSHAKES_PER_SOURCE_MAX);
        assert!(kept(&taken).iter().all(|kept| *kept));
        let newest = enter(&slots, stranger(1));
        assert_eq!(kept(&taken).iter().filter(|kept| **kept).count(), taken.len() - 1);
        assert!(!kept(&taken)[0]);
        assert_eq!(kept(&[other, newest]), [true, true]);
    }

    #[test]
    fn a_full_listener_takes_a_slot_from_the_source_with_the_most() {
        let slots = Slots::default();
        let honest = enter(&slots, stranger(0));
        let heavy = fill(&slots, stranger(1), 2);
        let others: Vec<_> = (2..PENDING_HANDSHAKES_MAX - 1)
            .map(|index| enter(&slots, stranger(index)))
            .collect();
        assert!(kept(&others).iter().chain(&kept(&heavy)).all(|kept| *kept));
        let newest = enter(&slots, stranger(200));
        assert_eq!(kept(&heavy), [false, true]);
        assert_eq!(kept(&[honest, newest]), [true, true]);
        assert!(kept(&others).iter().all(|kept| *kept));
    }

    #[test]
    fn among_sources_with_equally_many_slots_the_oldest_connection_loses_its_own() {
        let slots = Slots::default();
        let strangers: Vec<_> = (1..PENDING_HANDSHAKES_MAX)
            .map(|index| enter(&slots, stranger(index)))
            .collect();
        let honest = enter(&slots, stranger(0));
        let _newcomers: Vec<_> = (100..100 + strangers.len())
            .map(|index| enter(&slots, stranger(index)))
            .collect();
        assert_eq!(kept(&[honest]), [true]);
        assert!(kept(&strangers).iter().all(|kept| !*kept));
    }

    #[test]
    fn a_peer_that_has_proved_its_identity_keeps_its_slot() {
        let slots = Slots::default();
        let taken = fill(&slots, stranger(1), PENDING_HANDSHAKES_PER_SOURCE_MAX);
        for slot in &taken {
            slot.proved();
        }
        assert!(slots.enter(stranger(1), &CancellationToken::new()).is_none());
        assert!(kept(&taken).iter().all(|kept| *kept));
        let _other = enter(&slots, stranger(2));
    }

    #[test]
    fn a_slot_that_is_given_back_is_free() {
        let slots = Slots::default();
        let mut taken = fill(&slots, stranger(1), PENDING_HANDSHAKES_PER_SOURCE_MAX);
        drop(taken.pop());
        let _newest = enter(&slots, stranger(1));
        assert!(kept(&taken).iter().all(|kept| *kept));
    }
}
