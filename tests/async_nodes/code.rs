//! A register on two servers and a witness, and a client: plain asynchronous Rust over UDP, with loops, sleeps and timeouts.
//! Of the simulation it knows nothing but what it shows through `Seen`.
//!
//! The witness leases the register to one server at a time. The server with the lease answers clients; a write is done when
//! both servers have it. A server that has just started asks the other for the register before it asks for the lease.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use madsim::fs;
use madsim::net::UdpSocket;
use madsim::time::{Instant, sleep, timeout};

/// To whom the code shows what it does.
pub trait Seen {
    /// It may answer clients for so long.
    fn leads(&self, remaining: Duration);
    /// A write of a value begins, or is done.
    fn writes(&self, value: u64, done: bool);
    /// A read begins, or ends with a value or nothing.
    fn reads(&self, id: u64, done: Option<Option<u64>>);
}

const LEASE: Duration = Duration::from_secs(1);
const PORT: u16 = 7000;

async fn socket(own: IpAddr) -> UdpSocket {
    UdpSocket::bind((own, PORT)).await.expect("the port is free")
}

/// Sends words and waits for an answer that begins with one of its own; `None` if there is none in time.
async fn ask(socket: &UdpSocket, to: IpAddr, words: &str, answer: &str, patience: Duration) -> Option<Vec<u64>> {
    socket.send_to(SocketAddr::new(to, PORT), words.as_bytes()).await.expect("the network is up");
    let wanted = async {
        loop {
            let (first, numbers, from) = receive(socket).await;
            if first == answer && from.ip() == to {
                return numbers;
            }
        }
    };
    timeout(patience, wanted).await.ok()
}

async fn receive(socket: &UdpSocket) -> (String, Vec<u64>, SocketAddr) {
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).await.expect("the network is up");
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let mut words = text.split(' ');
    let first = words.next().unwrap_or_default().to_owned();
    (first, words.filter_map(|word| word.parse().ok()).collect(), from)
}

async fn say(socket: &UdpSocket, to: SocketAddr, words: String) {
    socket.send_to(to, words.as_bytes()).await.expect("the network is up");
}

/// Leases the register, to one server at a time.
pub async fn witness(own: IpAddr) {
    let socket = socket(own).await;
    // One that has forgotten a lease must not grant another before it has ended.
    let mut free_at = Instant::now() + LEASE;
    let mut holder = None;
    loop {
        let (_, number, from) = receive(&socket).await;
        let now = Instant::now();
        if holder == Some(from.ip()) || now >= free_at {
            (holder, free_at) = (Some(from.ip()), now + LEASE);
            say(&socket, from, format!("granted {}", number[0])).await;
        }
    }
}

/// What a server has, on its disk too.
#[derive(Clone, Copy, Default, PartialEq)]
struct Register {
    version: u64,
    value: u64,
}

impl Register {
    const FILE: &str = "/register";

    async fn load() -> Self {
        let bytes = fs::read(Register::FILE).await.unwrap_or_default();
        match bytes.as_chunks().0 {
            [version, value] => Register { version: u64::from_le_bytes(*version), value: u64::from_le_bytes(*value) },
            _ => Register::default(),
        }
    }

    async fn store(self) {
        let bytes = [self.version.to_le_bytes(), self.value.to_le_bytes()].concat();
        let file = fs::File::create(Register::FILE).await.expect("there is a disk");
        file.write_all_at(&bytes, 0).await.expect("it has room");
    }
}

/// A write that the other server has yet to confirm.
#[derive(Clone, Copy)]
struct Pending {
    register: Register,
    client: SocketAddr,
}

/// One of the two servers. With the bug, it counts its lease from the witness's answer and not from its own question.
pub async fn server(own: IpAddr, peer: IpAddr, witness: IpAddr, bug: bool, seen: impl Seen) {
    let socket = socket(own).await;
    let [peer, witness] = [peer, witness].map(|host| SocketAddr::new(host, PORT));
    let mut register = Register::load().await;
    let mut pending: Option<Pending> = None;
    // Whether the other server is known to have what this one has: if not, nobody may read it.
    let mut settled = false;
    let (mut lease, mut round, mut asked) = (Instant::now(), 0, Instant::now());
    let mut next = Instant::now();
    loop {
        if Instant::now() >= next {
            (round, asked, next) = (round + 1, Instant::now(), Instant::now() + Duration::from_millis(300));
            say(&socket, witness, format!("lease {round}")).await;
            let unsure = pending.map(|write| write.register).or((!settled).then_some(register));
            if let Some(Register { version, value }) = unsure.filter(|_| asked < lease) {
                say(&socket, peer, format!("copy {version} {value}")).await;
            }
        }
        let received = timeout(next.saturating_duration_since(Instant::now()), receive(&socket)).await;
        let leads = Instant::now() < lease;
        pending = pending.filter(|_| leads);
        settled &= leads;
        let Ok((word, numbers, from)) = received else { continue };
        match (word.as_str(), &numbers[..]) {
            ("granted", &[number]) if number == round => {
                lease = if bug { Instant::now() } else { asked } + LEASE;
                seen.leads(lease.saturating_duration_since(Instant::now()));
            }
            ("write", &[value]) if leads && settled && pending.is_none() => {
                let version = register.version + 1;
                pending = Some(Pending { register: Register { version, value }, client: from });
                say(&socket, peer, format!("copy {version} {value}")).await;
            }
            ("copy", &[version, value]) => {
                if version > register.version {
                    (register, pending, settled) = (Register { version, value }, None, false);
                    register.store().await;
                }
                say(&socket, from, format!("copied {} {}", register.version, register.value)).await;
            }
            ("copied", &[version, value]) => {
                let theirs = Register { version, value };
                let written = pending.take_if(|write| theirs.version >= write.register.version);
                if theirs.version > register.version {
                    register = theirs;
                    register.store().await;
                }
                settled = leads && theirs == register;
                if let Some(Pending { client, .. }) = written.filter(|write| write.register == theirs) {
                    say(&socket, client, format!("written {value}")).await;
                }
            }
            ("read", &[id]) if leads && settled => {
                say(&socket, from, format!("value {id} {}", register.value)).await;
            }
            _ => {}
        }
    }
}

/// Writes and reads, at one server or the other.
pub async fn client(own: IpAddr, servers: [IpAddr; 2], seen: impl Seen) {
    let socket = socket(own).await;
    let patience = Duration::from_millis(500);
    for id in 1.. {
        let at = servers[(id / 2 % 2) as usize];
        if id % 3 == 0 {
            seen.writes(id, false);
            let done = ask(&socket, at, &format!("write {id}"), "written", patience).await == Some(vec![id]);
            if done {
                seen.writes(id, true);
            }
        } else {
            seen.reads(id, None);
            if let Some([read, value]) = ask(&socket, at, &format!("read {id}"), "value", patience).await.as_deref()
                && *read == id
            {
                seen.reads(id, Some((*value > 0).then_some(*value)));
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}
