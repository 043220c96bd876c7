//! Texts to search for.

use super::{Dice, FIRST_NAMES, LAST_NAMES, PLACES, RARE, THINGS, TRADES, WORKS};

/// Found in very many opportunities: a word, or three letters of one.
pub(crate) fn common() -> Vec<String> {
    let lists = [THINGS, WORKS, PLACES, FIRST_NAMES, LAST_NAMES, TRADES];
    let words = lists.concat();
    let begins = words.iter().map(|word| &word[..3]);
    begins
        .chain(words.iter().copied())
        .map(str::to_owned)
        .collect()
}

/// Found in few: a rare word, or a whole e-mail address.
pub(crate) fn rare(contacts: u64) -> Vec<String> {
    let mut dice = Dice::new("rare", contacts);
    let addresses = (0..200).filter_map(|_| {
        let contact = super::contact(dice.below(contacts.max(1)));
        contact["email"].as_str().map(str::to_owned)
    });
    addresses
        .chain(RARE.iter().map(|&word| word.to_owned()))
        .collect()
}

/// The name that some opportunities have, or how it begins.
pub(crate) fn names(opportunities: u64) -> Vec<String> {
    let mut dice = Dice::new("names", opportunities);
    let names = (0..200).map(|_| {
        let number = dice.below(opportunities);
        let name = super::opportunity_name(&mut Dice::new("opportunity", number));
        match number % 2 {
            0 => name,
            // They are ASCII.
            _ => name[..name.len() - 4].to_owned(),
        }
    });
    names.collect()
}

/// Found only where typos are forgiven: names of people, common and rare words,
/// with one letter that is missing or two that are swapped.
pub(crate) fn misspelt(contacts: u64) -> Vec<String> {
    let mut dice = Dice::new("misspelt", contacts);
    let mut people = Vec::new();
    for _ in 0..100 {
        let person = super::contact(dice.below(contacts.max(1)));
        let names = ["first_name", "last_name"].map(|name| person[name].as_str().unwrap_or(""));
        people.push(names.join(" "));
    }
    let words = [THINGS, WORKS, PLACES, LAST_NAMES, RARE].concat();
    let words = words.iter().map(|&word| word.to_owned());
    let correct: Vec<_> = people.into_iter().chain(words).collect();
    let misspell = |text: String| {
        let mut letters: Vec<_> = text.chars().collect();
        let place = 1 + dice.below(letters.len() as u64 - 2) as usize;
        match dice.below(2) {
            0 => drop(letters.remove(place)),
            _ => letters.swap(place, place + 1),
        }
        letters.into_iter().collect()
    };
    correct.into_iter().map(misspell).collect()
}

/// Found nowhere, made of letters that never meet.
pub(crate) fn unheard_of() -> Vec<String> {
    let mut dice = Dice::new("unheard of", 0);
    let letters: Vec<_> = "qxzjvkw".chars().collect();
    let mut word = || -> String {
        let letter = |_| letters[dice.below(letters.len() as u64) as usize];
        (0..7).map(letter).collect()
    };
    (0..200).map(|_| word()).collect()
}

/// Found nowhere, though each word is common: nothing has them in this order.
pub(crate) fn never_together() -> Vec<String> {
    let mut dice = Dice::new("never together", 0);
    let pair = |_| format!("{} {}", dice.pick(WORKS), dice.pick(THINGS));
    (0..200).map(pair).collect()
}
