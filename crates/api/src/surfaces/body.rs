//! Reading a request's body: one JSON object, of bounded size and depth.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// How deep lists and objects may stand in each other.
const DEPTH: usize = 128;

/// How many values a body may hold: far more than a hundred records have, and
/// few enough that reading them takes no more memory than the body itself
/// deserves.
const VALUES: usize = 200_000;

/// From how many bytes on a body is read away from the threads that answer.
const LARGE: usize = 256 * 1024;

/// How much of a body that is not wanted is still taken in, in bytes.
const DRAINED: usize = 64 * 1024 * 1024;

/// The object that a request came with. No body at all is an empty object
/// where `may_be_absent`.
///
/// # Errors
/// `UNSUPPORTED_MEDIA_TYPE` and `INVALID_BODY`.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: &mut Body,
    limit: usize,
    may_be_absent: bool,
) -> Result<Map<String, Value>, ApiError> {
    let bytes = collect(body, limit).await?;
    if bytes.is_empty() {
        return match may_be_absent {
            true => Ok(Map::new()),
            false => Err(ApiError::invalid_body("The request has no body")),
        };
    }
    check_media_type(headers)?;
    if bytes.len() < LARGE {
        return parse(&bytes);
    }
    match tokio::task::spawn_blocking(move || parse(&bytes)).await {
        Ok(parsed) => parsed,
        Err(error) => Err(ApiError::internal(error.to_string())),
    }
}

/// The whole body, of at most `limit` bytes.
///
/// # Errors
/// `INVALID_BODY`.
pub(crate) async fn collect(body: &mut Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| ApiError::invalid_body("The body broke off or came too slowly"))?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > limit {
                return Err(ApiError::body_too_large(limit));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}

/// Takes in what is left of a body that is not wanted, so that the client reads
/// the refusal instead of a broken connection, and can go on to use it.
pub(crate) async fn drain(mut body: Body) {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, bytes::Bytes::len);
        if length > DRAINED {
            return;
        }
    }
}

/// Refuses a body that does not say that it is JSON.
pub(crate) fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    match essence.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => Err(ApiError::unsupported_media_type(given)),
    }
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    check_size(bytes)?;
    let mut source = serde_json::Deserializer::from_slice(bytes);
    // The depth is known; the parser's own limit is one level short of ours.
    source.disable_recursion_limit();
    let value = Value::deserialize(&mut source)
        .and_then(|value| source.end().map(|()| value))
        .map_err(|error| ApiError::invalid_body(format!("The body is not valid JSON: {error}")))?;
    match value {
        Value::Object(object) => Ok(object),
        other => Err(ApiError::invalid_body(format!(
            "The body must be a JSON object, not {}",
            crm::input::kind_of(&other)
        ))),
    }
}

/// Refuses what is nested too deep or holds too many values: told before
/// parsing, because a parser would need the stack and the memory for it.
pub(crate) fn check_size(bytes: &[u8]) -> Result<(), ApiError> {
    let (mut depth, mut values, mut in_string, mut escaped) = (0_usize, 1_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > DEPTH {
            return Err(ApiError::invalid_body(format!(
                "The body is nested deeper than {DEPTH} levels"
            )));
        }
        if values > VALUES {
            return Err(ApiError::invalid_body(format!(
                "The body holds more than {VALUES} values"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        let lists = depth - 1;
        format!(r#"{{"a":{}{}}}"#, "[".repeat(lists), "]".repeat(lists))
    }

    #[test]
    fn a_body_may_be_128_deep_and_no_deeper() {
        assert!(parse(nested(128).as_bytes()).is_ok());
        assert_eq!(
            parse(nested(129).as_bytes()).unwrap_err().code,
            "INVALID_BODY"
        );
        assert!(parse(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn a_body_may_not_hold_more_values_than_its_reading_is_worth() {
        let list = |values: usize| format!(r#"{{"a":[{}0]}}"#, "0,".repeat(values - 1));
        assert!(parse(list(VALUES - 10).as_bytes()).is_ok());
        let error = parse(list(VALUES + 10).as_bytes()).unwrap_err();
        assert!(error.message.contains("values"), "{}", error.message);
    }

    #[test]
    fn brackets_in_texts_are_no_depth() {
        let text = format!(r#"{{"a":"\"{}\\"}}"#, "[".repeat(1000));
        assert_eq!(
            parse(text.as_bytes()).unwrap()["a"].as_str().unwrap().len(),
            1002
        );
    }

    #[test]
    fn what_is_no_object_is_refused_in_words() {
        for (body, said) in [
            ("[]", "a list"),
            ("null", "null"),
            ("7", "a number"),
            ("{} {}", "trailing"),
            (r#"{"a":"\ud800"}"#, "not valid JSON"),
            ("{\"a\":\"\u{1}\"}", "control character"),
        ] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert!(error.message.contains(said), "{body}: {}", error.message);
        }
        assert!(parse(b"{\"a\":\"\xff\"}").is_err());
    }
}
