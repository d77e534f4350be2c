//! From a request stream to its answer: one write, or the right way to have none.

use authepy_engine::identity::Mode;
use authepy_http3::error::{Code, Fault};
use authepy_http3::response;
use bytes::Bytes;
use quinn::{RecvStream, SendStream};
use tokio::time::{Instant, timeout};

use super::{Session, number};
use crate::http::reply::Reply;
use crate::http::target::RouteLabel;
use crate::limits;
use crate::net::quic::exchange::{Http3Exchange, RequestStream};
use crate::overload::patience::by;
use crate::serve::{overloaded, refuse, serve};

/// Room for the usual answer: 300 bytes of fields and 500 of body.
const USUAL_ANSWER_BYTES: usize = 1_024;

/// Serves one stream. True if its whole answer was handed to QUIC.
pub(super) async fn answer(session: &Session, recv: RecvStream, mut send: SendStream) -> bool {
    let mut stream = RequestStream::new(recv, session);
    let served = match stream.read_head().await {
        Ok(head) => serve(&session.context, &mut Http3Exchange { head, stream: &mut stream }).await,
        Err(Fault::Answer(refused)) => {
            Ok(Box::pin(refuse(&session.context, session.peer, refused.into())).await)
        }
        Err(fault) => {
            session.context.counters().aborted(RouteLabel::Unknown, Mode::Live);
            Err(fault)
        }
    };
    match served {
        Ok(reply) => {
            stream.stop(Code::NoError);
            let body = if stream.wants_body() { &*reply.body } else { &[] };
            write(session, &reply, body, send).await
        }
        Err(Fault::Connection(code)) => {
            session.close(code);
            false
        }
        Err(Fault::Stream(code)) => {
            stream.stop(code);
            let _gone = send.reset(number(code));
            false
        }
        Err(Fault::Answer(_)) => false,
    }
}

/// Answers one that nobody has time to read: 503 `overloaded`.
pub(super) async fn turn_away(session: &Session, mut recv: RecvStream, send: SendStream) -> bool {
    // An error means that all of it has come.
    let _whole = recv.stop(number(Code::NoError));
    let reply = overloaded(&session.context, session.key.get().1);
    write(session, &reply, &reply.body, send).await
}

async fn write(session: &Session, reply: &Reply, body: &[u8], mut send: SendStream) -> bool {
    let answer = Bytes::from(encode(session, reply, body));
    match by(|| Instant::now() + session.admission.deadline(), send.write_chunk(answer)).await {
        // An error means that the peer does not want it any more.
        Ok(written) => {
            let complete = written.is_ok() && send.finish().is_ok();
            if complete && session.context.drain().has_begun() {
                // The connection is closed once this request is over, and what is not yet acknowledged is lost
                // with it.
                let _heard = timeout(limits::DRAIN_ACKNOWLEDGED, send.stopped()).await;
            }
            complete
        }
        // A peer that takes nothing holds our buffers; its stream ends here.
        Err(_) => {
            let _gone = send.reset(number(Code::RequestCancelled));
            false
        }
    }
}

fn encode(session: &Session, reply: &Reply, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_ANSWER_BYTES);
    session.context.with_date(|date| {
        response::encode(reply.status, |write| reply.fields(date.as_bytes(), write), body, &mut out);
    });
    out
}
