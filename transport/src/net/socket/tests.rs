use std::time::Duration;

use quinn::ConnectionIdGenerator as _;

use super::*;

#[test]
fn a_second_server_does_not_join_a_port_in_use() {
    let steering = Steering::draw(2);
    let held = bind_lanes("127.0.0.1:0".parse().unwrap(), &steering).unwrap();
    let address = held[0].local_addr().unwrap();
    assert_eq!(bind_lanes(address, &steering).unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

/// The sockets of all lanes, bound.
fn listening(steering: &Steering) -> (Vec<UdpSocket>, SocketAddr) {
    let sockets = bind_lanes("127.0.0.1:0".parse().unwrap(), steering).unwrap();
    let address = sockets[0].local_addr().unwrap();
    (sockets, address)
}

#[test]
fn datagrams_are_steered_by_the_connection_id_not_by_their_source() {
    let lanes = 4;
    let (steering, mark) = (Steering::draw(lanes), IdMark::default());
    let (sockets, address) = listening(&steering);
    for round in 0..64usize {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let lane = round % lanes;
        let id = LaneConnectionIds::new(lane, steering.clone(), mark.clone()).generate_cid();
        let short = [&[0x40][..], &*id, &[1; 20]].concat();
        let long = [&[0xe0, 0, 0, 0, 1, 8][..], &*id, &[0; 9]].concat();
        for datagram in [short, long] {
            client.send_to(&datagram, address).unwrap();
            sockets[lane].set_nonblocking(false).unwrap();
            sockets[lane].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut buffer = [0; 64];
            let length = sockets[lane].recv(&mut buffer).unwrap();
            assert_eq!(buffer[..length], datagram);
        }
    }
}

/// How many datagrams each lane received.
fn counts(sockets: &[UdpSocket]) -> Vec<usize> {
    let taken = |socket: &UdpSocket| std::iter::from_fn(|| socket.recv(&mut [0; 64]).ok()).count();
    sockets.iter().map(taken).collect()
}

#[test]
fn a_client_that_fixes_a_byte_of_its_first_id_loads_no_lane() {
    let steering = Steering::draw(4);
    let (sockets, address) = listening(&steering);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for length in [8, 20] {
        for fixed in 0..length {
            for _ in 0..200 {
                let mut initial = [0; 6 + 20];
                getrandom::fill(&mut initial[6..]).unwrap();
                initial[..6].copy_from_slice(&[0xc0, 0, 0, 0, 1, length as u8]);
                initial[6 + fixed] = 0;
                client.send_to(&initial, address).unwrap();
            }
            let counts = counts(&sockets);
            assert_eq!(counts.iter().sum::<usize>(), 200);
            assert!(counts.iter().all(|count| (15..100).contains(count)), "byte {fixed}: {counts:?}");
        }
    }
}

#[test]
fn all_initials_with_one_id_come_to_one_lane_whatever_their_source() {
    let (sockets, address) = listening(&Steering::draw(4));
    for round in 0..20u8 {
        let initial = [&[0xc0, 0, 0, 0, 1, 18][..], &[round; 18], &[0; 40]].concat();
        for _ in 0..8 {
            UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&initial, address).unwrap();
        }
        let mut counts = counts(&sockets);
        counts.sort_unstable();
        assert_eq!(counts, [0, 0, 0, 8]);
    }
}

#[test]
fn datagrams_without_an_id_are_spread_by_their_source() {
    let (sockets, address) = listening(&Steering::draw(4));
    for _ in 0..200 {
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[0x40; 4], address).unwrap();
    }
    let counts = counts(&sockets);
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}
