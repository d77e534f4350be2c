//! A peer: the `h3` crate on quinn, which says hello to whatever is asked; 150 bytes each way.
use authepy_benches::client::ECHO;
use authepy_benches::yardstick;
use h3::server::RequestResolver;
use hyper::Response;
use hyper::body::Bytes;

/// Serves until it is killed; prints its address and certificate on one line first.
pub(crate) fn serve() -> Result<(), String> {
    yardstick::serve(|incoming| {
        tokio::spawn(connection(incoming));
    })
}

async fn connection(incoming: quinn::Incoming) {
    let Ok(connection) = incoming.await else { return };
    let connection = h3::server::Connection::new(h3_quinn::Connection::new(connection)).await;
    let Ok(mut connection) = connection else { return };
    while let Ok(Some(request)) = connection.accept().await {
        tokio::spawn(greet(request));
    }
}

async fn greet(request: RequestResolver<h3_quinn::Connection, Bytes>) {
    let Ok((_head, mut stream)) = request.resolve_request().await else { return };
    while let Ok(Some(_read)) = stream.recv_data().await {}
    if stream.send_response(Response::new(())).await.is_ok()
        && stream.send_data(Bytes::from_static(&ECHO)).await.is_ok()
    {
        let _peer_gone = stream.finish().await;
    }
}
