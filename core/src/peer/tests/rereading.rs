//! Files that change while the other side asks for them.

use super::super::Event;
use super::content;
use super::unshared::Two;
use crate::limits::STALE_CONTENTS_MAX;
use crate::transfer::Holder;

#[tokio::test]
async fn a_file_that_has_changed_is_read_once_however_many_lanes_ask_for_it() {
    const LANES: usize = 8;
    let two = Two::new().await;
    two.share("large", &vec![7; 16 << 20]).await;
    let stale = two.alice.share.files().sources_of(&content(&vec![7; 16 << 20]));
    std::fs::File::options()
        .write(true)
        .open(two.at("large"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    let mut events = two.alice.events();
    let start = std::sync::Barrier::new(LANES);
    std::thread::scope(|scope| {
        let ask = || {
            start.wait();
            two.alice.share.refresh(&stale[0]).unwrap()
        };
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(ask)).collect();
        assert!(lanes.into_iter().all(|lane| lane.join().unwrap().open().is_ok()));
    });
    two.close().await;
    let mut read_count = 0;
    while let Some(event) = events.next().await {
        read_count += usize::from(matches!(event, Event::SourceRefreshed { .. }));
    }
    assert_eq!(read_count, 1);
}

/// Nothing else runs between the reports, so none of the files is read yet.
#[tokio::test]
async fn files_wait_to_be_read_again_up_to_the_limit_and_one_more_is_dropped() {
    let two = Two::new().await;
    two.share("notes.txt", b"text").await;
    let waiting = |count| {
        (0..count).for_each(|_| two.alice.share.recheck(&content(b"text")));
        two.alice.share.waiting_rechecks()
    };
    assert_eq!(waiting(STALE_CONTENTS_MAX), STALE_CONTENTS_MAX);
    assert_eq!(waiting(1), STALE_CONTENTS_MAX);
    two.close().await;
}
