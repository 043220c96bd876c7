//! Records as resources: each that has an address of its own over HTTP has one
//! here, and reading it is the same operation.

use std::collections::BTreeMap;

use axum::http::Method;
use bytes::Bytes;
use crm::scopes::Scopes;
use rmcp::ErrorData;
use rmcp::model::{
    CacheScope, JsonObject, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResponse,
    ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};
use serde_json::{Value, json};

use super::{FRESH, call, failure};
use crate::Service;
use crate::calls::Guest;
use crate::error::ApiError;
use crate::operation::{Operation, PathParameter};

/// What the addresses of resources begin with.
const SCHEME: &str = "dealwright://";

/// The operation whose records are listed: few, and what an agent needs to know
/// before it moves anything.
const LISTED: &str = "list_pipelines";

const JSON: &str = "application/json";
const MARKDOWN: &str = "text/markdown";

/// The pages about the API that are resources too, each with what it is.
const PAGES: [(&str, &str, &str); 2] = [
    (
        "llms.txt",
        "The API at a glance",
        "Every operation in a line, for finding the one that is wanted.",
    ),
    (
        "llms-full.txt",
        "The whole reference",
        "Every operation with its fields, its answer and its errors.",
    ),
];

/// A page of the resources: what is said about the API, and the pipelines if the
/// guest may see them.
pub(super) async fn list(
    service: &Service,
    guest: Guest<'_>,
    cursor: Option<String>,
) -> Result<ListResourcesResult, ApiError> {
    let mut resources = match &cursor {
        None => pages(),
        Some(_) => Vec::new(),
    };
    let mut next_cursor = None;
    let operation = service
        .operations()
        .iter()
        .find(|operation| operation.tool == LISTED)
        .filter(|operation| operation.missing_scopes(guest.who.scopes).is_empty());
    if let Some(operation) = operation {
        let mut arguments = JsonObject::new();
        arguments.insert("limit".to_owned(), 100.into());
        arguments.extend(cursor.map(|cursor| ("cursor".to_owned(), cursor.into())));
        let finished = call::perform(service, operation, guest, arguments).await?;
        let answer: Value = serde_json::from_slice(&finished.body.of_tool().unwrap_or_default())
            .unwrap_or_default();
        let records = answer["data"].as_array().into_iter().flatten();
        resources.extend(records.filter_map(pipeline));
        let next = &answer["pagination"]["next_cursor"];
        next_cursor = next.as_str().map(str::to_owned);
    }
    let mut result = ListResourcesResult::with_all_items(resources);
    result.next_cursor = next_cursor;
    result.ttl_ms = Some(0);
    result.cache_scope = Some(CacheScope::Private);
    Ok(result)
}

fn pages() -> Vec<Resource> {
    let pages = PAGES.map(|(name, title, description)| {
        Resource::new(format!("{SCHEME}{name}"), name)
            .with_title(title)
            .with_mime_type(MARKDOWN)
            .with_description(description)
    });
    pages.into()
}

fn pipeline(record: &Value) -> Option<Resource> {
    let text = |name: &str| record[name].as_str();
    let uri = format!("{SCHEME}pipelines/{}", text("id")?);
    let resource = Resource::new(uri, text("name")?)
        .with_title(text("name")?)
        .with_mime_type(JSON)
        .with_description(match text("description") {
            Some(description) => format!("A pipeline with its stages: {description}"),
            None => "A pipeline with its stages.".to_owned(),
        });
    Some(resource)
}

/// The addresses of the records that a caller with these scopes may read.
pub(super) fn templates(operations: &[Operation], scopes: Scopes) -> ListResourceTemplatesResult {
    let readable = operations
        .iter()
        .filter(|operation| operation.missing_scopes(scopes).is_empty())
        .filter_map(|operation| Some((operation, id_of(operation)?)));
    let templates = readable.map(|(operation, id)| {
        let address = operation.path.trim_start_matches('/');
        let place = format!(":{}", id.name);
        let variable = format!("{{{}}}", id.argument());
        let uri = format!("{SCHEME}{}", address.replace(&place, &variable));
        let name = id.argument();
        ResourceTemplate::new(uri, name.trim_end_matches("_id"))
            .with_title(id.record)
            .with_description(operation.description)
            .with_mime_type(JSON)
    });
    let mut result = ListResourceTemplatesResult::with_all_items(templates.collect());
    result.ttl_ms = Some(FRESH);
    result.cache_scope = Some(CacheScope::Private);
    result
}

/// The id of an operation that reads one record, at the record's own address.
fn id_of(operation: &Operation) -> Option<PathParameter> {
    let mut ids = operation.path_parameters();
    let only = ids.next().filter(|_| ids.next().is_none())?;
    let at_its_end = operation.path.ends_with(&format!(":{}", only.name));
    (operation.method == Method::GET && at_its_end).then_some(only)
}

/// Reads what is at an address.
pub(super) async fn read(
    service: &Service,
    guest: Guest<'_>,
    uri: String,
) -> Result<ReadResourceResponse, ErrorData> {
    let address = uri.strip_prefix(SCHEME).unwrap_or_default();
    let (text, media_type, fresh) = if PAGES.iter().any(|(name, ..)| *name == address) {
        (service.page(&format!("/{address}")), MARKDOWN, FRESH)
    } else {
        (record(service, guest, address).await?, JSON, 0)
    };
    let Some(text) = text else {
        let message = "There is no such resource";
        return Err(ErrorData::resource_not_found(
            message,
            Some(json!({ "uri": uri })),
        ));
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let contents = ResourceContents::text(text, uri).with_mime_type(media_type);
    let mut result = ReadResourceResult::new(vec![contents]);
    result.ttl_ms = Some(fresh);
    result.cache_scope = Some(CacheScope::Private);
    Ok(result.into())
}

/// Reads the record at an address; none when no record could be there.
async fn record(
    service: &Service,
    guest: Guest<'_>,
    address: &str,
) -> Result<Option<Bytes>, ErrorData> {
    let addresses: BTreeMap<_, _> = service
        .operations()
        .iter()
        .filter_map(|operation| {
            let id = id_of(operation)?;
            let before = operation.path.strip_suffix(&format!(":{}", id.name))?;
            Some((before, (operation, id)))
        })
        .collect();
    let found = address.rsplit_once('/').and_then(|(before, id)| {
        let (operation, parameter) = addresses.get(&*format!("/{before}/"))?;
        Some((*operation, parameter.argument(), id))
    });
    let Some((operation, argument, id)) = found else {
        return Ok(None);
    };
    let arguments = JsonObject::from_iter([(argument, id.into())]);
    let finished = call::perform(service, operation, guest, arguments)
        .await
        .map_err(failure)?;
    Ok(finished.body.of_tool().map(Bytes::from))
}
