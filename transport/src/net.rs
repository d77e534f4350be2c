//! The network: sockets, connections, and the lanes that serve them. One thread per lane; see
//! [`lane`].
//!
//! ```text
//!   UDP ─▶ socket ─▶ accept ─▶ quic ─▶ quic/exchange ─┐
//!                                                     ├─▶ serve
//!   TCP ─▶ tcp_socket ─▶ tcp (TLS, hyper) ────────────┘
//! ```

pub(crate) mod accept;
pub(crate) mod lane;
pub(crate) mod quic;
pub(crate) mod socket;
pub(crate) mod tcp;
pub(crate) mod tcp_socket;
pub(crate) mod tls;
