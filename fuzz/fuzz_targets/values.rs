//! The readers of single values: what is read says the same when it is read
//! again as it was written down.

#![no_main]

use crm::email::Email;
use crm::fold::{fold, phone_needles};
use crm::idempotency::Key;
use crm::money::{Amount, Currency, Percent};
use crm::phone::{Region, any_number, mobile_or_any};
use crm::text::Text;
use crm::time::{Date, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Key::read(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(amount) = Amount::parse(text) {
        assert_eq!(Amount::parse(&amount.to_string()), Some(amount), "{text:?}");
        if let Some(percent) = Percent::of(amount) {
            assert_eq!(
                Amount::parse(&percent.to_string()),
                Some(amount),
                "{text:?}"
            );
        }
    }
    if let Ok(currency) = Currency::parse(text) {
        assert_eq!(Currency::parse(currency.code()).ok(), Some(currency));
    }
    if let Ok(instant) = Timestamp::parse(text) {
        assert_eq!(
            Timestamp::parse(&instant.to_string()).ok(),
            Some(instant),
            "{text:?}"
        );
    }
    if let Ok(date) = Date::parse(text) {
        assert_eq!(Date::parse(&date.to_string()).ok(), Some(date), "{text:?}");
    }
    if let Ok(Some(kept)) = Text::<50>::read(text) {
        assert!(kept.chars().count() <= 50, "{text:?}");
        assert_eq!(
            Text::read(&kept).ok().flatten().as_ref(),
            Some(&kept),
            "{text:?}"
        );
    }
    if let Ok(Some(address)) = Email::read(text) {
        assert_eq!(
            Email::read(&address).ok().flatten(),
            Some(address),
            "{text:?}"
        );
    }
    let folded = fold(text);
    assert_eq!(fold(&folded), folded, "{text:?}");
    for country in ["AU", "US", "DE", "IT", ""] {
        let region = Region::of_country(country);
        let _ = phone_needles(text, region);
        for read in [mobile_or_any, any_number] {
            if let Ok(number) = read(text, region) {
                assert_eq!(any_number(&number, region).ok(), Some(number), "{text:?}");
            }
        }
    }
});
