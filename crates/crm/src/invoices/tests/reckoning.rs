//! Whatever comes and goes, the totals are what exact fractions come to, and the
//! sums of what is shown.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::json;

use super::*;
use crate::testing::World;

/// What someone does with an invoice. Numbers are in ten-thousandths.
#[derive(Debug, Clone)]
enum Act {
    Add(Line),
    Change(Index, Line),
    Remove(Index),
    Pay(i64, i64),
}

#[derive(Debug, Clone, Copy)]
struct Line {
    quantity: i64,
    price: i64,
    discount: i64,
    tax: i64,
}

fn a_line() -> impl Strategy<Value = Line> {
    let quantity = prop_oneof![
        (1..20_i64).prop_map(|whole| whole * 10_000),
        1..1_000_000_i64
    ];
    let price = prop_oneof![-2_000..2_000_i64, -99_999_999..99_999_999_i64];
    let discount = prop_oneof![
        Just(0),
        (0..=100_i64).prop_map(|whole| whole * 10_000),
        0..=1_000_000_i64
    ];
    let tax = -99_999..99_999_i64;
    (quantity, price, discount, tax).prop_map(|(quantity, price, discount, tax)| Line {
        quantity,
        price,
        discount,
        tax,
    })
}

fn an_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => a_line().prop_map(Act::Add),
        2 => (any::<Index>(), a_line()).prop_map(|(which, line)| Act::Change(which, line)),
        1 => any::<Index>().prop_map(Act::Remove),
        1 => (0..9_999_999_i64, 0..99_999_i64).prop_map(|(paid, credited)| Act::Pay(paid, credited)),
    ]
}

impl Line {
    fn fields(self) -> Json {
        let [quantity, price, discount, tax] =
            [self.quantity, self.price, self.discount, self.tax].map(Amount::from_units);
        json!({
            "description": "x", "quantity": quantity, "unit_price": price,
            "discount_percent": discount, "tax_amount": tax,
        })
    }

    /// What it comes to in units of the currency's last decimal: before tax, and tax.
    fn reckoned(self, decimals: u32) -> (i128, i128) {
        let (quantity, price) = (i128::from(self.quantity), i128::from(self.price));
        let left = i128::from(1_000_000 - self.discount);
        (
            half_away(quantity * price * left, 10_i128.pow(14), decimals),
            half_away(self.tax.into(), 10_000, decimals),
        )
    }
}

/// The fraction in units of so many decimals, rounded half away from zero.
fn half_away(numerator: i128, denominator: i128, decimals: u32) -> i128 {
    let scaled = numerator.abs() * 10_i128.pow(decimals);
    numerator.signum() * ((2 * scaled + denominator) / (2 * denominator))
}

/// An amount in units of so many decimals; none if it is more exact than that.
fn in_units(amount: Amount, decimals: u32) -> Option<i128> {
    let part = 10_i64.pow(4 - decimals);
    (amount.units() % part == 0).then_some((amount.units() / part).into())
}

fn live(tx: &mut Tx<'_>, desk: &Desk, currency: &str, decimals: u32, acts: &[Act]) -> Result<()> {
    let id = invoice(tx, desk, json!({ "currency_code": currency }))?.id;
    let mut known: Vec<(Uuid, Line)> = Vec::new();
    let (mut paid, mut credited) = (0, 0);
    for act in acts {
        match act {
            Act::Add(new) => known.push((line(tx, desk, id, new.fields())?.id, *new)),
            Act::Change(which, new) if !known.is_empty() => {
                let (line, known) = which.get_mut(&mut known);
                lines::update(tx, &desk.who, id, *line, given(new.fields()))?;
                *known = *new;
            }
            Act::Remove(which) if !known.is_empty() => {
                let (line, _) = known.remove(which.index(known.len()));
                lines::delete(tx, &desk.who, id, line)?;
            }
            Act::Pay(new_paid, new_credited) => {
                let [first, second] = [*new_paid, *new_credited].map(Amount::from_units);
                patch(
                    tx,
                    desk,
                    id,
                    json!({ "amount_paid": first, "amount_credited": second }),
                )?;
                paid = half_away((*new_paid).into(), 10_000, decimals);
                credited = half_away((*new_credited).into(), 10_000, decimals);
            }
            Act::Change(..) | Act::Remove(_) => {}
        }
        let shown = get(tx, &desk.who, id)?;
        let lines = shown.line_items.unwrap();
        let each: Vec<_> = lines
            .iter()
            .map(|line| {
                let amounts = [line.line_total, line.tax_amount];
                amounts.map(|amount| in_units(amount, decimals).unwrap())
            })
            .collect();
        let exact: Vec<_> = known
            .iter()
            .map(|(_, line)| <[i128; 2]>::from(line.reckoned(decimals)))
            .collect();
        assert_eq!(each, exact);
        let net: i128 = each.iter().map(|[net, _]| net).sum();
        let tax: i128 = each.iter().map(|[_, tax]| tax).sum();
        let said = [
            in_units(shown.subtotal, decimals),
            in_units(shown.tax_total, decimals),
            in_units(shown.total.amount().unwrap(), decimals),
            in_units(shown.amount_due.amount().unwrap(), decimals),
        ];
        let due = net + tax - paid - credited;
        assert_eq!(said, [net, tax, net + tax, due].map(Some));
    }
    delete(tx, &desk.who, id)
}

on_both_engines! {
    async fn totals_are_those_of_exact_fractions_whatever_comes_and_goes(world) {
        reckon(&world);
    }
}

fn reckon(world: &World) {
    let handle = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(24)
    });
    let currency = prop::sample::select(vec![("AUD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)]);
    let acts = prop::collection::vec(an_act(), 1..14);
    let run = |((currency, decimals), acts): ((&'static str, u32), Vec<Act>)| {
        let lived = world.write(move |tx, desk| live(tx, desk, currency, decimals, &acts));
        let failed = |error: crate::Error| TestCaseError::fail(error.to_string());
        handle.block_on(lived).map_err(failed)
    };
    tokio::task::block_in_place(|| runner.run(&(currency, acts), run)).unwrap();
}
