//! Texts as a workbook can hold them.

use std::borrow::Cow;
use std::fmt::Write as _;

/// How long the text of a cell is at most, in units of UTF-16.
const LONGEST: usize = 32_767;

/// The text, or as much of it as fits into a cell.
pub(super) fn cut(text: &str) -> Cow<'_, str> {
    // No character has fewer bytes than units.
    if text.len() <= LONGEST || text.encode_utf16().count() <= LONGEST {
        return text.into();
    }
    let mut units = 0;
    let whole = text.chars().take_while(|character| {
        units += character.len_utf16();
        units < LONGEST
    });
    let mut kept: String = whole.collect();
    kept.push('…');
    kept.into()
}

/// Adds the text as XML. What XML has no way to write, Excel reads as `_x0007_`; a
/// text that looks like that itself has its first sign written so.
pub(super) fn escape(text: &str, into: &mut String) {
    for (place, character) in text.char_indices() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\t' | '\n' => into.push(character),
            // A parser takes a carriage return for a line feed.
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => code(character, into),
            '_' if is_code(&text[place..]) => code(character, into),
            character => into.push(character),
        }
    }
}

fn code(character: char, into: &mut String) {
    // Writing into a String can't fail.
    let _ = write!(into, "_x{:04X}_", u32::from(character));
}

/// Whether it begins with something like `_x0007_`.
fn is_code(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 7
        && bytes.starts_with(b"_x")
        && bytes[2..6].iter().all(u8::is_ascii_hexdigit)
        && bytes[6] == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_can_not_hold_is_written_as_its_code() {
        let escaped = |text: &str| {
            let mut into = String::new();
            escape(text, &mut into);
            into
        };
        assert_eq!(escaped("a < b & \"c\""), "a &lt; b &amp; &quot;c&quot;");
        assert_eq!(escaped("\u{7}\r\n\t"), "_x0007__x000D_\n\t");
        assert_eq!(escaped("_x0007_ _x07_"), "_x005F_x0007_ _x07_");
        assert_eq!(escaped("\u{ffff}東京 🦀"), "_xFFFF_東京 🦀");
    }

    #[test]
    fn a_text_is_cut_where_a_cell_is_full() {
        let fits = "ä".repeat(LONGEST);
        assert_eq!(cut(&fits), fits);
        let longer = format!("{fits}ö");
        assert_eq!(cut(&longer), format!("{}…", "ä".repeat(LONGEST - 1)));
        // Two units each, and never half a character.
        assert_eq!(cut(&"🦀".repeat(20_000)).encode_utf16().count(), LONGEST);
    }
}
