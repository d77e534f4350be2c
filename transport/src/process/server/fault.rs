//! Why a start failed.

use std::io;
use std::net::SocketAddr;

use crate::config::ConfigFault;
use crate::control::ControlFault;
use crate::control::store::StoreFault;

/// Why a start failed, by who can mend it.
#[derive(Debug)]
pub enum StartFault {
    /// The operator's settings.
    Config(ConfigFault),
    /// The store does not answer.
    Store(StoreFault),
    /// An address of `listen` can't be bound.
    Listen(SocketAddr, io::ErrorKind),
    /// The machine: no thread, a file that can't be opened.
    Machine(&'static str, io::ErrorKind),
}

impl From<ConfigFault> for StartFault {
    fn from(fault: ConfigFault) -> Self {
        Self::Config(fault)
    }
}

impl From<ControlFault> for StartFault {
    fn from(fault: ControlFault) -> Self {
        match fault {
            ControlFault::Store(fault) => Self::Store(fault),
            ControlFault::Machine(what, kind) => Self::Machine(what, kind),
        }
    }
}

impl std::fmt::Display for StartFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(fault) => write!(f, "{fault}"),
            Self::Store(fault) => write!(f, "store.url: {fault}"),
            Self::Listen(address, kind) => {
                write!(f, "listen: UDP and TCP on {address}: {kind}")?;
                if *kind == io::ErrorKind::PermissionDenied && address.port() < 1_024 {
                    f.write_str(
                        "; ports below 1024 need CAP_NET_BIND_SERVICE, or set another port in `listen`",
                    )?;
                }
                Ok(())
            }
            Self::Machine(what, kind) => write!(f, "{what}: {kind}"),
        }
    }
}

impl std::error::Error for StartFault {}
