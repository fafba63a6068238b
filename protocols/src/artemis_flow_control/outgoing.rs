//! A message on its way out of a producer: one packet, or several if it is large.

use super::config::Config;
use super::messages::Message;
use super::operations::Stored;

/// A message and how much of it has been sent.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Outgoing {
    /// The message.
    pub stored: Stored,
    sent: u32,
}

/// The next packet of a message.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Packet {
    /// What to send.
    pub message: Message,
    /// The credits that it costs.
    pub credits: u32,
    /// What is left after it.
    pub rest: Option<Outgoing>,
}

impl Outgoing {
    /// A message of which nothing has been sent.
    pub fn new(stored: Stored) -> Self {
        Outgoing { stored, sent: 0 }
    }

    /// Whether some of it has been sent, so that the rest has to follow.
    pub fn begun(&self) -> bool {
        self.sent > 0
    }

    /// The next packet.
    pub fn next(self, config: &Config) -> Packet {
        let Stored { id, address, body, .. } = self.stored;
        if !config.is_large(body) {
            return Packet { message: Message::Send { id, address, body }, credits: body, rest: None };
        }
        let part = config.min_large_message_size.min(body - self.sent);
        let rest = Outgoing { sent: self.sent + part, ..self };
        let last = rest.sent == body;
        let last_of = if last { body } else { 0 };
        let message = Message::SendContinuation { id, address, part, last_of };
        Packet { message, credits: part, rest: (!last).then_some(rest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packets_of_a_large_message_add_up_to_it() {
        let config = Config { min_large_message_size: 100, ..Config::default() };
        let mut left = Some(Outgoing::new(Stored { id: 1, address: 0, body: 250, paged: false }));
        let mut parts = Vec::new();
        while let Some(packet) = left.map(|outgoing| outgoing.next(&config)) {
            parts.push(packet.message);
            left = packet.rest;
        }
        let packet = |part, last_of| Message::SendContinuation { id: 1, address: 0, part, last_of };
        assert_eq!(parts, [packet(100, 0), packet(100, 0), packet(50, 250)]);
    }
}
