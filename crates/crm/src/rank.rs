//! The order of cards within a stage, as a text that sorts.
//!
//! A rank is a fraction written in base 62: a whole part whose first letter
//! says how many digits follow, then the digits after the point. Between any
//! two ranks there is another, so a move writes the moved card's row and no
//! other. A whole part counts up or down when a card goes to an end of its
//! stage, which is the common case; those keys grow with the logarithm of the
//! number of moves. Only repeated insertion into the same gap lengthens the
//! fraction, by about one byte for every six cards; when one becomes
//! [long](Rank::is_long), the cards around it are [spread](Rank::spread) anew.
//!
//! Ranks are ASCII and compare **bytewise**: a PostgreSQL column that holds
//! them needs `collate "C"`; SQLite's default does it.

/// The digits, in ASCII order.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The longest run: enough to tell millions of cards apart, and how many rows
/// are written to count one.
const RUN: usize = 5;

/// The longest rank that is left as it is.
const LONG: usize = 40;

/// Sorts behind every rank.
const BEYOND: &[u8] = b"~";

const ZERO: u8 = DIGITS[0];
const LAST: u8 = DIGITS[61];

/// The place of a card among those of its stage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank(String);

impl Rank {
    /// A new rank strictly between two neighbours; `None` is an open end.
    ///
    /// `after` must be smaller than `before`. Debug builds check it; release
    /// builds answer a rank just past `after`.
    pub fn between(after: Option<&Rank>, before: Option<&Rank>) -> Rank {
        let (after, before) = match (after, before) {
            (Some(after), Some(before)) if after >= before => {
                debug_assert!(false, "ranks out of order: {after:?} >= {before:?}");
                let (whole, fraction) = after.split();
                return Rank::join(whole, &midpoint(fraction, None));
            }
            neighbours => neighbours,
        };
        match (after.map(Rank::split), before.map(Rank::split)) {
            (None, None) => Rank("a0".to_owned()),
            (None, Some((whole, []))) => match decrement(whole) {
                Some(smaller) => Rank::join(&smaller, &[]),
                None => Rank::join(&smallest_whole(), &midpoint(&[], None)),
            },
            (None, Some((whole, fraction))) => {
                if decrement(whole).is_none() {
                    Rank::join(whole, &midpoint(&[], Some(fraction)))
                } else {
                    Rank::join(whole, &[])
                }
            }
            (Some((whole, fraction)), None) => match increment(whole) {
                Some(larger) => Rank::join(&larger, &[]),
                None => Rank::join(whole, &midpoint(fraction, None)),
            },
            (Some((low, low_fraction)), Some((high, high_fraction))) => {
                if low == high {
                    return Rank::join(low, &midpoint(low_fraction, Some(high_fraction)));
                }
                match increment(low) {
                    Some(next) if next != high || !high_fraction.is_empty() => {
                        Rank::join(&next, &[])
                    }
                    _ => Rank::join(low, &midpoint(low_fraction, None)),
                }
            }
        }
    }

    /// Whether it is longer than ranks should be.
    pub fn is_long(&self) -> bool {
        self.0.len() > LONG
    }

    /// The ranks that have the same whole part: from the first of these two on,
    /// and before the second.
    pub fn neighbourhood(&self) -> (Rank, Rank) {
        let (whole, _) = self.split();
        let end = match increment(whole) {
            Some(next) => Rank::join(&next, &[]),
            None => Rank::join(BEYOND, &[]),
        };
        (Rank::join(whole, &[]), end)
    }

    /// `count` ranks in the same neighbourhood, in their order, as short as
    /// leaves room between them.
    pub fn spread(&self, count: usize) -> Vec<Rank> {
        let (whole, _) = self.split();
        let parts = count as u128 + 1;
        let (mut length, mut room) = (1, 62_u128);
        while room < 8 * parts {
            length += 1;
            room *= 62;
        }
        (1..parts)
            .map(|part| {
                let mut value = part * room / parts;
                let mut fraction = vec![ZERO; length];
                for digit in fraction.iter_mut().rev() {
                    *digit = DIGITS[(value % 62) as usize];
                    value /= 62;
                }
                let kept = fraction.iter().rposition(|&digit| digit != ZERO);
                Rank::join(whole, &fraction[..kept.map_or(0, |last| last + 1)])
            })
            .collect()
    }

    /// The text to store and to sort by.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole part, which the rank shares with whatever stands between it and the
    /// next whole rank, or the beginning of a very long one: what cards are counted by.
    pub fn run(&self) -> &str {
        let length = self.0.bytes().next().map_or(0, whole_length);
        // Ranks are ASCII.
        self.0.get(..length.min(RUN)).unwrap_or(&self.0)
    }

    /// A rank read back from the database.
    pub fn from_stored(text: String) -> Rank {
        Rank(text)
    }

    /// The whole part and the digits after the point.
    fn split(&self) -> (&[u8], &[u8]) {
        let text = self.0.as_bytes();
        let length = text.first().map_or(0, |&head| whole_length(head));
        text.split_at(length.min(text.len()))
    }

    fn join(whole: &[u8], fraction: &[u8]) -> Rank {
        Rank(
            whole
                .iter()
                .chain(fraction)
                .map(|&digit| char::from(digit))
                .collect(),
        )
    }
}

/// How long a whole part with this first letter is, the letter included:
/// `a` has one digit after it, `b` two … and below zero `Z` one, `Y` two ….
fn whole_length(head: u8) -> usize {
    match head {
        b'a'..=b'z' => usize::from(head - b'a') + 2,
        b'A'..=b'Z' => usize::from(b'Z' - head) + 2,
        _ => 1,
    }
}

fn smallest_whole() -> Vec<u8> {
    with_head(b'A', vec![ZERO; whole_length(b'A') - 1])
}

fn digit_value(digit: u8) -> usize {
    DIGITS.binary_search(&digit).unwrap_or(0)
}

/// The next whole part, or `None` past the largest.
fn increment(whole: &[u8]) -> Option<Vec<u8>> {
    let (&head, digits) = whole.split_first()?;
    let mut digits = digits.to_vec();
    for digit in digits.iter_mut().rev() {
        if *digit != LAST {
            *digit = DIGITS[digit_value(*digit) + 1];
            return Some(with_head(head, digits));
        }
        *digit = ZERO;
    }
    let next = match head {
        b'Z' => b'a',
        b'z' => return None,
        _ => head + 1,
    };
    Some(with_head(next, vec![ZERO; whole_length(next) - 1]))
}

/// The whole part before this one, or `None` where that would be the smallest
/// of all: nothing could be put before it, so it is never given out alone.
fn decrement(whole: &[u8]) -> Option<Vec<u8>> {
    let (&head, digits) = whole.split_first()?;
    let mut digits = digits.to_vec();
    for digit in digits.iter_mut().rev() {
        if *digit != ZERO {
            *digit = DIGITS[digit_value(*digit) - 1];
            return Some(with_head(head, digits)).filter(|whole| *whole != smallest_whole());
        }
        *digit = LAST;
    }
    let previous = match head {
        b'a' => b'Z',
        b'A' => return None,
        _ => head - 1,
    };
    Some(with_head(previous, vec![LAST; whole_length(previous) - 1]))
}

fn with_head(head: u8, mut digits: Vec<u8>) -> Vec<u8> {
    digits.insert(0, head);
    digits
}

/// A fraction strictly between two, as short as halving allows. Without
/// `high` the bound is one. Fractions never end in a zero, which is what
/// leaves room before each of them.
fn midpoint(low: &[u8], high: Option<&[u8]>) -> Vec<u8> {
    let mut middle = Vec::with_capacity(low.len() + 1);
    let mut high = high;
    for position in 0.. {
        // Equal to the end: only a text not made here, one that ends in a
        // zero, leaves no room. Better a rank that is off by one than none.
        if high.is_some_and(|high| position >= high.len().max(low.len())) {
            high = None;
        }
        let below = low.get(position).map_or(0, |&digit| digit_value(digit));
        let above = match high {
            None => DIGITS.len(),
            Some(high) => high.get(position).map_or(0, |&digit| digit_value(digit)),
        };
        if above > below + 1 {
            middle.push(DIGITS[below.midpoint(above)]);
            break;
        }
        if above > below {
            // Neighbouring digits: if `high` goes on, its own prefix is
            // smaller than it and larger than `low`. Otherwise stay at
            // `low`'s digit, after which nothing bounds us from above.
            if high.is_some_and(|high| high.len() > position + 1) {
                middle.push(DIGITS[above]);
                break;
            }
            high = None;
        }
        middle.push(DIGITS[below]);
    }
    middle
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    fn insert(ranks: &mut Vec<Rank>, position: usize) {
        let after = position.checked_sub(1).map(|above| &ranks[above]);
        let new = Rank::between(after, ranks.get(position));
        ranks.insert(position, new);
    }

    fn assert_strictly_ascending(ranks: &[Rank]) {
        for pair in ranks.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
    }

    #[test]
    fn the_first_card_of_a_stage_leaves_room_on_both_sides() {
        let only = Rank::between(None, None);
        assert!(Rank::between(None, Some(&only)) < only);
        assert!(Rank::between(Some(&only), None) > only);
    }

    #[test]
    fn cards_put_on_top_a_hundred_thousand_times_keep_short_ranks() {
        let mut top = Rank::between(None, None);
        for _ in 0..100_000 {
            let next = Rank::between(None, Some(&top));
            assert!(next < top);
            top = next;
        }
        assert!(top.as_str().len() <= 5, "{top:?}");
    }

    #[test]
    fn cards_put_last_a_hundred_thousand_times_keep_short_ranks() {
        let mut last = Rank::between(None, None);
        for _ in 0..100_000 {
            let next = Rank::between(Some(&last), None);
            assert!(next > last);
            last = next;
        }
        assert!(last.as_str().len() <= 5, "{last:?}");
    }

    #[test]
    fn the_same_gap_can_be_halved_three_thousand_times() {
        for towards_low in [|_| true, |_| false, |turn| turn % 2 == 0] {
            let mut low = Rank::between(None, None);
            let mut high = Rank::between(Some(&low), None);
            for turn in 0..3_000 {
                let middle = Rank::between(Some(&low), Some(&high));
                assert!(low < middle && middle < high);
                if towards_low(turn) {
                    high = middle;
                } else {
                    low = middle;
                }
            }
            assert!(low.as_str().len().max(high.as_str().len()) < 650);
        }
    }

    #[test]
    fn the_ends_of_the_number_range_still_have_room() {
        let mut first = Rank::from_stored(format!("A{}1", "0".repeat(25)));
        for _ in 0..100 {
            let next = Rank::between(None, Some(&first));
            assert!(next < first, "{next:?} < {first:?}");
            first = next;
        }
        let mut last = Rank::from_stored(format!("z{}", "z".repeat(26)));
        for _ in 0..100 {
            let next = Rank::between(Some(&last), None);
            assert!(next > last, "{next:?} > {last:?}");
            last = next;
        }
    }

    #[test]
    fn a_stored_rank_that_leaves_no_room_still_gets_an_answer() {
        let stored = |text: &str| Rank::from_stored(text.to_owned());
        for (after, before) in [("a0", "a00"), ("a0V", "a0V0"), ("", "0"), ("!", "é")] {
            let after = stored(after);
            assert!(Rank::between(Some(&after), Some(&stored(before))) > after);
            Rank::between(None, Some(&stored(before)));
        }
    }

    #[test]
    fn a_rank_survives_storage() {
        let rank = Rank::between(None, None);
        assert_eq!(Rank::from_stored(rank.as_str().to_owned()), rank);
    }

    proptest! {
        #[test]
        fn random_insertions_keep_the_order_strict(
            places in prop::collection::vec(any::<prop::sample::Index>(), 1..400),
        ) {
            let mut ranks = Vec::new();
            for place in places {
                let position = place.index(ranks.len() + 1);
                insert(&mut ranks, position);
            }
            assert_strictly_ascending(&ranks);
            prop_assert!(ranks.iter().all(|rank| rank.as_str().is_ascii()));
            let longest = ranks.iter().map(|rank| rank.as_str().len()).max().unwrap();
            prop_assert!(longest <= 24, "{longest}");
        }

        #[test]
        fn what_is_spread_is_ascending_short_and_stays_in_its_neighbourhood(count in 0_usize..5000) {
            let long = Rank::from_stored(format!("b0z{}", "z".repeat(60)));
            prop_assert!(long.is_long());
            let ranks = long.spread(count);
            prop_assert_eq!(ranks.len(), count);
            assert_strictly_ascending(&ranks);
            let (from, to) = long.neighbourhood();
            prop_assert!(ranks.iter().all(|rank| from < *rank && *rank < to && rank.as_str().len() < 8));
            prop_assert!(ranks.iter().all(|rank| rank.run() == long.run()));
        }

        #[test]
        fn random_moves_keep_the_order_strict(
            moves in prop::collection::vec(
                (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
                1..400,
            ),
        ) {
            let mut ranks = Vec::new();
            for position in 0..8 {
                insert(&mut ranks, position);
            }
            for (from, to) in moves {
                ranks.remove(from.index(ranks.len()));
                let position = to.index(ranks.len() + 1);
                insert(&mut ranks, position);
            }
            assert_strictly_ascending(&ranks);
        }
    }
}
