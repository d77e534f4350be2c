use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use super::*;

/// One datagram, or several of one source joined by the kernel.
fn meta(from: u8, len: usize, stride: usize) -> RecvMeta {
    RecvMeta { addr: SocketAddr::from(([127, 0, 0, from], 9)), len, stride, ecn: None, dst_ip: None }
}

#[test]
fn what_is_left_of_a_batch_keeps_its_order_its_bytes_and_its_segments() {
    let (banned, ada, bob) = (66, 1, 2);
    let sent = [(banned, 30, 10), (ada, 40, 10), (banned, 7, 7), (banned, 8, 8), (bob, 5, 5), (ada, 24, 12)];
    for rotation in 0..sent.len() {
        let mut sent = sent;
        sent.rotate_left(rotation);
        let mut memory: Vec<Vec<u8>> = (0..sent.len()).map(|n| vec![n as u8; 64]).collect();
        let mut buffers: Vec<_> = memory.iter_mut().map(|bytes| IoSliceMut::new(bytes)).collect();
        let mut metas = sent.map(|(from, len, stride)| meta(from, len, stride));
        let elsewhere = |meta: &RecvMeta| meta.addr.ip() != IpAddr::from([127, 0, 0, banned]);
        let kept = keep(&mut buffers, &mut metas, sent.len(), elsewhere);
        let left: Vec<_> = sent.iter().enumerate().filter(|(_, (from, ..))| *from != banned).collect();
        assert_eq!(kept, left.len());
        for (at, (n, (from, len, stride))) in left.into_iter().enumerate() {
            assert_eq!((metas[at].addr, metas[at].len), (meta(*from, 0, 0).addr, *len));
            assert_eq!(metas[at].stride, *stride);
            assert!(buffers[at].iter().all(|byte| *byte == n as u8), "its own bytes");
        }
    }
}

#[test]
fn only_what_was_received_is_looked_at() {
    let mut buffers: [IoSliceMut<'_>; 2] = [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])];
    let mut metas = [meta(1, 1, 1), meta(2, 1, 1)];
    let looks = AtomicUsize::new(0);
    let count = |_: &RecvMeta| {
        looks.fetch_add(1, Ordering::Relaxed);
        true
    };
    assert_eq!(keep(&mut buffers, &mut metas, 1, count), 1);
    assert_eq!(looks.into_inner(), 1);
}

#[test]
fn a_source_is_judged_once_for_as_long_as_it_goes_on() {
    let from = [66, 66, 1, 1, 66, 1];
    let mut memory = [[0; 1]; 6];
    let mut buffers: Vec<_> = memory.iter_mut().map(|bytes| IoSliceMut::new(bytes)).collect();
    let mut metas = from.map(|from| meta(from, 1, 1));
    let asked = std::cell::RefCell::new(Vec::new());
    let is_heard = judged_once(|address| {
        asked.borrow_mut().push(address);
        address != IpAddr::from([127, 0, 0, 66])
    });
    assert_eq!(keep(&mut buffers, &mut metas, from.len(), is_heard), 3);
    assert_eq!(asked.into_inner(), [66, 1, 66, 1].map(|from| IpAddr::from([127, 0, 0, from])));
    assert!(metas[..3].iter().all(|kept| kept.addr == meta(1, 1, 1).addr));
}

/// A socket that always has another batch, all of it dropped.
#[derive(Debug, Default)]
struct Flood {
    batches: AtomicUsize,
}

impl AsyncUdpSocket for Flood {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        unreachable!("this flood only arrives; nothing is sent")
    }
    fn try_send(&self, _: &Transmit) -> io::Result<()> {
        Ok(())
    }
    fn poll_recv(
        &self,
        _: &mut Context,
        _: &mut [IoSliceMut<'_>],
        _: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(0))
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[test]
fn a_flood_of_dropped_datagrams_gives_the_lane_back() {
    struct Woken(AtomicUsize);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (flood, woken) = (Arc::new(Flood::default()), Arc::new(Woken(AtomicUsize::new(0))));
    let socket = FilteringSocket::on(flood.clone());
    let waker = Waker::from(woken.clone());
    let polled = socket.poll_recv(&mut Context::from_waker(&waker), &mut [], &mut []);
    assert!(polled.is_pending());
    assert_eq!(flood.batches.load(Ordering::Relaxed), DROPPED_BATCHES_PER_TURN);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1, "it has itself polled again");
}
