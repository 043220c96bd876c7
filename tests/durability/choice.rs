//! What a client does next.

use super::book::{Book, Deed, STAGES};
use super::dice::Dice;

/// How many opportunities a client keeps, about.
const KEPT: usize = 40;

/// How many records a bulk call has.
const BULK: usize = 12;

/// Anything that can be done to what is there, and that changes it. `name_it`
/// gives names that nothing had before.
pub(super) fn choose(book: &Book, dice: &mut Dice, name_it: &mut dyn FnMut() -> String) -> Deed {
    let names: Vec<_> = book.records.keys().cloned().collect();
    let (ordinary, any) = (dice.below(STAGES - 1), dice.below(STAGES));
    if names.len() < 2 * BULK {
        let names = (0..BULK).map(|_| name_it()).collect();
        return Deed::BulkCreate {
            names,
            stage: ordinary,
        };
    }
    let name = dice.one_of(&names).clone();
    let from = dice.below(names.len() - BULK);
    let several = names[from..from + BULK].to_vec();
    match dice.below(12) {
        0 if names.len() > KEPT => Deed::BulkDelete { names: several },
        1 => Deed::BulkMove {
            names: several,
            stage: any,
        },
        2 if names.len() < 2 * KEPT => {
            let names = (0..BULK).map(|_| name_it()).collect();
            Deed::BulkCreate {
                names,
                stage: ordinary,
            }
        }
        3 => Deed::Delete { name },
        4..=6 => {
            let deed = Deed::Move {
                name,
                stage: any,
                position: dice.below(KEPT),
            };
            // One to where it stands already could not be told from none.
            match book.with(&deed) == *book {
                true => choose(book, dice, name_it),
                false => deed,
            }
        }
        7..=8 => {
            let value = book.records[&name].value.unwrap_or_default();
            Deed::Patch {
                name,
                value: value + 1 + dice.below(1000) as i64,
            }
        }
        _ => Deed::Create {
            name: name_it(),
            stage: ordinary,
        },
    }
}
