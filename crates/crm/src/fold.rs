//! The forms in which texts are searched.
//!
//! Both what is stored for searching and what is searched for pass through
//! the same functions, so that a search is a plain comparison of bytes.

use phonenumber::metadata::DATABASE;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use crate::phone::{Region, is_punctuation};

/// The search form of a text: lower case, without accents, every run of white
/// space one space, none at the ends. `  Zoë  ØRSTED ` becomes `zoe orsted`.
///
/// Folding a folded text changes nothing.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let letters = text
        .nfkd()
        .flat_map(char::to_lowercase)
        // A lower case letter may carry an accent of its own: İ becomes i̇.
        .nfkd()
        .filter(|&c| !is_accent(c) && !is_invisible(c));
    for c in letters {
        if c.is_whitespace() || c.is_control() {
            if !folded.is_empty() && !folded.ends_with(' ') {
                folded.push(' ');
            }
        } else {
            match plain_letters(c) {
                Some(plain) => folded.push_str(plain),
                None => folded.push(c),
            }
        }
    }
    folded.truncate(folded.trim_end().len());
    if folded.is_ascii() {
        return folded;
    }
    // Syllables of Korean and voiced kana are one character again, so that a
    // search for one does not find the beginning of another.
    folded.nfc().collect()
}

/// The marks that a search ignores: accents of Latin, Greek and Cyrillic,
/// points of Hebrew and Arabic. Other scripts' marks are letters or vowels
/// and tell words apart, so they stay.
fn is_accent(c: char) -> bool {
    matches!(canonical_combining_class(c), 1 | 10..=36 | 200..=240)
}

/// Soft hyphens, joiners and the like, which come along in copied texts.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

/// What people type for a letter that has no accent to remove, or for a sign
/// that typesetting changes.
fn plain_letters(c: char) -> Option<&'static str> {
    Some(match c {
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        'ı' => "i",
        'ĸ' => "k",
        'ŋ' => "n",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ə' => "e",
        'ς' => "σ",
        '‘' | '’' | 'ʼ' | '`' | '´' => "'",
        '“' | '”' | '„' => "\"",
        '‐'..='―' | '−' => "-",
        _ => return None,
    })
}

/// The decimal digits of a text as ASCII, whatever script they are in;
/// everything else is left out.
pub fn digits(text: &str) -> String {
    text.chars().filter_map(decimal_digit).collect()
}

/// The zeros of the other scripts. Nine digits follow each.
const ZEROS: [u32; 36] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66,
    0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
];

/// The ASCII form of a decimal digit of any script.
pub(crate) fn decimal_digit(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let code = u32::from(c);
    let zero = ZEROS[..ZEROS.partition_point(|&zero| zero <= code)].last()?;
    char::from_digit(code - zero, 10)
}

/// A query with fewer digits, and no `+`, is not looked for in phone numbers:
/// nearly every number has any two digits somewhere.
const MIN_DIGITS: usize = 3;

/// Without its trunk zero, a part of a national number this long is looked
/// for in numbers of every country; a shorter one would turn up by chance.
const MIN_DIGITS_ANYWHERE: usize = 6;

/// No number with its prefixes is longer.
const MAX_DIGITS: usize = 24;

/// What to look for in phone numbers when someone types this into a search
/// field: a number matches if its E.164 form, **with its `+`**, contains any
/// of the answers. An answer that begins with `+` is thereby tied to the
/// beginning of the number.
///
/// Empty if the query is not phone-like: it has a letter or a sign that
/// phone numbers don't have, or fewer than three digits and no `+`.
///
/// The digits as typed are always looked for. A query that begins as numbers
/// are dialled within the region (`0412…`) or from it abroad (`0011 49…`,
/// `0049…`) is also looked for as the beginning of the number that this
/// dials.
pub fn phone_needles(query: &str, region: Region) -> Vec<String> {
    let query = query.trim();
    let international = query.starts_with(['+', '\u{ff0b}']);
    let typed = query.trim_start_matches(['+', '\u{ff0b}']);
    // `+61 (0)412 …`: the zero is for callers within the country.
    let typed = typed.replacen("(0)", "", usize::from(international));
    if !typed
        .chars()
        .all(|c| is_punctuation(c) || decimal_digit(c).is_some())
    {
        return Vec::new();
    }
    let digits = digits(&typed);
    let enough = if international { 1 } else { MIN_DIGITS };
    if !(enough..=MAX_DIGITS).contains(&digits.len()) {
        return Vec::new();
    }
    if international {
        return beginnings(&digits);
    }

    let mut needles = vec![digits.clone()];
    let abroad = region
        .dialled_abroad(&digits)
        .filter(|rest| rest.len() >= MIN_DIGITS);
    if let Some(rest) = abroad {
        needles.extend(beginnings(rest));
        return needles;
    }
    if let Some(plan) = region.plan()
        && let Some(rest) = plan
            .national_prefix()
            .and_then(|trunk| digits.strip_prefix(trunk))
        && !rest.is_empty()
    {
        needles.push(format!("+{}{rest}", plan.country_code()));
    }
    if let Some(rest) = digits.strip_prefix('0')
        && rest.len() >= MIN_DIGITS_ANYWHERE
    {
        needles.push(rest.to_owned());
    }
    needles
}

/// The beginning of an E.164 number with these digits, and again without a
/// trunk prefix between country code and number (`+61 0412…`).
fn beginnings(digits: &str) -> Vec<String> {
    let mut beginnings = vec![format!("+{digits}")];
    // Country codes are prefix-free, so that at most one of these is one.
    let without_trunk = (1..=3).find_map(|length| {
        let (code, national) = digits.split_at_checked(length)?;
        let plans = DATABASE.by_code(&code.parse().ok()?)?;
        let trunk = plans.first()?.national_prefix()?;
        let rest = national.strip_prefix(trunk).filter(|_| trunk == "0")?;
        Some(format!("+{code}{rest}"))
    });
    beginnings.extend(without_trunk);
    beginnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_accents_do_not_count() {
        for (typed, folded) in [
            ("Zoë Müller", "zoe muller"),
            ("ÉCLAIR", "eclair"),
            ("E\u{301}clair", "eclair"),
            ("Ørsted Łódź Đorđe", "orsted lodz dorde"),
            ("STRASSE Straße STRAẞE", "strasse strasse strasse"),
            ("Ærø Œuvre Þór Guðrún", "aero oeuvre thor gudrun"),
            ("İstanbul ısı", "istanbul isi"),
            ("Ǆ ﬁ ①", "dz fi 1"),
            ("ΟΔΥΣΣΕΥΣ Οδυσσεύς", "οδυσσευσ οδυσσευσ"),
            ("Ёлка", "елка"),
            ("O’Brien — Co", "o'brien - co"),
            ("ＡＢＣ", "abc"),
        ] {
            assert_eq!(fold(typed), folded, "{typed}");
        }
    }

    #[test]
    fn white_space_is_one_space_and_none_at_the_ends() {
        assert_eq!(fold("  big\t\n\u{a0}\u{3000} deal \0 "), "big deal");
        assert_eq!(
            fold("soft\u{ad}hyphen zero\u{200b}width"),
            "softhyphen zerowidth"
        );
        assert_eq!(fold(" \t "), "");
    }

    #[test]
    fn letters_of_other_scripts_stay_apart() {
        assert_ne!(fold("が"), fold("か"));
        assert_ne!(fold("की"), fold("का"));
        assert!(!fold("각").contains(&fold("가")));
        assert_eq!(fold("東京 ｱﾊﾟｰﾄ"), "東京 アパート");
    }

    #[test]
    fn digits_of_every_script_are_found() {
        assert_eq!(digits("+61 (0)4-12 ext"), "610412");
        assert_eq!(digits("０１２ ٣٤٥ ۶۷۸ ९"), "0123456789");
        assert_eq!(digits("no 📞 here ²"), "");
    }

    const CARD: &str = "+61412345678";

    fn finds(query: &str, country: &str, number: &str) -> bool {
        phone_needles(query, Region::of_country(country))
            .iter()
            .any(|needle| number.contains(needle.as_str()))
    }

    #[test]
    fn a_number_is_found_however_it_is_typed() {
        for query in [
            "0412 345 678",
            "(04) 1234-5678",
            "0412",
            "0412 3",
            "+61 412 345 678",
            "+61 (0)412 345 678",
            "+61 0412 345 678",
            "+61412",
            "+61",
            "61412345678",
            "0011 61 412 345 678",
            "0061 412 345 678",
            "412 345 678",
            "345 678",
            "678",
            "０４１２ ３４５",
        ] {
            assert!(
                finds(query, "AU", CARD),
                "{query}: {:?}",
                phone_needles(query, Region::of_country("AU"))
            );
        }
        assert!(finds("020 7946", "GB", "+442079460958"));
        assert!(finds("1 (415) 555-2671", "US", "+14155552671"));
        assert!(finds("011 44 20 7946 0958", "US", "+442079460958"));
        assert!(finds("8 912 345-67-89", "RU", "+79123456789"));
        assert!(finds("02 1234 5678", "IT", "+390212345678"));
    }

    #[test]
    fn a_national_number_of_another_country_is_found() {
        assert!(finds("020 7946 0958", "AU", "+442079460958"));
        assert!(finds("0412 345 678", "ZZ", CARD));
        assert!(finds("0412 345 678", "US", CARD));
    }

    #[test]
    fn the_beginning_of_a_number_is_not_found_in_the_middle_of_another() {
        assert!(!finds("0412", "AU", "+61298412777"));
        assert!(!finds("+61 412", "AU", "+4961412345"));
        assert!(!finds("0061 412", "AU", "+4961412345"));
        assert!(!finds("0412 345 679", "AU", CARD));
    }

    #[test]
    fn a_query_that_is_no_phone_number_is_not_looked_for() {
        for query in [
            "",
            "ab",
            "12",
            "+",
            "Suite 412",
            "412 Kim",
            "412%",
            "$ 345 678",
            "0412\u{0}345",
        ] {
            assert_eq!(
                phone_needles(query, Region::of_country("AU")),
                Vec::<String>::new(),
                "{query}"
            );
        }
        assert!(phone_needles(&"1".repeat(10_000), Region::of_country("AU")).is_empty());
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,40}|[\\x00-\\u{2fff}]{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once.clone());
            prop_assert!(!once.contains('\0'));
        }

        #[test]
        fn a_number_is_found_by_every_part_of_three_or_more_digits(
            from in 1..9usize, length in 3..9usize,
        ) {
            let part = &CARD[from..(from + length).min(CARD.len())];
            prop_assert!(finds(part, "AU", CARD));
        }

        #[test]
        fn any_query_is_answered(query in "[+0]{0,3}\\PC{0,30}|[-+0-9 ()]{0,30}") {
            for country in ["AU", "US", "BR", "XX"] {
                for needle in phone_needles(&query, Region::of_country(country)) {
                    prop_assert!(!needle.trim_start_matches('+').is_empty());
                }
            }
        }
    }
}
