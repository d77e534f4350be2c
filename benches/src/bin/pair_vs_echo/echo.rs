//! The yardstick: a quinn server that reads a stream to its end and writes as many bytes back.

use authepy_benches::yardstick;

/// Serves until it is killed; prints its address and certificate on one line first.
pub(crate) fn serve() -> Result<(), String> {
    yardstick::serve(|incoming| {
        tokio::spawn(connection(incoming));
    })
}

async fn connection(incoming: quinn::Incoming) {
    let Ok(connection) = incoming.await else { return };
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        tokio::spawn(async move {
            let Ok(bytes) = recv.read_to_end(authepy_benches::wire::ANSWER_MAX).await else { return };
            if send.write_all(&bytes).await.is_ok() {
                let _ = send.finish();
            }
        });
    }
}
