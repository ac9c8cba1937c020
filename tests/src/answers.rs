//! The answers to a load, and how long they took.

use std::time::{Duration, Instant};

/// Kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A login or a lookup of an account that does not change.
    Read,
    /// A login with an account whose password has just been changed, or may have been. A server that may not have the
    /// change yet cannot answer it.
    ReadChanged,
    /// A change of a password.
    Change,
}

/// Kind of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right.
    Right,
    /// "Not now".
    NotNow,
    /// Wrong, and why.
    Wrong(String),
}

/// An answer to a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Kind of the request.
    pub asked: Asked,
    /// Kind of the answer.
    pub verdict: Verdict,
    /// Time of the request.
    pub from: Instant,
    /// Time of the answer.
    pub to: Instant,
}

/// All answers, in the order in which they arrived.
pub struct Answers {
    list: Vec<Answer>,
    pauses: Vec<(Instant, Instant)>,
}

/// Time during which everything has to be answered before the servers count as recovered.
pub(crate) const STRETCH: Duration = Duration::from_millis(500);

impl Answers {
    /// Returns these answers, which were given on a machine that paused at these times.
    pub(crate) fn new(mut list: Vec<Answer>, pauses: Vec<(Instant, Instant)>) -> Self {
        list.sort_by_key(|answer| answer.to);
        Answers { list, pauses }
    }

    /// Returns true if the machine paused while this answer was waited for.
    pub fn is_paused(&self, answer: &Answer) -> bool {
        self.pauses.iter().any(|(from, to)| answer.to >= *from && answer.from <= *to)
    }

    /// Returns the number of answers.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Describes the wrong answers.
    pub fn wrong(&self) -> Vec<String> {
        let wrong = self.list.iter().filter_map(|answer| match &answer.verdict {
            Verdict::Wrong(why) => Some(why.clone()),
            _ => None,
        });
        wrong.collect()
    }

    /// Returns the answers of one kind to one kind of request.
    pub fn which<'a>(&'a self, asked: Asked, verdict: &'a Verdict) -> impl Iterator<Item = &'a Answer> {
        self.list.iter().filter(move |answer| answer.asked == asked && answer.verdict == *verdict)
    }

    /// Returns the time within which this percentage of the requests between `from` and `to` was answered.
    pub fn percentile(&self, percent: usize, from: Instant, to: Instant) -> Duration {
        let within = self.list.iter().filter(|answer| answer.from <= to && answer.to >= from);
        let mut took: Vec<Duration> = within.map(|answer| answer.to - answer.from).collect();
        took.sort();
        took.get((took.len() * percent / 100).min(took.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// Returns the time from `from` to the first stretch in which every request of this kind was answered. `None` if
    /// there is no such stretch.
    pub fn recovery(&self, asked: Asked, from: Instant) -> Option<Duration> {
        let mut begin = from;
        for silent in self.which(asked, &Verdict::NotNow).filter(|answer| answer.to >= from) {
            if silent.from >= begin + STRETCH && self.any_right(asked, begin, silent.from) {
                break;
            }
            begin = silent.to;
        }
        self.any_right(asked, begin, begin + Duration::from_secs(3600)).then(|| begin - from)
    }

    fn any_right(&self, asked: Asked, from: Instant, to: Instant) -> bool {
        self.which(asked, &Verdict::Right).any(|answer| answer.from >= from && answer.to <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_paused_if_the_machine_was_while_it_was_waited_for() {
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let answers = Answers::new(Vec::new(), vec![(at(100), at(250))]);
        let paused = |from, to| {
            let (asked, verdict) = (Asked::Read, Verdict::NotNow);
            answers.is_paused(&Answer { asked, verdict, from: at(from), to: at(to) })
        };
        assert!(paused(0, 120) && paused(120, 200) && paused(240, 700));
        assert!(!paused(0, 90) && !paused(260, 800));
    }

    /// Returns reads between these milliseconds, each answered or not.
    fn answers(begin: Instant, list: &[(u64, u64, bool)]) -> Answers {
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let answer = |&(from, to, right): &(u64, u64, bool)| Answer {
            asked: Asked::Read,
            verdict: if right { Verdict::Right } else { Verdict::NotNow },
            from: at(from),
            to: at(to),
        };
        Answers::new(list.iter().map(answer).collect(), Vec::new())
    }

    #[test]
    fn recovery_is_the_last_missing_answer_before_a_good_stretch() {
        let begin = Instant::now();
        let recovery = |list: &[_]| answers(begin, list).recovery(Asked::Read, begin).map(|time| time.as_millis());
        assert_eq!(recovery(&[(10, 20, true), (30, 40, true)]), Some(0));
        assert_eq!(recovery(&[(10, 100, false), (110, 120, true), (130, 300, false), (310, 320, true)]), Some(300));
        assert_eq!(recovery(&[(10, 100, false), (200, 210, true), (700, 800, false), (900, 910, true)]), Some(100));
        assert_eq!(recovery(&[(10, 100, false), (700, 800, false)]), None);
    }

    #[test]
    fn percentiles_are_of_the_answers_within_the_time() {
        let begin = Instant::now();
        let answers = answers(begin, &[(0, 10, true), (20, 40, true), (50, 350, true), (1000, 2000, true)]);
        let p = |percent| answers.percentile(percent, begin, begin + Duration::from_millis(500)).as_millis();
        assert_eq!((p(0), p(50), p(99)), (10, 20, 300));
    }
}
