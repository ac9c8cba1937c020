//! Lines sorted by how full their mailboxes are. Only the sort keys are held in memory.

use crate::failure::Failure;
use crate::spool::private_file;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

/// Lines in a file without a name.
pub struct Sorted {
    file: BufWriter<File>,
    length: u64,
    keys: Vec<Key>,
}

/// Sort key of a line: percentage, bytes, and position in the file. It is small because there may be a million of them. The
/// percentage and the bytes are inverted, so that the fullest comes first; equal lines stay in the order in which they were
/// added.
type Key = [u32; 5];

fn key(percent: Option<u64>, bytes: u64, place: u64) -> Key {
    let full = percent.map_or(0, |percent| u32::try_from(percent).unwrap_or(u32::MAX).saturating_add(1));
    let ([high, low], [begin, end]) = (halves(!bytes), halves(place));
    [!full, high, low, begin, end]
}

fn halves(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}

impl Sorted {
    pub fn new() -> io::Result<Self> {
        Ok(Sorted { file: BufWriter::new(private_file()?), length: 0, keys: Vec::new() })
    }

    pub fn add(&mut self, percent: Option<u64>, bytes: u64, line: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_vec(line).map_err(spoilt)?;
        let size = u32::try_from(text.len()).map_err(spoilt)?;
        self.keys.push(key(percent, bytes, self.length));
        self.file.write_all(&size.to_ne_bytes())?;
        self.file.write_all(&text)?;
        self.length += 4 + u64::from(size);
        Ok(())
    }

    /// Passes the first lines to `each`, the fullest first.
    pub fn each<T: DeserializeOwned>(
        mut self,
        most: usize,
        mut each: impl FnMut(T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.keys.sort_unstable();
        self.file.flush()?;
        let file = self.file.get_ref();
        let mut text = Vec::new();
        for [.., begin, end] in self.keys.iter().take(most) {
            let place = u64::from(*begin) << 32 | u64::from(*end);
            let mut size = [0; 4];
            file.read_exact_at(&mut size, place)?;
            text.resize(u32::from_ne_bytes(size) as usize, 0);
            file.read_exact_at(&mut text, place + 4)?;
            each(serde_json::from_slice(&text).map_err(spoilt)?)?;
        }
        Ok(())
    }
}

fn spoilt(error: impl std::fmt::Display) -> Failure {
    Failure::not_now(format!("a line of the report cannot be kept in a temporary file: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_come_first_and_equal_ones_in_their_order() {
        let mut sorted = Sorted::new().unwrap();
        for (percent, bytes) in [(None, 5), (Some(0), 7), (Some(100), 1), (None, 5), (Some(7), 1 << 40), (Some(7), 9)] {
            sorted.add(percent, bytes, &(percent, bytes, sorted.keys.len())).unwrap();
        }
        sorted.add(Some(u64::MAX), 0, &(Some(u64::MAX), 0, 6)).unwrap();
        let mut order = Vec::new();
        sorted
            .each(6, |(_, _, number): (Option<u64>, u64, usize)| {
                order.push(number);
                Ok(())
            })
            .unwrap();
        assert_eq!(order, [6, 2, 4, 5, 1, 0]);
    }
}
