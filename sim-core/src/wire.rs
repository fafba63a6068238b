//! How a protocol's values are written down: on a wire, on a disk, in a record of what happened.
//!
//! A simulation hands values from one actor to another and needs none of this. Real processes have only bytes in common.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Actor;

/// Writes and reads the messages, timers and records of one protocol. A protocol that says how
/// ([`Protocol::wire`](crate::Protocol::wire)) can run as real processes.
///
/// ```
/// use sim_core::Wire;
/// # use sim_core::{Actor, Context, NodeId, kinds};
/// # #[derive(Clone, Hash)]
/// # struct Server;
/// #[derive(Clone, Debug, PartialEq, Hash, serde::Serialize, serde::Deserialize)]
/// enum Message { Ping { number: u64 }, Pong }
/// # kinds!(Message { Ping, Pong });
/// # impl Actor for Server {
/// #     type Message = Message;
/// #     type Timer = ();
/// #     type Record = ();
/// #     type Command = ();
/// #     fn on_start(&mut self, _: &[()], _: &mut Context<Self>) {}
/// #     fn on_message(&mut self, _: NodeId, _: Message, _: &mut Context<Self>) {}
/// #     fn on_timer(&mut self, _: (), _: &mut Context<Self>) {}
/// # }
/// let wire: Wire<Server> = Wire::new();
/// let bytes = wire.message.write(&Message::Ping { number: 300 });
/// assert_eq!(wire.message.read(&bytes), Some(Message::Ping { number: 300 }));
/// assert_eq!(wire.message.read(b"\x09"), None);
/// ```
pub struct Wire<A: Actor> {
    /// What nodes say to each other.
    pub message: Written<A::Message>,
    /// Names of timers.
    pub timer: Written<A::Timer>,
    /// What is on disks.
    pub record: Written<A::Record>,
}

/// How values of one type are written and read.
pub struct Written<T> {
    write: fn(&T) -> Vec<u8>,
    read: fn(&[u8]) -> Option<T>,
}

impl<A: Actor> Wire<A> {
    /// Writes values as [postcard](https://docs.rs/postcard) does: small, and the same on every machine.
    pub fn new() -> Self
    where
        A::Message: Serialize + DeserializeOwned,
        A::Timer: Serialize + DeserializeOwned,
        A::Record: Serialize + DeserializeOwned,
    {
        Wire { message: Written::new(), timer: Written::new(), record: Written::new() }
    }
}

impl<A: Actor> Default for Wire<A>
where
    A::Message: Serialize + DeserializeOwned,
    A::Timer: Serialize + DeserializeOwned,
    A::Record: Serialize + DeserializeOwned,
{
    fn default() -> Self {
        Wire::new()
    }
}

impl<T> Written<T> {
    fn new() -> Self
    where
        T: Serialize + DeserializeOwned,
    {
        Written { write: to_bytes, read: from_bytes }
    }

    /// The value as bytes.
    pub fn write(&self, value: &T) -> Vec<u8> {
        (self.write)(value)
    }

    /// The value that was written as these bytes; `None` if there is no such value.
    pub fn read(&self, bytes: &[u8]) -> Option<T> {
        (self.read)(bytes)
    }
}

/// # Panics
/// If the value cannot be written, which is a mistake in its `Serialize`.
pub(crate) fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("a value that is derived to be written can be written to memory")
}

/// The value, if the bytes are one and nothing else.
pub(crate) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}
