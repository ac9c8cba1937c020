//! A count of wrong passwords that decreases with time.

/// A count, and the time at which it was last increased.
///
/// It decreases evenly: with an allowance of ten per hour, by one every six minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    level: f32,
    /// Seconds since 1970.
    at: u64,
}

/// How many wrong passwords are allowed, and the seconds in which a count decreases by that number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    pub most: u32,
    pub window: u64,
}

impl Allowance {
    fn decrease(&self, seconds: u64) -> f32 {
        seconds as f32 * self.most as f32 / self.window.max(1) as f32
    }

    /// Returns the seconds until `count` is below `level`.
    pub fn seconds_until_below(&self, level: f32, count: &Count, now: u64) -> u64 {
        let above = (count.level(self, now) - level).max(0.0);
        (above * self.window.max(1) as f32 / self.most.max(1) as f32).ceil() as u64
    }
}

impl Count {
    /// Returns a count that was read from a file; `None` if it is invalid. A time in the future is replaced by `now`,
    /// because the clock was set back.
    pub fn restore(level: f32, at: u64, now: u64) -> Option<Self> {
        (level.is_finite() && level >= 0.0).then_some(Count { level, at: at.min(now) })
    }

    /// Returns the count at the time `now`.
    pub fn level(&self, allowance: &Allowance, now: u64) -> f32 {
        (self.level - allowance.decrease(now.saturating_sub(self.at))).max(0.0)
    }

    /// Increases the count by one, and returns the result.
    pub fn add(&mut self, allowance: &Allowance, now: u64) -> f32 {
        *self = Count { level: self.level(allowance, now) + 1.0, at: now.max(self.at) };
        self.level
    }

    /// Returns the count after it was last increased, and the time of that.
    pub fn parts(&self) -> (f32, u64) {
        (self.level, self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_AN_HOUR: Allowance = Allowance { most: 10, window: 3600 };

    #[test]
    fn a_count_decreases_evenly_down_to_zero() {
        let mut count = Count::default();
        (0..20).for_each(|_| _ = count.add(&TEN_AN_HOUR, 1000));
        assert_eq!(count.level(&TEN_AN_HOUR, 1000), 20.0);
        assert_eq!(count.level(&TEN_AN_HOUR, 1360), 19.0);
        assert_eq!(TEN_AN_HOUR.seconds_until_below(10.0, &count, 1360), 9 * 360);
        assert_eq!(count.level(&TEN_AN_HOUR, 1_000_000), 0.0);
        assert_eq!(count.add(&TEN_AN_HOUR, 1_000_000), 1.0);
        assert_eq!(count.level(&TEN_AN_HOUR, 5), 1.0, "a clock that is set back does not decrease it");
    }

    #[test]
    fn counts_from_a_file_are_valid_and_not_from_the_future() {
        assert_eq!(Count::restore(3.0, 99, 50), Some(Count { level: 3.0, at: 50 }));
        for level in [f32::NAN, f32::INFINITY, -1.0] {
            assert_eq!(Count::restore(level, 1, 50), None);
        }
    }
}
