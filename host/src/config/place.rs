//! Where in the text each key and value stands.

use std::hash::{DefaultHasher, Hasher};

/// A line and a column, both from 1; 0 where they are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Where an entry stands: its key (for an item of a list: the item itself), and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) key: Position,
    pub(crate) value: Position,
}

/// A path as a number, so that a place costs the same however deep it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PathId(u64);

impl PathId {
    /// The document itself.
    pub(crate) const ROOT: PathId = PathId(0);

    /// An entry of it. An item of a list is named by its index.
    pub(crate) fn child(self, segment: &str) -> PathId {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher.write(segment.as_bytes());
        PathId(hasher.finish())
    }

    /// The id of a whole path.
    pub(crate) fn of(path: &[&str]) -> PathId {
        path.iter().fold(PathId::ROOT, |parent, segment| parent.child(segment))
    }
}

/// All places of a document: 24 bytes an entry, found by halving. A clash of two 64-bit ids would only misplace an error.
#[derive(Debug, Default)]
pub(crate) struct Places {
    entries: Vec<(PathId, Place)>,
    /// Values that came from the environment or a file.
    filled: Vec<PathId>,
}

impl Places {
    pub(crate) fn note(&mut self, id: PathId, place: Place) {
        self.entries.push((id, place));
    }

    pub(crate) fn note_filled(&mut self, id: PathId) {
        self.filled.push(id);
    }

    /// To be called once, when all are noted.
    pub(crate) fn sorted(mut self) -> Self {
        self.entries.sort_unstable_by_key(|(id, _)| *id);
        self.entries.shrink_to_fit();
        self.filled.sort_unstable();
        self.filled.shrink_to_fit();
        self
    }

    pub(crate) fn get(&self, id: PathId) -> Option<Place> {
        let index = self.entries.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.entries.get(index).map(|(_, place)| *place)
    }

    pub(crate) fn is_filled(&self, id: PathId) -> bool {
        self.filled.binary_search(&id).is_ok()
    }
}

/// Turns byte offsets into positions. Asked in order it reads the text once, whatever the length of the lines.
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    last: (usize, Position),
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, starts, last: (0, Position { line: 1, column: 1 }) }
    }

    /// The position of a byte; of the character that it is part of.
    pub(crate) fn at(&mut self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let (seen, before) = self.last;
        let same_line = usize::try_from(before.line).is_ok_and(|last| last == line) && seen <= offset;
        let (from, column) = if same_line { (seen, before.column) } else { (start, 1) };
        let passed = self.text.get(from..offset).map_or(0, |text| text.chars().count());
        let position = Position { line: narrow(line), column: column.saturating_add(narrow(passed)) };
        self.last = (offset, position);
        position
    }
}

/// Lines and columns beyond four thousand million are all the same to a reader.
pub(crate) fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_position_counts_lines_and_characters(text in "[a-c中é\n]{0,60}", offsets in prop::collection::vec(0usize..90, 1..8)) {
            let mut lines = Lines::new(&text);
            for offset in offsets {
                let offset = text.floor_char_boundary(offset);
                let before = &text[..offset];
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                prop_assert_eq!(lines.at(offset), Position { line: narrow(before.matches('\n').count() + 1), column: narrow(column) });
            }
        }
    }

    #[test]
    fn a_place_is_small() {
        assert_eq!(std::mem::size_of::<(PathId, Place)>(), 24);
    }
}
