//! The Model Context Protocol: what agents see.
//!
//! Every operation is a tool, made from its declaration. A call of one goes the
//! way that a request over HTTP goes. Over HTTP no session is kept: each message
//! comes with its key and is answered in one piece, so that any of several servers
//! can answer it, and nothing of a client is left in memory between two.

mod arguments;
mod call;
mod door;
mod portable;
mod resources;
mod stdio;
mod tools;

use std::sync::Arc;

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode,
    Implementation, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use uuid::Uuid;

use crate::Service;
use crate::calls::Guest;
use crate::error::ApiError;

pub(crate) use door::Door;
pub use stdio::StdioError;
pub(crate) use tools::Tools;

/// For how long a client may rely on a listing, in milliseconds: another version
/// of the server or other scopes of the key change it.
const FRESH: u64 = 60_000;

/// What a client's model is told before anything else.
const INSTRUCTIONS: &str = "The sales pipeline of one business: opportunities (deals) that move \
    through the stages of pipelines, with their contacts, companies, users, products, invoices, work orders, tasks, \
    activities and referrals. Start with get_ai_instructions, which says how to work in this workspace and which pipelines and stages \
    it has; describe_resource tells what a kind of record can do. An error says how to put it \
    right in `fix` and what would be valid in `hint`: correct the call and make it again.";

/// Whoever is at the other end of a pipe.
#[derive(Clone)]
pub enum Identity {
    /// A client with an API key.
    Key(String),
    /// The operator, at work in this workspace without a key.
    Operator(Uuid),
}

/// What answers an agent's messages.
#[derive(Clone)]
struct Agent {
    service: Arc<Service>,
    tools: Arc<Tools>,
    visitor: Visitor,
}

/// Whose messages they are.
#[derive(Clone)]
enum Visitor {
    /// Someone who was let in with the message itself.
    Admitted(Box<Guest<'static>>),
    /// Someone who is let in anew for each.
    Standing(Identity),
}

impl Agent {
    /// The caller, for one message.
    async fn guest(&self) -> Result<Guest<'_>, ApiError> {
        let identity = match &self.visitor {
            Visitor::Admitted(guest) => return Ok((**guest).clone()),
            Visitor::Standing(identity) => identity,
        };
        let request_id = Uuid::now_v7().to_string();
        let calls = self.service.calls();
        let admitted = match identity {
            Identity::Key(key) => calls.admit(key, &request_id).await,
            Identity::Operator(workspace_id) => {
                Ok(calls.admit_operator(*workspace_id, &request_id))
            }
        };
        let guest = admitted.map_err(|error| error.told(&request_id))?;
        calls.pace(&guest)?;
        Ok(guest)
    }
}

impl ServerHandler for Agent {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        let about =
            Implementation::new("dealwright", env!("CARGO_PKG_VERSION")).with_title("Dealwright");
        ServerConfig::new(capabilities)
            .with_server_info(about)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let guest = self.guest().await.map_err(failure)?;
        let cursor = request.and_then(|request| request.cursor);
        let operations = self.service.operations();
        let page = self
            .tools
            .page(operations, guest.who.scopes, cursor.as_deref())
            .ok_or_else(|| ErrorData::invalid_params("The cursor is of no page", None))?;
        let mut result = ListToolsResult::with_all_items(page.tools);
        result.next_cursor = page.next;
        result.ttl_ms = Some(FRESH);
        result.cache_scope = Some(CacheScope::Private);
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(place) = self.tools.find(&request.name) else {
            let shown: String = request.name.chars().take(100).collect();
            let message = format!("There is no tool {shown}: tools/list lists those there are");
            return Err(ErrorData::invalid_params(message, None));
        };
        let guest = match self.guest().await {
            Ok(guest) => guest,
            Err(error) => return Ok(call::refused(&error).into()),
        };
        let operation = &self.service.operations()[place];
        let arguments = request.arguments.unwrap_or_default();
        let ended = call::perform(&self.service, operation, guest, arguments).await;
        Ok(match ended {
            Ok(finished) => call::answered(finished).into(),
            Err(error) => call::refused(&error).into(),
        })
    }

    /// A request that is none of the protocol's; one of the protocol's with
    /// parameters of another shape is taken for such.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let CustomRequest { method, .. } = request;
        match &*method {
            "initialize"
            | "tools/list"
            | "tools/call"
            | "resources/list"
            | "resources/read"
            | "resources/templates/list" => {
                let message = format!("The params of {method} have not the shape that they need");
                Err(ErrorData::invalid_params(message, None))
            }
            _ => Err(ErrorData::new(
                ErrorCode::METHOD_NOT_FOUND,
                "There is no such method",
                None,
            )),
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let guest = self.guest().await.map_err(failure)?;
        let cursor = request.and_then(|request| request.cursor);
        resources::list(&self.service, guest, cursor)
            .await
            .map_err(failure)
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let guest = self.guest().await.map_err(failure)?;
        Ok(resources::templates(
            self.service.operations(),
            guest.who.scopes,
        ))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let guest = self.guest().await.map_err(failure)?;
        resources::read(&self.service, guest, request.uri).await
    }
}

/// An error of a message that is no call of a tool.
fn failure(error: ApiError) -> ErrorData {
    let data = serde_json::to_value(error.without_headers()).ok();
    let message = error.message;
    match error.status.as_u16() {
        404 => ErrorData::resource_not_found(message, data),
        500.. => ErrorData::internal_error(message, data),
        _ => ErrorData::invalid_request(message, data),
    }
}
