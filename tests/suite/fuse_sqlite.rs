//! SQLite on a mount: its locks, its journal and its shared memory work, and the database is whole
//! on the other side.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tandem_tests::universe::Universe;

/// Transactions of the writer.
const ROUNDS: i64 = 60;
/// Rows of one transaction; readers see all of them or none.
const ROWS: i64 = 10;
/// How long SQLite tries again when another connection has the lock.
const BUSY_LIMIT: Duration = Duration::from_secs(10);

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_LIMIT)?;
    // SQLite reads through a mapping of the file, after its first reads by calls.
    connection.pragma_update(None, "mmap_size", 1 << 22)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Writes in transactions.
fn write(path: &Path) -> rusqlite::Result<()> {
    let mut connection = open(path)?;
    for round in 0..ROUNDS {
        let transaction = connection.transaction()?;
        for row in 0..ROWS {
            let text = format!("row {row} of {round}").repeat(20);
            transaction.execute("INSERT INTO rows (round, text) VALUES (?1, ?2)", (round, text))?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// Reads until the writer is done; every query must see whole transactions, and never fewer than
/// before.
fn read(path: &Path, is_done: &AtomicBool) -> rusqlite::Result<i64> {
    let connection = open(path)?;
    let mut seen = 0;
    loop {
        let was_done = is_done.load(Ordering::Acquire);
        let count: i64 = connection.query_row("SELECT count(*) FROM rows", [], |row| row.get(0))?;
        assert!(count % ROWS == 0, "{count} rows are not whole transactions");
        assert!(count >= seen, "{count} rows after {seen}");
        seen = count;
        if was_done {
            return Ok(seen);
        }
    }
}

/// Runs one writer and three readers at once, then moves everything into the database file.
fn work(path: &Path, journal: &str) -> rusqlite::Result<()> {
    let connection = open(path)?;
    connection.pragma_update(None, "journal_mode", journal)?;
    connection.execute_batch(
        "CREATE TABLE rows (round INTEGER, text TEXT); CREATE INDEX by_round ON rows (round);",
    )?;
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers = [(); 3].map(|()| scope.spawn(|| read(path, &is_done)));
        let written = write(path);
        is_done.store(true, Ordering::Release);
        for reader in readers {
            assert_eq!(reader.join().unwrap()?, ROUNDS * ROWS);
        }
        written
    })?;
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(())
}

/// The result of SQLite's integrity check, and the number of rows.
fn inspect(path: &Path) -> rusqlite::Result<(String, i64)> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let verdict = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    let count = connection.query_row("SELECT count(*) FROM rows", [], |row| row.get(0))?;
    Ok((verdict, count))
}

async fn a_database_works_and_arrives(journal: &'static str) {
    let universe = Universe::new().await;
    let (alices, bobs) = (universe.alice.mount().await, universe.bob.mount().await);
    let database = |path: &Path| -> PathBuf { path.join("rows.db") };
    let worked = alices.within(move |path| work(&database(path), journal));
    worked.await.unwrap();
    alices.write("the mark", b"").await;
    bobs.shows("the mark").await;
    let inspected = bobs.within(move |path| inspect(&database(path)));
    assert_eq!(inspected.await.unwrap(), ("ok".to_owned(), ROUNDS * ROWS));
    bobs.lists("", &["rows.db", "the mark"]).await;
    universe.close().await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_database_with_a_rollback_journal_takes_a_writer_and_readers_and_arrives_whole() {
    a_database_works_and_arrives("DELETE").await;
}

#[tokio::test]
#[ignore = "needs fuse"]
async fn a_database_with_a_write_ahead_log_takes_a_writer_and_readers_and_arrives_whole() {
    a_database_works_and_arrives("WAL").await;
}
