//! The keeper: a small process beside one that has given up its privileges. It keeps what a reload needs and the
//! gateway no longer has, the sight of the file system and root's right to ports, and answers the few requests that
//! it knows. It waits on a socket pair and ends with its worker, however that ends.
//!
//! What is asked and answered is not its matter ([`Duties`]); here are the fork, the wire and the descriptors.
//! A request has [`REQUEST_BYTES`] bytes; an answer begins with a byte for success, one for the number of
//! descriptors, two zeros and the length of what follows, least significant byte first.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::thread::{set_name, set_no_new_privs};

use super::daemon::threads;
use super::sys;

/// Bytes of a request.
pub const REQUEST_BYTES: usize = 16;
/// Descriptors that one answer can carry.
pub const DESCRIPTORS_MAX: usize = 32;
/// Bytes that one answer can carry.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a worker that ends waits for the keeper's last deeds.
const FAREWELL: Duration = Duration::from_secs(2);
const HEADER_BYTES: usize = 8;
/// What the keeper writes first: it stands.
const READY: &[u8; 1] = b"!";

/// What a keeper does for its worker.
pub trait Duties {
    /// Answers a request; `None` when nobody sound would ask for that: the keeper then ends.
    fn answer(&mut self, request: &[u8; REQUEST_BYTES]) -> Option<Answer>;
    /// The worker has ended.
    fn at_end(&mut self);
}

/// What the keeper answers.
#[derive(Debug, Default)]
pub struct Answer {
    /// Whether it could be done; otherwise `bytes` say why not.
    pub done: bool,
    /// At most [`ANSWER_BYTES_MAX`].
    pub bytes: Vec<u8>,
    /// At most [`DESCRIPTORS_MAX`].
    pub descriptors: Vec<OwnedFd>,
}

/// The worker's hold on its keeper.
#[derive(Debug, Clone)]
pub struct Keeper {
    channel: Arc<UnixStream>,
    pid: Option<Pid>,
}

impl Keeper {
    /// Forks the keeper and returns once it stands. This process is the worker and keeps its number.
    ///
    /// To be called while there is one thread only: others would be missing in the keeper.
    ///
    /// # Errors
    /// Those of socketpair(2) and fork(2), of opening `/dev/null`, and of a keeper that ended at once.
    pub fn fork(duties: impl Duties) -> io::Result<Self> {
        debug_assert!(threads().is_none_or(|count| count == 1), "a fork with {:?} threads", threads());
        // Scripts and terminals signal whole groups, or all of a name: the keeper ignores that from its first
        // moment, since it is to end with its worker and only then. Both ends are close-on-exec.
        let (ours, theirs) = UnixStream::pair()?;
        let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        let pid = sys::fork_apart([theirs.into(), null.into()], |[channel, null]| {
            let _: io::Result<Infallible> = keep(channel.into(), null.into(), duties);
        })?;
        (&ours).read_exact(&mut [0; READY.len()])?;
        Ok(Self { channel: Arc::new(ours), pid: Pid::from_raw(pid) })
    }

    /// Asks and waits for the answer, as long as it takes.
    ///
    /// # Errors
    /// The keeper has ended, or says what it does not say in good order.
    pub fn ask(&self, request: &[u8; REQUEST_BYTES]) -> io::Result<Answer> {
        let answer = (&*self.channel).write_all(request).and_then(|()| receive(&self.channel));
        if answer.is_err() {
            // It has ended, or will now; it is our child.
            let _ = self.channel.shutdown(Shutdown::Both);
            let _ = waitpid(self.pid, WaitOptions::NOHANG);
        }
        answer.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                io::Error::new(error.kind(), "the keeper process has ended")
            }
            _ => error,
        })
    }

    /// Lets the keeper go and waits, though not for ever, until it has done its last deeds.
    pub fn dismiss(self) {
        let _ = self.channel.set_read_timeout(Some(FAREWELL));
        let _ = self.channel.shutdown(Shutdown::Write);
        // The end of input, which is the keeper's end.
        let _ = (&*self.channel).read(&mut [0]);
    }
}

/// The keeper's life; ends with an error in any case: the end of input, or a request that nobody sound makes.
fn keep(mut channel: UnixStream, null: File, mut duties: impl Duties) -> io::Result<Infallible> {
    sys::replace_stdio(&null)?;
    drop(null);
    // `ps` and `pidof` tell it from the gateway. What fails here would be a pity and no more.
    let _ = set_name(c"oneport-keeper");
    let _ = set_no_new_privs(true);
    channel.write_all(READY)?;
    loop {
        let mut request = [0; REQUEST_BYTES];
        if let Err(error) = channel.read_exact(&mut request) {
            duties.at_end();
            return Err(error);
        }
        let Some(answer) = duties.answer(&request) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        if let Err(error) = send(&channel, &answer) {
            // It went away while we were at it.
            duties.at_end();
            return Err(error);
        }
    }
}

/// Sends an answer, with its descriptors on the first bytes.
fn send(mut channel: &UnixStream, answer: &Answer) -> io::Result<()> {
    if answer.descriptors.len() > DESCRIPTORS_MAX || answer.bytes.len() > ANSWER_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let count = u8::try_from(answer.descriptors.len()).unwrap_or(u8::MAX);
    let length = u32::try_from(answer.bytes.len()).unwrap_or(u32::MAX);
    let mut header = [0; HEADER_BYTES];
    for (to, from) in
        header.iter_mut().zip([u8::from(answer.done), count, 0, 0].iter().chain(&length.to_le_bytes()))
    {
        *to = *from;
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<_> = answer.descriptors.iter().map(AsFd::as_fd).collect();
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let sent = sendmsg(channel, &[IoSlice::new(&header)], &mut control, SendFlags::NOSIGNAL)?;
    channel.write_all(header.get(sent..).unwrap_or_default())?;
    channel.write_all(&answer.bytes)
}

fn receive(mut channel: &UnixStream) -> io::Result<Answer> {
    let mut header = [0; HEADER_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        let mut to = [IoSliceMut::new(&mut header)];
        match recvmsg(channel, &mut to, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) if message.bytes == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(message) => break message.bytes,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    channel.read_exact(header.get_mut(got..).unwrap_or_default())?;
    let [done, count, _, _, length @ ..] = header;
    let length = u32::from_le_bytes(length) as usize;
    if usize::from(count) != descriptors.len() || length > ANSWER_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the keeper's answer makes no sense"));
    }
    let mut bytes = vec![0; length];
    channel.read_exact(&mut bytes)?;
    Ok(Answer { done: done == 1, bytes, descriptors })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The fork itself needs a process of one thread: `tests/gateway/keeper.rs` has it.
    #[test]
    fn answers_come_whole_with_their_descriptors() {
        let (here, there) = UnixStream::pair().unwrap();
        let bytes = vec![7; 1_000_000];
        let descriptors = (0..DESCRIPTORS_MAX).map(|_| File::open("/dev/zero").unwrap().into()).collect();
        let answer = Answer { done: true, bytes: bytes.clone(), descriptors };
        let sending = std::thread::spawn(move || {
            send(&there, &answer).unwrap();
            send(&there, &Answer { done: false, bytes: b"no".to_vec(), descriptors: Vec::new() }).unwrap();
        });
        let received = receive(&here).unwrap();
        assert!(received.done);
        assert_eq!(received.bytes, bytes);
        assert_eq!(received.descriptors.len(), DESCRIPTORS_MAX);
        let mut byte = [1];
        File::from(received.descriptors.into_iter().next_back().unwrap()).read_exact(&mut byte).unwrap();
        assert_eq!(byte, [0], "it is the file that was sent");
        let received = receive(&here).unwrap();
        assert_eq!((received.done, received.bytes, received.descriptors.len()), (false, b"no".to_vec(), 0));
        sending.join().unwrap();
        assert_eq!(receive(&here).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_answer_out_of_bounds_is_refused() {
        for header in [[1, 0, 0, 0, 0, 0, 0, 255], [1, 3, 0, 0, 0, 0, 0, 0]] {
            let (here, mut there) = UnixStream::pair().unwrap();
            there.write_all(&header).unwrap();
            assert_eq!(receive(&here).unwrap_err().kind(), io::ErrorKind::InvalidData, "{header:?}");
        }
        let (here, there) = UnixStream::pair().unwrap();
        let descriptors = (0..=DESCRIPTORS_MAX).map(|_| File::open("/dev/zero").unwrap().into()).collect();
        assert!(send(&there, &Answer { descriptors, ..Answer::default() }).is_err());
        drop((here, there));
    }
}
