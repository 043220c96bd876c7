//! The protocol over a pipe: a message a line, from one client, until it ends.

use std::future::Future;
use std::sync::Arc;

use rmcp::service::{RunningService, ServerInitializeError, serve_server};
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinError;

use super::{Agent, Identity, Tools, Visitor};
use crate::Service;

/// Why a pipe was not served to its end.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// The client began with something else than the protocol.
    #[error("the client does not speak the protocol: {0}")]
    Opening(#[from] Box<ServerInitializeError>),
    /// The work panicked.
    #[error("the server failed")]
    Failed(#[from] JoinError),
}

impl Service {
    /// Answers the messages of one client until it closes the pipe, or until
    /// `ended`. What was begun by then is finished.
    ///
    /// # Errors
    /// The client does not speak the protocol.
    pub async fn serve_pipe<R, W>(
        self: &Arc<Self>,
        identity: Identity,
        read: R,
        write: W,
        ended: impl Future<Output = ()>,
    ) -> Result<(), StdioError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let with_keys = matches!(identity, Identity::Key(_));
        let agent = Agent {
            service: self.clone(),
            tools: Arc::new(Tools::new(self.operations(), with_keys)),
            visitor: Visitor::Standing(identity),
        };
        let transport = AsyncRwTransport::new_server(read, write);
        let opening = serve_server(agent, transport);
        tokio::pin!(ended);
        let running: RunningService<_, _> = tokio::select! {
            () = &mut ended => return Ok(()),
            opened = opening => match opened {
                Ok(running) => running,
                // It has nothing to say.
                Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
                Err(error) => return Err(Box::new(error).into()),
            },
        };
        let stop = running.cancellation_token();
        let waiting = running.waiting();
        tokio::pin!(waiting);
        tokio::select! {
            ended = &mut waiting => { ended?; }
            () = ended => {
                stop.cancel();
                waiting.await?;
            }
        }
        Ok(())
    }
}
