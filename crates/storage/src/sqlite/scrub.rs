//! Overwriting what SQLite leaves behind in its file.
//!
//! With `secure_delete` SQLite overwrites what it frees: cells, overflow pages, free pages. It does
//! not overwrite the copies that it makes when it packs a page anew (`rebuildPage`): they stay in
//! the gap between a page's cell pointers and its cells, which belongs to nothing, and no later
//! removal of the row reaches them. So the gap of every page that is folded back is overwritten in
//! the file. See `docs/adr/0003-gone-from-the-file.md` for why nothing else is needed, and why
//! nobody else writes to these pages meanwhile.

use std::{collections::BTreeSet, fs::File, io, ops::Range, os::unix::fs::FileExt};

/// Bytes before the first frame of the write-ahead log.
const LOG_HEADER: usize = 32;
/// Bytes before the page in each frame.
const FRAME_HEADER: usize = 24;
/// Bytes before the tree's own header on the first page.
const FILE_HEADER: usize = 100;

/// A time of life of the write-ahead log, which begins anew whenever its frames have been folded.
pub(super) type Salt = [u8; 8];

/// What the log is in, or `None` while it is empty.
pub(super) fn salt_of(log: &File) -> io::Result<Option<Salt>> {
    let mut header = [0; LOG_HEADER];
    match log.read_exact_at(&mut header, 0) {
        Ok(()) => Ok(header[16..24].try_into().ok()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The pages that stand in these frames, which are counted from 1.
pub(super) fn pages_in(
    log: &File,
    salt: Salt,
    frames: Range<u32>,
    page_size: u32,
) -> io::Result<BTreeSet<u32>> {
    let mut pages = BTreeSet::new();
    for frame in frames {
        let place = u64::from(frame - 1) * (FRAME_HEADER as u64 + u64::from(page_size));
        let mut header = [0; FRAME_HEADER];
        log.read_exact_at(&mut header, LOG_HEADER as u64 + place)?;
        if header[8..16] != salt {
            return Err(io::Error::other("the write-ahead log was begun anew meanwhile"));
        }
        pages.insert(u32::from_be_bytes([header[0], header[1], header[2], header[3]]));
    }
    Ok(pages)
}

/// Overwrites the gaps of these pages in the file, and has that on disk before it returns.
pub(super) fn scrub(
    file: &File,
    pages: impl IntoIterator<Item = u32>,
    page_size: u32,
) -> io::Result<()> {
    let mut page = vec![0; page_size as usize];
    let mut changed = false;
    for number in pages {
        let place = u64::from(number.saturating_sub(1)) * u64::from(page_size);
        match file.read_exact_at(&mut page, place) {
            Ok(()) => {}
            // Freed at the end of the file, and cut off.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            Err(error) => return Err(error),
        }
        let Some(gap) = gap(&page, number) else { continue };
        if page[gap.clone()].iter().all(|byte| *byte == 0) {
            continue;
        }
        page[gap.clone()].fill(0);
        file.write_all_at(&page[gap.clone()], place + gap.start as u64)?;
        changed = true;
    }
    if changed { file.sync_data() } else { Ok(()) }
}

/// The part of a page that belongs to nothing. `None`: it is no page of a tree.
///
/// Pages of other kinds begin with the number of the page that follows, whose first byte is none of
/// the kinds below in files of less than 2^25 pages (128 GiB); past that, what looks like a tree's
/// page must be one in every pointer, too.
pub(super) fn gap(page: &[u8], number: u32) -> Option<Range<usize>> {
    let header = if number == 1 { FILE_HEADER } else { 0 };
    let pointers = header
        + match page.get(header)? {
            0x02 | 0x05 => 12,
            0x0a | 0x0d => 8,
            _ => return None,
        };
    let short =
        |at: usize| Some(usize::from(u16::from_be_bytes([*page.get(at)?, *page.get(at + 1)?])));
    let cells = short(header + 3)?;
    let content = match short(header + 5)? {
        0 => 65_536,
        content => content,
    };
    let start = pointers + 2 * cells;
    let sound = start <= content
        && content <= page.len()
        && (0..cells).all(|cell| {
            short(pointers + 2 * cell).is_some_and(|at| at >= content && at < page.len())
        });
    sound.then_some(start..content)
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
