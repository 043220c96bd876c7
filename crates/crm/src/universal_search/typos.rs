//! Where a query may be meant that is misspelt: patterns for the trigram index,
//! which finds a word by the parts of it that the typo left as they are.

use store::Pattern;

use super::similarity::{Wanted, Word, tolerance};

/// What can end a word before the next one begins, or a line.
const BOUNDS: [char; 2] = [' ', '\n'];
/// The shortest text that the index finds.
const INDEXED: usize = 3;

/// What to look for, given the words of a query.
type Step = fn(&[Word]) -> Option<Pattern>;

/// What to look for, each if those before it find nothing: every word with one edit
/// at most, every word with two, any word with one. A word of one or two letters is
/// not looked for.
pub(super) fn patterns(readings: &[Wanted]) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    let steps: [Step; 3] = [
        |words| all(words.iter().filter_map(|word| close(word)).collect()),
        |words| {
            let is_longer = words.iter().any(|word| tolerance(word) > 1);
            let parts = words.iter().filter_map(|word| far(word));
            all(parts.filter(|_| is_longer).collect())
        },
        |words| {
            let parts: Vec<_> = words.iter().filter_map(|word| close(word)).collect();
            any(parts).filter(|_| words.len() > 1)
        },
    ];
    for step in steps {
        let read = readings.iter().filter_map(|wanted| step(wanted.words()));
        patterns.extend(any(read.collect()));
    }
    patterns
}

fn all(parts: Vec<Pattern>) -> Option<Pattern> {
    (!parts.is_empty()).then_some(Pattern::All(parts))
}

fn any(parts: Vec<Pattern>) -> Option<Pattern> {
    (!parts.is_empty()).then_some(Pattern::Any(parts))
}

/// What each text has that has `word` with one edit at most; of a word of three
/// letters but for one whose middle letter is another.
fn close(word: &[char]) -> Option<Pattern> {
    let length = word.len();
    if length < INDEXED {
        return None;
    }
    if length == INDEXED {
        let swapped = [[word[1], word[0], word[2]], [word[0], word[2], word[1]]];
        let swapped = swapped.map(|letters| Some(text(&letters)));
        return any([begin(&word[..2]), end(&word[1..])]
            .into_iter()
            .chain(swapped)
            .flatten()
            .collect());
    }
    let mut found = Vec::new();
    // An edit touches one letter, or two neighbours: one of these gaps has all
    // that it touches, and what is before and behind it is in the text.
    let gap = length.div_ceil(4).max(2);
    let (mut shortest_head, mut shortest_tail) = (None, None);
    for from in (0..length - gap).step_by(gap - 1).chain([length - gap]) {
        let (head, tail) = (&word[..from], &word[from + gap..]);
        match (head.len() >= INDEXED, tail.len() >= INDEXED) {
            (true, true) => found.push(Pattern::All(vec![text(head), text(tail)])),
            (true, false) => shortest_head = shortest_head.or(Some(text(head))),
            (false, true) => shortest_tail = Some(text(tail)),
            (false, false) => found.extend(all([begin(head), end(tail)]
                .into_iter()
                .flatten()
                .collect())),
        }
    }
    found.extend(shortest_head);
    found.extend(shortest_tail);
    if length == 4 {
        // Both neighbours of a single letter on either side.
        found.push(text(&[word[0], word[2], word[1], word[3]]));
    }
    any(found)
}

/// What nearly each text has that has `word` with as many edits as are tolerated: one
/// third of it. Two edits that touch all thirds, or both ends of a short word, leave
/// none.
fn far(word: &[char]) -> Option<Pattern> {
    if tolerance(word) < 2 {
        return close(word);
    }
    let third = word.len() / 3;
    let (head, rest) = word.split_at(third);
    let (middle, tail) = rest.split_at(rest.len() - third);
    let middle = (middle.len() >= INDEXED).then(|| text(middle));
    any([begin(head), middle, end(tail)]
        .into_iter()
        .flatten()
        .collect())
}

fn text(part: &[char]) -> Pattern {
    Pattern::Text(part.iter().collect())
}

/// A part where a word begins, if it is long enough to be found. One that is
/// found by itself may stand anywhere: not all signs that stand before a word are
/// [known](BOUNDS).
fn begin(part: &[char]) -> Option<Pattern> {
    bounded(part, |bound| [&[bound], part].concat())
}

/// A part where a word ends, as [`begin`].
fn end(part: &[char]) -> Option<Pattern> {
    bounded(part, |bound| [part, &[bound]].concat())
}

fn bounded(part: &[char], with: impl Fn(char) -> Vec<char>) -> Option<Pattern> {
    match part.len() {
        0 | 1 => None,
        2 => Some(Pattern::Any(BOUNDS.map(|bound| text(&with(bound))).into())),
        _ => Some(text(part)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a text has what is looked for.
    fn is_in(pattern: &Pattern, text: &str) -> bool {
        match pattern {
            Pattern::Text(part) => text.contains(part),
            Pattern::All(parts) => parts.iter().all(|part| is_in(part, text)),
            Pattern::Any(parts) => parts.iter().any(|part| is_in(part, text)),
        }
    }

    /// Whether every text in it can be found by the index.
    fn is_indexed(pattern: &Pattern) -> bool {
        match pattern {
            Pattern::Text(part) => part.chars().count() >= INDEXED,
            Pattern::All(parts) | Pattern::Any(parts) => {
                !parts.is_empty() && parts.iter().all(is_indexed)
            }
        }
    }

    /// An edit of a word: which kind, where, with which letter.
    type Edit = (u8, usize, char);

    fn edited(word: &str, (kind, place, letter): Edit) -> String {
        let mut letters: Vec<_> = word.chars().collect();
        let place = place % letters.len();
        match kind {
            0 => {
                letters.remove(place);
            }
            1 => letters.insert(place, letter),
            2 => letters[place] = letter,
            // The last one has no neighbour behind it.
            _ => letters.swap(place.max(1) - 1, place.max(1)),
        }
        letters.into_iter().collect()
    }

    fn edit() -> impl Strategy<Value = Edit> {
        (0..4_u8, 0..40_usize, proptest::char::range('a', 'f'))
    }

    proptest! {
        #[test]
        fn a_pattern_has_only_what_is_indexed(query in "[a-f1 ]{0,60}|\\PC{0,40}") {
            let wanted: Vec<_> = Wanted::in_text(&query).into_iter().collect();
            for pattern in patterns(&wanted) {
                prop_assert!(is_indexed(&pattern), "{pattern:?}");
            }
        }

        #[test]
        fn a_word_is_found_by_what_one_edit_leaves(
            word in "[a-f]{4,31}", edit in edit(), bounds in "[ \n][ \n]",
        ) {
            let typed = edited(&word, edit);
            let [before, after] = [0, 1].map(|place| &bounds[place..=place]);
            let doc = format!("{before}{word}{after}");
            let letters: Vec<_> = typed.chars().collect();
            let pattern = close(&letters).expect("long enough");
            prop_assert!(is_in(&pattern, &doc), "{typed} for {word}: {pattern:?}");
            let wanted = Wanted::in_text(&typed).expect("a word");
            let least = 10_000 * (typed.len() - 1) / typed.len();
            prop_assert!(wanted.rank_in(&doc) as usize >= least.min(9_900), "{typed} for {word}");
        }
    }
}
