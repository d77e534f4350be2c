//! One request and its answer over HTTP/3, and the little that a connection needs before.
use quinn::Connection;

use crate::frame;

/// Above any answer measured here.
pub const ANSWER_MAX: usize = 16 * 1024;

/// Our control stream, and a task that holds the server's: neither may ever be closed.
pub async fn start_http3(connection: &Connection) -> Option<()> {
    let mut control = connection.open_uni().await.ok()?;
    control.write_all(&frame::CONTROL).await.ok()?;
    let connection = connection.clone();
    tokio::task::spawn_local(async move {
        let mut held = Vec::new();
        while let Ok(theirs) = connection.accept_uni().await {
            held.push(theirs);
        }
        drop((control, held));
    });
    Some(())
}

/// Writes a whole request, reads the whole answer.
///
/// # Errors
/// The connection's or the stream's.
pub async fn exchange(
    connection: &Connection,
    request: &[u8],
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(request).await?;
    send.finish()?;
    Ok(recv.read_to_end(ANSWER_MAX).await?)
}

/// The text behind `mark`, up to its closing quote.
#[must_use]
pub fn member<'a>(body: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let from = body.windows(mark.len()).position(|window| window == mark)? + mark.len();
    let rest = &body[from..];
    rest.iter().position(|byte| *byte == b'"').map(|end| &rest[..end])
}
