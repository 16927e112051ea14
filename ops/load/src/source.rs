//! Where connections come from: many addresses of the loopback, as many people have addresses of their own.
//!
//! One address has about 28,000 ports; a hundred thousand connections need several. Nobody outside can have one of these.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::net::{TcpSocket, TcpStream};

/// Of the last two numbers of 127.0.x.y.
const NETWORKS: u32 = 254;
const HOSTS: u32 = 250;

/// The addresses of one of several processes, one after the other.
#[derive(Debug)]
pub struct Sources {
    number: u32,
    processes: u32,
    next: AtomicU32,
}

impl Sources {
    /// Of this process of so many.
    pub fn of(number: u32, processes: u32) -> Self {
        Self { number, processes: processes.max(1), next: AtomicU32::new(0) }
    }

    /// The next one; no other process has it, until all have been used.
    pub fn next(&self) -> Ipv4Addr {
        let turn = self.next.fetch_add(1, Ordering::Relaxed).wrapping_mul(self.processes).wrapping_add(self.number);
        let byte = |number: u32| u8::try_from(number).expect("at most 254");
        Ipv4Addr::new(127, 0, byte(1 + turn / HOSTS % NETWORKS), byte(1 + turn % HOSTS))
    }

    /// A connection from the next one.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        if !to.ip().is_loopback() {
            return TcpStream::connect(to).await;
        }
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(self.next().into(), 0))?;
        socket.connect(to).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn processes_share_no_address() {
        let of = |number| {
            let sources = Sources::of(number, 6);
            (0..2000).map(|_| sources.next()).collect::<BTreeSet<_>>()
        };
        let all: Vec<_> = (0..6).map(of).collect();
        assert!(all.iter().all(|it| it.len() == 2000));
        assert_eq!(all.iter().flatten().collect::<BTreeSet<_>>().len(), 12_000);
        assert!(all[0].contains(&Ipv4Addr::new(127, 0, 1, 1)));
    }

    #[tokio::test]
    async fn a_server_sees_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Sources::of(3, 6).connect(listener.local_addr().unwrap()).await.unwrap();
        let (_, from) = listener.accept().await.unwrap();
        assert_eq!((from.ip(), kept.local_addr().unwrap()), (Ipv4Addr::new(127, 0, 1, 4).into(), from));
    }
}
