//! What things are called in paths, in tools and in words, today and once.

/// Path segments that have an old name: today's, and the old one. Every route
/// with the one exists with the other too.
pub(crate) const OLD_SEGMENTS: [(&str, &str); 2] =
    [("opportunities", "deals"), ("companies", "customers")];

/// The parameters of a path, each after the segment that it follows.
pub(crate) fn parameters(path: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let segments = path.split('/');
    segments
        .clone()
        .zip(segments.skip(1))
        .filter_map(|(before, segment)| Some((before, segment.strip_prefix(':')?)))
}

/// True of a segment of a path that stands for an id.
pub(crate) fn is_parameter(segment: &str) -> bool {
    segment.starts_with(':')
}

/// A segment of a path in words: `api-keys` as `API keys`.
pub(crate) fn words(segment: &str) -> String {
    let words: Vec<_> = segment
        .split('-')
        .map(|word| match word {
            "api" => "API",
            "crm" => "CRM",
            word => word,
        })
        .collect();
    words.join(" ")
}

/// A name in camel case in words: `opportunityProduct` as `opportunity product`.
pub(crate) fn spaced(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words
}

/// What a record is called today, by any of its names: a `deal` is an
/// `opportunity`.
pub(crate) fn today(record: &str) -> String {
    let record = record.to_lowercase();
    let renamed = OLD_SEGMENTS.iter().find(|(_, old)| singular(old) == record);
    renamed.map_or(record, |(today, _)| singular(today))
}

/// One of what a resource is called by: `companies` are each a `company`.
pub(crate) fn singular(plural: &str) -> String {
    match plural.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => plural.strip_suffix('s').unwrap_or(plural).to_owned(),
    }
}

pub(crate) fn rename(path: &str, today: &str, old: &str) -> String {
    let segments: Vec<_> = path
        .split('/')
        .map(|segment| if segment == today { old } else { segment })
        .collect();
    segments.join("/")
}

/// What a resource was once called.
pub(crate) fn old_names(resource: &str) -> impl Iterator<Item = &'static str> {
    let old = OLD_SEGMENTS
        .into_iter()
        .filter(move |(today, _)| *today == resource);
    old.map(|(_, old)| old)
}

/// The name of a tool or of an argument with its words in their old form, of one
/// and of many.
pub(crate) fn rename_words(name: &str, (today, old): (&str, &str)) -> String {
    let words: Vec<_> = name
        .split('_')
        .map(|word| match word {
            word if word == today => old.to_owned(),
            word if word == singular(today) => singular(old),
            word => word.to_owned(),
        })
        .collect();
    words.join("_")
}
