//! What line items and their invoice come to.
//!
//! A line is rounded to the smallest unit of the invoice's currency, and so is
//! everything that it is added to: what is shown adds up, whatever came and went.

use std::iter::Sum;
use std::ops::{Add, Sub};

use crate::error::Result;
use crate::money::{Amount, Currency, Percent, Quantity, Total, Worth};

use super::Invoice;
use super::lines::LineItem;

/// What lines come to, before tax and in tax.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    net: Total,
    tax: Total,
}

impl Totals {
    /// What a single line comes to.
    pub(super) fn of_line(line_total: Amount, tax_amount: Amount) -> Self {
        Self {
            net: line_total.into(),
            tax: tax_amount.into(),
        }
    }

    /// The subtotal and the tax total; an error if there is no room for one of them.
    pub(super) fn amounts(self) -> Result<(Amount, Amount)> {
        Ok((
            room(self.net, "unit_price", "the subtotal of the invoice")?,
            room(self.tax, "tax_amount", "the tax of the invoice")?,
        ))
    }
}

impl Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            net: self.net + other.net,
            tax: self.tax + other.tax,
        }
    }
}

impl Sub for Totals {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            net: self.net - other.net,
            tax: self.tax - other.tax,
        }
    }
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(lines: I) -> Self {
        lines.fold(Self::default(), Add::add)
    }
}

impl LineItem {
    pub(super) fn totals(&self) -> Totals {
        Totals::of_line(self.line_total, self.tax_amount)
    }
}

impl Invoice {
    /// What its lines come to.
    pub(super) fn totals(&self) -> Totals {
        Totals::of_line(self.subtotal, self.tax_total)
    }

    /// Has its lines come to `totals`.
    ///
    /// # Errors
    /// There is no room for that; the invoice stays as it is.
    pub(super) fn come_to(&mut self, totals: Totals) -> Result<()> {
        let mut changed = self.clone();
        (changed.subtotal, changed.tax_total) = totals.amounts()?;
        changed.derive();
        changed.check_room()?;
        *self = changed;
        Ok(())
    }

    /// Refuses one whose total or what is due of it has no room.
    pub(super) fn check_room(&self) -> Result<()> {
        room(self.total, "unit_price", "the total of the invoice")?;
        room(self.amount_due, "amount_paid", "what is due of the invoice")?;
        Ok(())
    }
}

/// A total as an amount, which `field` must leave room for.
fn room(total: Total, field: &str, what: &str) -> Result<Amount> {
    total.amount().ok_or_else(|| Amount::no_room(field, what))
}

/// What a line comes to before tax: quantity × unit price less discount.
pub(super) fn line_total(
    quantity: Quantity,
    unit_price: Amount,
    discount: Percent,
    currency: Currency,
) -> Result<Amount> {
    Worth::of(quantity, unit_price, discount)
        .and_then(|worth| worth.rounded_to(currency.decimals()))
        .ok_or_else(|| Amount::no_room("unit_price", "quantity × unit_price"))
}

/// What was given as `field` in the smallest unit of `currency`.
pub(super) fn payable(field: &str, amount: Amount, currency: Currency) -> Result<Amount> {
    amount
        .rounded_to(currency.decimals())
        .ok_or_else(|| Amount::no_room(field, field))
}
