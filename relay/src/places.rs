//! The places for connections: which connection gets one, and which loses its place to a new one.
//!
//! A connection is served, refused (answered 503), or closed at once. No connection waits for
//! another. When all places are taken, a new connection may take the place of the oldest connection
//! of the source that has the most places. It may do so if its own source has no place, or would
//! still have fewer places than that source. So a few sources can't keep others out, however long
//! they hold their connections. Knows no clock and no socket.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::api::Source;
use crate::limits::Limits;
use crate::source::Sources;

/// All places of one relay.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    table: Arc<Mutex<Table>>,
    served_count_max: usize,
    refused_count_max: usize,
    /// Places of one source, served and refused together.
    share_max: usize,
}

/// What is done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Its requests are answered.
    Served,
    /// Its requests are answered 503: the relay is busy.
    Refused,
}

/// The place of one connection; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    source: Source,
    id: u64,
    lost: CancellationToken,
    pub(crate) treatment: Treatment,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    /// By id, so the oldest comes first. A source without a place has no entry.
    taken: HashMap<Source, BTreeMap<u64, Taken>>,
    served_count: usize,
    refused_count: usize,
}

#[derive(Debug)]
struct Taken {
    treatment: Treatment,
    lost: CancellationToken,
}

impl Places {
    /// Places up to `limits`. Behind a proxy no share is enforced: the proxy is not the source.
    pub(crate) fn new(limits: &Limits, sources: Sources) -> Self {
        Self {
            table: Arc::default(),
            served_count_max: limits.connection_count_max,
            refused_count_max: limits.refusal_count_max,
            share_max: match sources {
                Sources::Connections => limits.source_connection_count_max,
                Sources::ForwardedFor => usize::MAX,
            },
        }
    }

    /// A place for a connection from `source`. `None` if its source has used up its share, or if
    /// every place is taken and `refusal_count_max` is 0.
    pub(crate) fn enter(&self, source: Source) -> Option<Place> {
        let mut table = self.lock();
        if table.taken.get(&source).map_or(0, BTreeMap::len) >= self.share_max {
            return None;
        }
        let treatment = self.treatment(&mut table, source)?;
        let (id, lost) = (table.next_id, CancellationToken::new());
        table.next_id += 1;
        *table.count_of(treatment) += 1;
        let taken = Taken {
            treatment,
            lost: lost.clone(),
        };
        table.taken.entry(source).or_default().insert(id, taken);
        let places = self.clone();
        Some(Place {
            places,
            source,
            id,
            lost,
            treatment,
        })
    }

    fn treatment(&self, table: &mut Table, source: Source) -> Option<Treatment> {
        if table.served_count < self.served_count_max || table.make_room(source) {
            return Some(Treatment::Served);
        }
        let has_room = table.refused_count < self.refused_count_max || table.end_oldest_refused();
        has_room.then_some(Treatment::Refused)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Cancelled when the place is lost to a newcomer.
    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.places.lock().remove(self.source, self.id));
    }
}

impl Table {
    fn count_of(&mut self, treatment: Treatment) -> &mut usize {
        match treatment {
            Treatment::Served => &mut self.served_count,
            Treatment::Refused => &mut self.refused_count,
        }
    }

    /// Closes a served connection of the source with the most, if that is fair to this source.
    fn make_room(&mut self, newcomer: Source) -> bool {
        let served = self
            .taken
            .iter()
            .map(|(source, taken)| (served_count(taken), *source));
        let Some((most, heaviest)) = served.max_by_key(|(count, _)| *count) else {
            return false;
        };
        let own = self.taken.get(&newcomer).map_or(0, served_count);
        let is_fair = most > 0 && heaviest != newcomer && (own == 0 || own + 1 < most);
        is_fair && self.end_oldest(heaviest, Treatment::Served)
    }

    fn end_oldest_refused(&mut self) -> bool {
        let refused = self
            .taken
            .iter()
            .filter_map(|(source, taken)| Some((oldest(taken, Treatment::Refused)?, *source)));
        match refused.min_by_key(|(id, _)| *id) {
            Some((_, source)) => self.end_oldest(source, Treatment::Refused),
            None => false,
        }
    }

    fn end_oldest(&mut self, source: Source, treatment: Treatment) -> bool {
        let of_source = self.taken.get(&source);
        let id = of_source.and_then(|taken| oldest(taken, treatment));
        let ended = id.and_then(|id| self.remove(source, id));
        if let Some(ended) = &ended {
            tracing::debug!(?treatment, "a connection lost its place to another");
            ended.lost.cancel();
        }
        ended.is_some()
    }

    fn remove(&mut self, source: Source, id: u64) -> Option<Taken> {
        let of_source = self.taken.get_mut(&source)?;
        let removed = of_source.remove(&id)?;
        if of_source.is_empty() {
            self.taken.remove(&source);
        }
        *self.count_of(removed.treatment) -= 1;
        Some(removed)
    }
}

fn served_count(taken: &BTreeMap<u64, Taken>) -> usize {
    let served = taken
        .values()
        .filter(|taken| taken.treatment == Treatment::Served);
    served.count()
}

fn oldest(taken: &BTreeMap<u64, Taken>, treatment: Treatment) -> Option<u64> {
    let mut of_treatment = taken.iter().filter(|(_, taken)| taken.treatment == treatment);
    of_treatment.next().map(|(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn source(index: u8) -> Source {
        Source::of(IpAddr::from([198, 51, 100, index]))
    }

    fn places(connection_count_max: usize, refusal_count_max: usize) -> Places {
        let limits = Limits {
            connection_count_max,
            refusal_count_max,
            source_connection_count_max: 3,
            ..Limits::default()
        };
        Places::new(&limits, Sources::Connections)
    }

    fn enter(places: &Places, index: u8) -> Place {
        places.enter(source(index)).unwrap()
    }

    fn kept(taken: &[Place]) -> Vec<bool> {
        taken.iter().map(|place| !place.lost().is_cancelled()).collect()
    }

    #[test]
    fn a_connection_past_its_sources_share_gets_no_place_until_one_has_ended() {
        let places = places(9, 9);
        let mut taken: Vec<Place> = (0..3).map(|_| enter(&places, 1)).collect();
        assert!(places.enter(source(1)).is_none());
        drop(taken.pop());
        assert_eq!(enter(&places, 1).treatment, Treatment::Served);
        assert_eq!(kept(&taken), [true, true]);
    }

    #[test]
    fn a_source_without_a_place_gets_the_oldest_of_the_source_with_the_most() {
        let places = places(5, 1);
        let taken = [1, 2, 2, 2, 1].map(|index| enter(&places, index));
        assert_eq!(enter(&places, 3).treatment, Treatment::Served);
        assert_eq!(kept(&taken), [true, false, true, true, true]);
    }

    #[test]
    fn a_source_takes_no_place_of_a_source_that_would_then_have_fewer() {
        let places = places(4, 1);
        let taken = [1, 1, 2, 2].map(|index| enter(&places, index));
        let newcomer = enter(&places, 3);
        assert_eq!(newcomer.treatment, Treatment::Served);
        for index in [1, 2, 3] {
            assert_eq!(enter(&places, index).treatment, Treatment::Refused, "{index}");
        }
        assert_eq!(kept(&taken).iter().filter(|kept| **kept).count(), 3);
        assert_eq!(kept(&[newcomer]), [true]);
    }

    #[test]
    fn one_more_refused_connection_closes_the_oldest_refused_one() {
        let places = places(1, 2);
        let taken: Vec<Place> = (0..3).map(|_| enter(&places, 1)).collect();
        assert_eq!(taken[0].treatment, Treatment::Served);
        let other = enter(&places, 2);
        assert_eq!(other.treatment, Treatment::Served);
        let refused = enter(&places, 2);
        assert_eq!(refused.treatment, Treatment::Refused);
        assert_eq!(kept(&taken), [false, false, true]);
        assert_eq!(kept(&[other, refused]), [true, true]);
    }

    #[test]
    fn a_lost_place_is_given_back_once() {
        let places = places(1, 0);
        let first = enter(&places, 1);
        let second = enter(&places, 2);
        assert_eq!(kept(&[first]), [false]);
        assert!(places.enter(source(2)).is_none());
        drop(second);
        assert!(places.lock().taken.is_empty() && places.lock().served_count == 0);
    }
}
