//! Sockets: datagrams over UDP, each connection of an actor over a TCP connection of its own.
//!
//! Nothing that a peer does costs more than a fixed amount of memory: frames have a greatest length, so many connections are
//! served and no more, what arrives waits in a queue of fixed length (behind it, in the peer), and what is to be sent to a
//! peer that does not read breaks the connection when the buffer that the protocol was promised is full. What is not a
//! frame of this run, from an address of this cluster, is counted and dropped; on a connection, with the connection.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::io::AsyncWriteExt;
use ::tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use ::tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use ::tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use ::tokio::task::{JoinHandle, spawn_local};
use ::tokio::time::{Instant, sleep_until, timeout};
use serde::{Deserialize, Serialize};
use socket2::SockRef;

use super::super::frame::{BadFrame, Frame, MAX_VALUE, ReadError};
use super::super::record::{Framed, Stamp};
use crate::{CloseReason, ConnectionId, NodeId};

/// Connections that are served at a time, and of those that have yet to say who they are.
const CONNECTIONS: usize = 256;
const STRANGERS: usize = 32;
/// How long a stranger may take to say who it is.
const GREETING: Duration = Duration::from_secs(5);
/// What has arrived and not been handled, in messages.
pub const INBOX: usize = 64;

/// Something that the network brings.
pub enum Incoming {
    /// A datagram.
    Datagram { from: NodeId, sent: Stamp, message: Vec<u8> },
    /// A connection was opened.
    Opened(ConnectionId),
    /// It was not.
    Refused(ConnectionId, CloseReason),
    /// A peer has opened one.
    Accepted { from: NodeId, id: ConnectionId, link: Link },
    /// A message on a connection.
    Message { id: ConnectionId, sent: Stamp, message: Vec<u8> },
    /// The peer has consumed something.
    Consumed { id: ConnectionId, bytes: u64 },
    /// A connection has ended.
    Closed(ConnectionId, CloseReason),
}

/// In front of every message: which run it belongs to, who sent it, and during which note.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Envelope {
    run: u64,
    from: NodeId,
    sent: Stamp,
}

/// A datagram.
#[derive(Debug, Serialize, Deserialize)]
struct Datagram {
    envelope: Envelope,
    message: Vec<u8>,
}

impl Framed for Datagram {
    const KIND: u8 = 0x10;
}

/// What goes over a connection.
#[derive(Debug, Serialize, Deserialize)]
enum Packet {
    /// First: who opens it, and as what.
    Hello {
        envelope: Envelope,
        id: ConnectionId,
    },
    Message {
        sent: Stamp,
        message: Vec<u8>,
    },
    /// The process has consumed so many bytes more.
    Consumed(u64),
    /// The sender has closed it in good order.
    Finished,
}

impl Framed for Packet {
    const KIND: u8 = 0x11;
}

/// This process, as its peers know it.
pub struct Network {
    /// Which run: what is of another one is dropped.
    pub run: u64,
    /// This node.
    pub node: NodeId,
    /// Addresses of all nodes, by number.
    pub peers: Vec<SocketAddr>,
    /// How long a connection waits for a sign of life.
    pub patience: Duration,
    /// Where everything goes that arrives.
    pub inbox: mpsc::Sender<Incoming>,
    /// What was not of this run.
    refused: Refused,
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

/// Counts what was refused, and says so now and then: a flood of garbage must not be a flood of words.
#[derive(Default)]
struct Refused(Cell<u64>);

impl Refused {
    fn count(&self, from: SocketAddr, why: &str) {
        self.0.set(self.0.get() + 1);
        if self.0.get().is_power_of_two() {
            tracing::warn!(%from, count = self.0.get(), "refused: {why}");
        }
    }
}

/// The sending half of a connection.
pub struct Link {
    /// The other end.
    pub peer: NodeId,
    out: mpsc::UnboundedSender<Outgoing>,
    consumed: Rc<Consumed>,
    /// Bytes handed over and not written.
    queued: Rc<Cell<u64>>,
    task: JoinHandle<()>,
}

enum Outgoing {
    /// Not before this moment.
    Message(Instant, Vec<u8>),
    Finish,
}

/// What the process has consumed and the peer has not been told: one number, however much it is.
#[derive(Default)]
struct Consumed {
    bytes: Cell<u64>,
    grown: Notify,
}

impl Link {
    /// Sends a message behind what has been sent, and not before this wait is over. Returns how many bytes wait here for the peer to take them, or for the
    /// network; `None` if the message is too long to be sent at all.
    pub fn send(&self, sent: Stamp, wait: Duration, message: Vec<u8>) -> Option<u64> {
        let frame = Packet::Message { sent, message: short(message)? }.to_frame()?;
        self.queued.set(self.queued.get() + frame.len() as u64);
        // If it is broken the actor is about to hear of it.
        _ = self.out.send(Outgoing::Message(Instant::now() + wait, frame));
        Some(self.queued.get())
    }

    /// Tells the peer that the process has consumed so much more.
    pub fn consumed(&self, bytes: u64) {
        self.consumed.bytes.set(self.consumed.bytes.get() + bytes);
        self.consumed.grown.notify_one();
    }

    /// Closes it in good order, after what has been sent. What is returned ends when that is done.
    pub fn finish(self) -> JoinHandle<()> {
        _ = self.out.send(Outgoing::Finish);
        self.task
    }
}

/// The other ends of what a [`Link`] holds.
struct Tail {
    out: mpsc::UnboundedReceiver<Outgoing>,
    consumed: Rc<Consumed>,
    queued: Rc<Cell<u64>>,
}

/// A link to a peer, served by the task that `serve` makes of its other end.
fn link<F: Future<Output = ()> + 'static>(peer: NodeId, serve: impl FnOnce(Tail) -> F) -> Link {
    let (sender, out) = mpsc::unbounded_channel();
    let (consumed, queued) = (Rc::new(Consumed::default()), Rc::new(Cell::new(0)));
    let tail = Tail { out, consumed: consumed.clone(), queued: queued.clone() };
    Link { peer, out: sender, consumed, queued, task: spawn_local(serve(tail)) }
}

impl Network {
    /// This process in a cluster.
    pub fn new(
        run: u64,
        node: NodeId,
        peers: Vec<SocketAddr>,
        patience: Duration,
        inbox: mpsc::Sender<Incoming>,
    ) -> Rc<Network> {
        let (connections, strangers) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Semaphore::new(STRANGERS)));
        let refused = Refused::default();
        Rc::new(Network { run, node, peers, patience, inbox, refused, connections, strangers })
    }

    fn envelope(&self, sent: Stamp) -> Envelope {
        Envelope { run: self.run, from: self.node, sent }
    }

    /// A datagram to a peer, as it is sent; `None` if it is too long.
    pub fn datagram(&self, sent: Stamp, message: Vec<u8>) -> Option<Vec<u8>> {
        Datagram { envelope: self.envelope(sent), message: short(message)? }.to_frame()
    }

    /// Takes in datagrams, as long as the process lives.
    pub async fn receive(self: Rc<Self>, socket: Rc<UdpSocket>) {
        let mut buffer = vec![0; 1 << 16];
        loop {
            // What the system reports of datagrams that could not be delivered is nobody's news.
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
            match self.open(&buffer[..length], from) {
                // If too much waits already it is lost, as it would be below.
                Ok(datagram) => _ = self.inbox.try_send(datagram),
                Err(why) => self.refused.count(from, &why),
            }
        }
    }

    fn open(&self, bytes: &[u8], from: SocketAddr) -> Result<Incoming, String> {
        let (frame, rest) = Frame::split(bytes).map_err(|bad| bad.to_string())?;
        let datagram = Datagram::from_frame(&frame).filter(|_| rest.is_empty()).ok_or("this is no datagram")?;
        let Datagram { envelope, message } = datagram;
        let message = short(message).ok_or(TOO_LONG)?;
        self.check(envelope)?;
        if self.peers[envelope.from.index()] != from {
            return Err(format!("{} has another address", envelope.from));
        }
        Ok(Incoming::Datagram { from: envelope.from, sent: envelope.sent, message })
    }

    fn check(&self, envelope: Envelope) -> Result<(), String> {
        if envelope.run != self.run {
            return Err("it belongs to another run".to_owned());
        }
        if envelope.from == self.node || envelope.from.index() >= self.peers.len() {
            return Err(format!("{} is no peer", envelope.from));
        }
        Ok(())
    }

    /// Accepts connections, as long as it is not aborted.
    pub async fn accept(self: Rc<Self>, listener: TcpListener) {
        loop {
            let Ok((stream, from)) = listener.accept().await else {
                // Out of descriptors, most likely; some will be free again.
                ::tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            match self.strangers.clone().try_acquire_owned() {
                Ok(permit) => _ = spawn_local(self.clone().greet(stream, from, permit)),
                Err(_) => self.refused.count(from, "too many strangers at a time"),
            }
        }
    }

    /// Lets a stranger say who it is.
    async fn greet(self: Rc<Self>, mut stream: TcpStream, from: SocketAddr, _stranger: OwnedSemaphorePermit) {
        let greeting = match timeout(GREETING, Frame::read(&mut stream)).await {
            Ok(Ok(Some(frame))) => self.welcome(&frame, from),
            Ok(Ok(None)) => Err("it said nothing".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it did not say who it is in time".to_owned()),
        };
        let permit = self.connections.clone().try_acquire_owned().map_err(|_| "too many connections".to_owned());
        match greeting.and_then(|greeting| Ok((greeting, permit?))) {
            Ok(((from, id), permit)) => {
                let network = self.clone();
                let link = link(from, |tail| async move {
                    network.serve(stream, id, tail).await;
                    drop(permit);
                });
                _ = self.inbox.send(Incoming::Accepted { from, id, link }).await;
            }
            Err(why) => self.refused.count(from, &why),
        }
    }

    fn welcome(&self, frame: &Frame, address: SocketAddr) -> Result<(NodeId, ConnectionId), String> {
        let Some(Packet::Hello { envelope, id }) = Packet::from_frame(frame) else {
            return Err("it did not begin with a greeting".to_owned());
        };
        self.check(envelope)?;
        if self.peers[envelope.from.index()].ip() != address.ip() {
            return Err(format!("{} has another address", envelope.from));
        }
        if id.initiator != envelope.from {
            return Err(format!("{} opens a connection in the name of {}", envelope.from, id.initiator));
        }
        Ok((envelope.from, id))
    }

    /// Opens a connection to a peer.
    pub fn connect(self: &Rc<Self>, peer: NodeId, id: ConnectionId, sent: Stamp) -> Link {
        let network = self.clone();
        link(peer, |tail| async move {
            let hello = Packet::Hello { envelope: network.envelope(sent), id };
            let opening = async {
                let address = network.peers[peer.index()];
                let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                // From where the peer expects it, on a machine with many addresses.
                socket.bind(SocketAddr::new(network.peers[network.node.index()].ip(), 0))?;
                let mut stream = socket.connect(address).await?;
                stream.write_all(&hello.to_frame().unwrap_or_default()).await?;
                Ok(stream)
            };
            let refused = match timeout(network.patience, opening).await {
                Ok(Ok(stream)) => {
                    _ = network.inbox.send(Incoming::Opened(id)).await;
                    return network.serve(stream, id, tail).await;
                }
                Ok(Err(error)) => reason(&error),
                Err(_) => CloseReason::TimedOut,
            };
            _ = network.inbox.send(Incoming::Refused(id, refused)).await;
        })
    }

    /// Carries what goes over a connection, in both directions, until it ends.
    async fn serve(&self, stream: TcpStream, id: ConnectionId, tail: Tail) {
        let socket = SockRef::from(&stream);
        // A socket without these works too.
        _ = socket.set_tcp_nodelay(true);
        // The system below gives up when the protocol was told that it would; others than Linux do it when they like.
        #[cfg(target_os = "linux")]
        {
            _ = socket.set_tcp_user_timeout(Some(self.patience));
        }
        let (reader, writer) = stream.into_split();
        let reading = self.read(reader, id);
        let writing = write(writer, tail);
        ::tokio::pin!(reading);
        let closed = ::tokio::select! {
            reason = &mut reading => reason,
            finished = writing => match finished {
                // What the peer still has to say is taken off its hands, but nobody waits for it for ever.
                Ok(Some(_writer)) => timeout(self.patience, &mut reading).await.unwrap_or(CloseReason::TimedOut),
                // The process wants no more of it.
                Ok(None) => return,
                Err(error) => reason(&error),
            },
        };
        _ = self.inbox.send(Incoming::Closed(id, closed)).await;
    }

    async fn read(&self, mut reader: OwnedReadHalf, id: ConnectionId) -> CloseReason {
        let peer = reader.peer_addr();
        let refuse = |why: &str| {
            if let Ok(peer) = peer {
                self.refused.count(peer, why);
            }
            CloseReason::Reset
        };
        loop {
            let incoming = match Frame::read(&mut reader).await {
                Ok(Some(frame)) => match Packet::from_frame(&frame) {
                    Some(Packet::Message { sent, message }) => match short(message) {
                        Some(message) => Incoming::Message { id, sent, message },
                        None => return refuse(TOO_LONG),
                    },
                    Some(Packet::Consumed(bytes)) => Incoming::Consumed { id, bytes },
                    Some(Packet::Finished) => return CloseReason::Finished,
                    Some(Packet::Hello { .. }) | None => return refuse("this does not belong on a connection"),
                },
                // Nobody said that this was the end.
                Ok(None) => return CloseReason::Reset,
                Err(ReadError::Io(error)) => return reason(&error),
                // The peer died in the middle of it.
                Err(ReadError::Bad(BadFrame::Torn)) => return CloseReason::Reset,
                Err(ReadError::Bad(bad)) => return refuse(&bad.to_string()),
            };
            if self.inbox.send(incoming).await.is_err() {
                return CloseReason::Reset;
            }
        }
    }
}

/// Writes until the process closes the connection: in good order, then the half that can be dropped when the peer has read
/// everything; or at once.
async fn write(mut writer: OwnedWriteHalf, mut tail: Tail) -> io::Result<Option<OwnedWriteHalf>> {
    loop {
        ::tokio::select! {
            biased;
            () = tail.consumed.grown.notified() => {
                let bytes = tail.consumed.bytes.take();
                writer.write_all(&Packet::Consumed(bytes).to_frame().unwrap_or_default()).await?;
            }
            outgoing = tail.out.recv() => match outgoing {
                Some(Outgoing::Message(at, frame)) => {
                    if at > Instant::now() {
                        sleep_until(at).await;
                    }
                    writer.write_all(&frame).await?;
                    tail.queued.set(tail.queued.get() - frame.len() as u64);
                }
                Some(Outgoing::Finish) => {
                    writer.write_all(&Packet::Finished.to_frame().unwrap_or_default()).await?;
                    writer.shutdown().await?;
                    return Ok(Some(writer));
                }
                None => return Ok(None),
            },
        }
    }
}

const TOO_LONG: &str = "a message that is longer than any may be";

/// A message, unless it is longer than any may be.
fn short(message: Vec<u8>) -> Option<Vec<u8>> {
    (message.len() <= MAX_VALUE).then_some(message)
}

/// What an error of the system means to a protocol.
fn reason(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            CloseReason::TimedOut
        }
        _ => CloseReason::Reset,
    }
}
