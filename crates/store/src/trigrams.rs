//! The trigrams by which FTS5 finds a text.
//!
//! Each has a list of all rows that it is in, not of where it stands in them, so what
//! has all of them has to be looked into. The lists of common ones are long: to go
//! through those of a whole e-mail address takes far longer than to go through those
//! of the few parts that tell most, and to look into what has these.

use std::cmp::Reverse;
use std::collections::BTreeSet;

/// How many parts of a text are looked up at most.
const MOST: usize = 5;

/// The letters of texts, the most frequent first.
const FREQUENT: &str = "etaoinsrhldcumwfgypbvkjxqz";

/// The trigrams of a folded text of three characters or more that tell most of it, in
/// no order that matters.
pub(crate) fn telling(text: &str) -> impl Iterator<Item = &str> {
    let starts: Vec<_> = text.char_indices().map(|(start, _)| start).collect();
    let ends = starts.iter().skip(3).copied().chain([text.len()]);
    let all: BTreeSet<_> = starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &text[*start..end])
        .collect();
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_cached_key(|part| Reverse(told_by(part)));
    all.into_iter().take(MOST)
}

/// How much a part tells, to be compared: where two words meet says more of a text than
/// either word, then what has rare characters.
fn told_by(part: &str) -> (bool, usize) {
    let rarity = |character: char| match character {
        ' ' => 0,
        '0'..='9' => 8,
        'a'..='z' => FREQUENT.find(character).unwrap_or_default() / 4,
        _ if character.is_ascii_punctuation() => 3,
        // A phone number's signs, and what other alphabets have.
        _ => 7,
    };
    (part.contains(' '), part.chars().map(rarity).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(text: &str) -> Vec<&str> {
        let mut parts: Vec<_> = telling(text).collect();
        parts.sort_unstable();
        parts
    }

    #[test]
    fn every_part_is_told_of_once() {
        assert_eq!(sorted("aaaaaaaaaaaa"), ["aaa"]);
        assert_eq!(sorted("ščščščščščšč"), ["čšč", "ščš"]);
        assert_eq!(sorted("ščš"), ["ščš"]);
    }

    #[test]
    fn a_text_is_told_by_where_words_meet_and_by_what_is_rare() {
        let parts = sorted("installation of a zinc roof");
        assert_eq!(parts.len(), MOST);
        for part in [" of", " zi", "c r"] {
            assert!(parts.contains(&part), "{part:?} in {parts:?}");
        }
        let parts = sorted("dinesh.tanaka4391@mail.example");
        for part in ["439", "391", "a43"] {
            assert!(parts.contains(&part), "{part:?} in {parts:?}");
        }
    }
}
