//! What goes wrong while the log is folded back, and what others do meanwhile.

use std::path::Path;

use super::*;

const CANARY: &[u8] = b"zqcanary";
const PAGE: usize = 4_096;

struct House {
    folder: tempfile::TempDir,
    writer: Connection,
    folds: Folder,
}

impl House {
    /// A file of some dozens of pages, and no log.
    fn build() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("e.db");
        let writer = connection::writing(&path).expect("opens");
        connection::mark_scrubbed(&writer, true).expect("marked");
        writer.execute_batch("CREATE TABLE t (x TEXT)").expect("made");
        let folds = Folder::open(&path, super::super::log::file(&path).expect("opens"));
        let mut house = Self { folder, writer, folds: folds.expect("opens") };
        for _ in 0..200 {
            house.write();
        }
        assert!(house.folds.empty(Duration::ZERO).expect("emptied"));
        house
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("e.db")
    }

    fn write(&self) {
        write(&self.writer);
    }

    /// Puts something into the gaps of all pages of trees, as if they had been folded back unseen.
    fn soil(&self) -> usize {
        soil(&self.path())
    }

    /// In how many pages it is still.
    fn soiled(&self) -> usize {
        let bytes = std::fs::read(self.path()).expect("read");
        let soiled = |page: &&[u8]| page.windows(CANARY.len()).any(|part| part == CANARY);
        bytes.chunks(PAGE).filter(soiled).count()
    }
}

fn write(connection: &Connection) {
    let sql = "INSERT INTO t VALUES (hex(zeroblob(600)))";
    connection.execute(sql, []).expect("written");
}

fn soil(path: &Path) -> usize {
    use std::os::unix::fs::FileExt;
    let bytes = std::fs::read(path).expect("read");
    // Not through a second handle that is closed: that would let go of SQLite's locks.
    let file = std::mem::ManuallyDrop::new(super::super::log::file(path).expect("opens"));
    let mut soiled = 0;
    for (n, page) in (0_u32..).zip(bytes.chunks(PAGE)) {
        let Some(gap) = scrub::gap(page, n + 1).filter(|gap| gap.len() > CANARY.len()) else {
            continue;
        };
        let place = u64::from(n) * PAGE as u64 + gap.start as u64;
        file.write_all_at(CANARY, place).expect("written");
        soiled += 1;
    }
    soiled
}

#[test]
fn a_file_that_must_be_looked_through_is_a_few_pages_at_a_time_and_not_to_empty_the_log() {
    let mut house = House::build();
    house.folds.unseen = Some(FIRST_PAGE);
    let soiled = house.soil();
    assert!(soiled > 20, "{soiled}");
    assert!(house.folds.empty(Duration::ZERO).expect("emptied"));
    house.folds.fold().expect("folded");
    assert_eq!((house.soiled(), house.folds.is_unseen()), (soiled, true), "that is the thread's");
    assert!(house.folds.look_on(7).expect("looked"));
    assert!(house.soiled() >= soiled - 7 && house.soiled() < soiled);
    assert!(!connection::is_scrubbed(&house.writer).expect("read"), "it is noted for the next");
    // Meanwhile commits go on, and are scrubbed with their fold.
    house.write();
    while house.folds.look_on(7).expect("looked") {
        house.folds.fold().expect("folded");
    }
    assert_eq!(house.soiled(), 0);
    assert!(connection::is_scrubbed(&house.writer).expect("read"));
}

#[test]
fn a_file_that_cannot_be_written_is_looked_at_again_in_the_same_place() {
    let mut house = House::build();
    house.folds.unseen = Some(FIRST_PAGE);
    assert!(house.folds.look_on(9).expect("clean so far"));
    house.soil();
    let read_only = std::fs::File::open(house.path()).expect("opens");
    let good = std::mem::replace(&mut house.folds.pages.file, Arc::new(read_only));
    let place = house.folds.unseen;
    assert!(house.folds.look_on(9).is_err());
    assert_eq!((place, house.folds.unseen), (Some(10), Some(10)));
    // Closing it lets go of locks that nobody needs here.
    house.folds.pages.file = good;
    while house.folds.look_on(9).expect("looked") {}
}

#[test]
fn a_hold_that_was_not_let_go_hinders_no_later_fold() {
    let mut house = House::build();
    house.folds.holds.execute_batch("BEGIN; SELECT 1 FROM t").expect("as a fault leaves it");
    house.write();
    let folded = house.folds.fold().expect("folded").expect("alone");
    assert!(folded.all > 0 && folded.all == folded.back, "and it holds nothing old");
    let held = Held::begin(&house.folds.holds).expect("begun");
    drop(held);
    assert!(house.folds.holds.is_autocommit());
}

#[test]
fn what_another_program_writes_while_the_log_is_emptied_is_looked_for_in_the_whole_file() {
    let mut house = House::build();
    for (other_writes, unseen) in [(false, false), (true, true)] {
        house.write();
        let version = house.folds.version().expect("read");
        let log = house.folds.alone().expect("opens").expect("alone");
        house.folds.fold_alone(&log).expect("folded");
        if other_writes {
            write(&connection::writing(&house.path()).expect("opens"));
        }
        assert!(house.folds.cut_off(version).expect("emptied"));
        assert_eq!(house.folds.is_unseen(), unseen);
    }
}

#[test]
fn a_log_that_is_begun_anew_by_a_commit_during_a_fold_has_nothing_looked_through() {
    let mut house = House::build();
    house.write();
    let folded = house.folds.fold().expect("folded").expect("alone");
    assert!(folded.all == folded.back);
    let log = house.folds.alone().expect("opens").expect("alone");
    let before = scrub::salt_of(&log).expect("read");
    house.write();
    assert_ne!(scrub::salt_of(&log).expect("read"), before, "it was begun anew");
    house.folds.pages.scrub(&log, before, folded.back).expect("nothing was folded");
    drop(log);
    // The next fold scrubs what the new life brings.
    house.folds.fold().expect("folded");
    assert!(!house.folds.is_unseen());
    let log = house.folds.alone().expect("opens").expect("alone");
    let stranger = Some([7; 8]);
    let lost = house.folds.pages.scrub(&log, stranger, folded.back);
    assert!(lost.is_err(), "a life that was never looked at");
}

#[test]
fn what_a_process_that_died_in_mid_fold_has_folded_is_scrubbed_before_the_log_begins_anew() {
    let house = House::build();
    house.write();
    // It dies when the page is in the file and not scrubbed yet.
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["e.db", "e.db-wal"] {
        std::fs::copy(house.folder.path().join(name), copy.path().join(name)).expect("copied");
    }
    let path = copy.path().join("e.db");
    let dying = connection::writing(&path).expect("opens");
    dying.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE).expect("folded");
    soil(&path);
    // The page that the log names is among them.
    let named = || {
        let bytes = std::fs::read(&path).expect("read");
        let last = &bytes[bytes.len() - PAGE..];
        last.windows(CANARY.len()).any(|part| part == CANARY)
    };
    let is_named = named();
    super::super::log::take_over(&path, &super::super::log::file(&path).expect("opens"))
        .expect("taken over");
    assert!(is_named && !named());
}

#[test]
fn sqlite_folds_nothing_by_itself() {
    let house = House::build();
    let every: u32 = house
        .writer
        .pragma_query_value(None, "wal_autocheckpoint", |row| row.get(0))
        .expect("read");
    assert_eq!(every, 0);
}

#[test]
fn a_file_that_is_migrated_is_looked_through_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.db");
    let mut writer = connection::writing(&path).expect("opens");
    connection::migrate_to(&mut writer, 11);
    connection::mark_scrubbed(&writer, true).expect("marked");
    connection::migrate(&mut writer).expect("migrated");
    assert!(!connection::is_scrubbed(&writer).expect("read"));
    connection::mark_scrubbed(&writer, true).expect("marked");
    connection::migrate(&mut writer).expect("there is nothing to do");
    assert!(connection::is_scrubbed(&writer).expect("read"));
}
