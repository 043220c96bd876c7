//! How much of a query a text has, where letters may be missing, doubled, wrong
//! or swapped.

use crate::search::is_phone_sign;

/// All that there is of a rank: that of a text which has the query as it is.
pub(super) const WHOLE: u32 = 10_000;
/// What a text has at most that has all words, but not as the query has them.
const ALL_WORDS: u32 = 9_900;
/// How many words of a query are compared; of more the longest tell enough.
const MAX_WORDS: usize = 8;

/// A word, by its characters.
pub(super) type Word = Vec<char>;

/// The words of a folded text.
fn words(text: &str) -> impl Iterator<Item = Word> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().collect())
}

/// A text that is looked for, word by word.
#[derive(Debug)]
pub(super) struct Wanted {
    words: Vec<Word>,
    /// What two words are without the blank between them.
    joined: Option<Word>,
}

impl Wanted {
    /// The words of a folded text, if it has any.
    pub(super) fn in_text(text: &str) -> Option<Self> {
        let mut words: Vec<_> = words(text).collect();
        let joined = (words.len() == 2).then(|| words.concat());
        words.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        words.dedup();
        words.truncate(MAX_WORDS);
        (!words.is_empty()).then_some(Self { words, joined })
    }

    /// Its words, the longest first.
    pub(super) fn words(&self) -> &[Word] {
        &self.words
    }

    /// How much of it a folded text has, in ten-thousandths: the share of its
    /// letters that are left when each edit takes one away, and each word that
    /// the text has not all of its letters.
    pub(super) fn rank_in(&self, text: &str) -> u32 {
        let there: Vec<_> = words(text).collect();
        let pairs: Vec<_> = there.windows(2).map(<[Word]>::concat).collect();
        // A blank too many or too few is an edit as well.
        let nearest = |word: &[char], blanks: usize| {
            let tolerance = tolerance(word);
            let there = there.iter().map(|other| (other, blanks));
            let pairs = pairs.iter().map(|other| (other, 1));
            let edits = there.chain(pairs).filter_map(|(other, blanks)| {
                let most = tolerance.checked_sub(blanks)?;
                edits(word, other, most).map(|edits| edits + blanks)
            });
            edits.min().unwrap_or(word.len())
        };
        let letters: usize = self.words.iter().map(Vec::len).sum();
        let apart = self.words.iter().map(|word| nearest(word, 0)).sum();
        let joined = self.joined.as_deref().map(|word| nearest(word, 1));
        let wrong = joined.unwrap_or(letters).min(apart);
        let right = WHOLE as usize * (letters - wrong) / letters;
        u32::try_from(right).unwrap_or(WHOLE).min(ALL_WORDS)
    }
}

/// How many edits a word may be away from another one to be taken for it. Digits
/// carry more than letters do: a number with two others is another number.
pub(super) fn tolerance(word: &[char]) -> usize {
    let has_digit = word.iter().any(|&c| c.is_numeric() || is_phone_sign(c));
    match word.len() {
        0..=2 => 0,
        3..=5 => 1,
        _ if has_digit => 1,
        _ => 2,
    }
}

/// How many edits make `other` of `word`: a letter that is put in, left out, or
/// put in the place of another, two neighbours that change places, or, once, an
/// end that is put on. None if that is more than `most`.
fn edits(word: &[char], other: &[char], most: usize) -> Option<usize> {
    if word.len() > other.len() + most {
        return None;
    }
    // Of a longer word only the beginning can be meant.
    let other = &other[..other.len().min(word.len() + most + 1)];
    // The distances between the beginnings of the word, row by row one letter
    // longer, and those of the other.
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let (mut before, mut row) = (last.clone(), last.clone());
    for (i, &letter) in word.iter().enumerate() {
        row[0] = i + 1;
        for (j, &there) in other.iter().enumerate() {
            let mut least = (last[j] + usize::from(letter != there))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && letter == other[j - 1] && word[i - 1] == there {
                least = least.min(before[j - 1] + 1);
            }
            row[j + 1] = least;
        }
        // What follows only adds to these.
        if last.iter().chain(&row).all(|&edits| edits > most) {
            return None;
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    let whole = last[other.len()];
    let beginning = last.into_iter().min().unwrap_or(whole) + 1;
    Some(whole.min(beginning)).filter(|&edits| edits <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(query: &str, text: &str) -> Option<u32> {
        Wanted::in_text(query).map(|wanted| wanted.rank_in(text))
    }

    #[test]
    fn the_rank_is_the_share_of_the_letters_that_are_right() {
        for (query, text, expected) in [
            ("jonh smiht", "john smith", 7777),
            ("smith john", "john smith", ALL_WORDS),
            ("jon", "john", 6666),
            ("mueler", "muller", 8333),
            ("mueller", "muller", 8571),
            ("acme corpration", "acme corporation", 9285),
            ("accomodaton", "accommodation", 8181),
            ("corprat", "acme corporation", 7142),
            ("john smiht", "john miller", 4444),
            ("john smith hobart", "john smith", 6000),
            ("fit out", "fit-out", ALL_WORDS),
            ("fitout", "the fit-out", 8333),
            ("light house", "lighthouse", 9000),
            ("lighthouse", "light house", 9000),
            ("adalovelace", "ada lovelace", 9090),
            ("al", "all", 0),
            ("2024", "budget 2025", 7500),
            ("20242025", "20252026", 0),
            ("kowalsky", "kowalczuk", 0),
        ] {
            assert_eq!(rank(query, text), Some(expected), "{query} in {text}");
        }
        assert_eq!(rank("&%", "a & b"), None);
        assert_eq!(
            rank(&"john smith ".repeat(9), "john smith"),
            Some(ALL_WORDS)
        );
    }
}
