//! A relay that takes its time: each answer as late as it is told to be, and gone when it is told so.
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Answers after so many milliseconds.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) mails: Arc<AtomicU64>,
    gone: watch::Sender<bool>,
}

impl Relay {
    /// Starts it on this thread's runtime.
    pub(crate) async fn start(delay: Duration) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let (gone, until) = watch::channel(false);
        let mails = Arc::<AtomicU64>::default();
        let count = mails.clone();
        tokio::task::spawn_local(async move {
            let mut end = until.clone();
            loop {
                tokio::select! {
                    _ = end.changed() => return,
                    Ok((stream, _)) = listener.accept() => {
                        let (mut end, count) = (until.clone(), count.clone());
                        tokio::task::spawn_local(async move {
                            tokio::select! {
                                _ = end.changed() => {}
                                _ = serve(stream, delay, count) => {}
                            }
                        });
                    }
                }
            }
        });
        Ok(Self { address, mails, gone })
    }

    /// Hangs up on everybody; nobody listens any more.
    pub(crate) fn leave(&self) {
        let _nobody_was_there = self.gone.send(true);
    }
}

async fn serve(stream: TcpStream, delay: Duration, mails: Arc<AtomicU64>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 relay.test\r\n").await?;
    let mut in_body = false;
    while let Some(line) = lines.next_line().await? {
        let answer: &[u8] = match line.get(..4).unwrap_or(&line) {
            "." if in_body => {
                in_body = false;
                mails.fetch_add(1, Ordering::Relaxed);
                b"250 OK\r\n"
            }
            _ if in_body => continue,
            "EHLO" => b"250-relay.test\r\n250 PIPELINING\r\n",
            "DATA" => {
                in_body = true;
                b"354 go on\r\n"
            }
            // The group's answers leave with its last one.
            "MAIL" | "RCPT" => {
                write.write_all(b"250 OK\r\n").await?;
                continue;
            }
            _ => b"250 OK\r\n",
        };
        tokio::time::sleep(delay).await;
        write.write_all(answer).await?;
    }
    Ok(())
}
