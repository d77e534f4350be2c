//! What a lane does when more arrives than it can serve. Everything here lives on the lane's
//! thread.
//!
//! [`shedding`] decides whose datagrams are dropped unread, [`admission_queue`] in which order
//! requests are served, and [`patience`] how long a wait may last.

pub(crate) mod admission_queue;
pub(crate) mod patience;
pub(crate) mod shedding;
