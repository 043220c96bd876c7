//! What the machine could answer at most: a bare axum server that sends the same
//! bytes again and again.
//!
//! `limit BYTES` listens on any free port of the loopback, prints its address
//! and answers every `GET` with so many bytes.

use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let size = std::env::args().nth(1).ok_or("usage: limit BYTES")?;
    let answer = Bytes::from(vec![b'x'; size.parse()?]);
    let answers = move || async move { ([(CONTENT_TYPE, "application/json")], answer.clone()) };
    let app = Router::new().fallback(get(answers));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    // As the server does it: what answers in one piece must not wait for more.
    let listener = listener.tap_io(|stream| {
        // It fails only for a connection that is gone.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await?;
    Ok(())
}
