//! Wipes what work with a password leaves on the stack.
//!
//! Digests keep the end of their input in a buffer, and are moved: each place where one has been keeps a copy until
//! something else is written there. Memory on the heap is wiped by its owner.

use std::hint::black_box;

/// Maximum number of bytes of stack that a digest and its callers use. Without optimization it is several times as
/// much.
const SHALLOW: usize = if cfg!(debug_assertions) { 32 << 10 } else { 8 << 10 };

/// The same for schemes that take milliseconds.
const DEEP: usize = 96 << 10;

/// Runs `work`, which is quick and uses little stack, and wipes the stack that it used.
pub(crate) fn wiped<T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    wipe::<SHALLOW>();
    result
}

/// Runs `work`, which takes milliseconds and much stack, and wipes the stack that it used.
pub(crate) fn deeply_wiped<T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    wipe::<DEEP>();
    result
}

/// Runs `work` in a frame of its own, which begins where the frame of [`wipe`] does.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn wipe<const BYTES: usize>() {
    let mut area = [0_u8; BYTES];
    // The compiler has to assume that the area is used, so it is written.
    black_box(&mut area);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: [u8; 16] = *b"\x01left-on-stack\x02\x03";

    /// Fills a large part of the stack below its caller, and returns its address.
    #[inline(never)]
    fn scribble() -> (usize, usize) {
        let mut area = [MARK; 128];
        let place = black_box(&mut area);
        (place.as_ptr() as usize, size_of_val(place))
    }

    /// Returns the number of copies of the mark below the caller's frame.
    #[inline(never)]
    fn copies((start, length): (usize, usize)) -> usize {
        // SAFETY: this is in the stack of this thread, below the frames in use, where the caller was a moment ago; any bytes
        // are valid ones. They are read one by one as volatile, so that nothing is assumed of them.
        let read = |at: usize| unsafe { std::ptr::read_volatile(at as *const u8) };
        (start..start + length - MARK.len())
            .filter(|at| MARK.iter().enumerate().all(|(offset, byte)| read(at + offset) == *byte))
            .count()
    }

    #[test]
    #[cfg_attr(miri, ignore = "it reads memory that is no longer in use")]
    fn what_was_on_the_stack_is_wiped() {
        let left = scribble();
        assert!(copies(left) > 0, "without wiping, copies remain");
        let wiped_shallowly = wiped(scribble);
        assert_eq!(copies(wiped_shallowly), 0);
        let wiped_deeply = deeply_wiped(scribble);
        assert_eq!(copies(wiped_deeply), 0);
    }
}
