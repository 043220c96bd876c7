//! Numbers as people read them.

use std::time::Duration;

/// A count, as `1,000,000`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many a second: three digits of it, since no more of them mean anything.
pub(crate) fn rate(rate: f64) -> String {
    match rate {
        rate if rate < 9.995 => format!("{rate:.2}"),
        rate if rate < 99.95 => format!("{rate:.1}"),
        rate => {
            let unit = 10_f64.powf(rate.log10().floor() - 2.0);
            count(((rate / unit).round() * unit).round() as u64)
        }
    }
}

/// How many times something is something else.
pub(super) fn ratio(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 9.95 => format!("{ratio:.2}"),
        ratio => format!("{ratio:.0}"),
    }
}

/// A time, in the unit that suits it.
pub(crate) fn time(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    match milliseconds {
        time if time < 1.0 => format!("{:.0} µs", time * 1000.0),
        time if time < 10.0 => format!("{time:.1} ms"),
        time if time < 10_000.0 => format!("{time:.0} ms"),
        time => format!("{:.0} s", time / 1000.0),
    }
}

/// A number of bytes.
pub(crate) fn bytes(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    match megabytes {
        size if size < 100.0 => format!("{size:.1} MB"),
        size if size < 10_000.0 => format!("{size:.0} MB"),
        size => format!("{:.1} GB", size / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_say_their_unit() {
        assert_eq!(
            [count(999), count(1_000), count(1_234_567)],
            ["999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [rate(0.5), rate(61.27), rate(9_994.0)],
            ["0.50", "61.3", "9,990"]
        );
        assert_eq!([ratio(0.351), ratio(12.4)], ["0.35", "12"]);
        let millisecond = Duration::from_millis(1);
        assert_eq!(
            [time(millisecond / 4), time(millisecond * 25)],
            ["250 µs", "25 ms"]
        );
        assert_eq!([bytes(1_500_000), bytes(30_000_000)], ["1.5 MB", "30.0 MB"]);
    }
}
