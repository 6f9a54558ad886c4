//! One command over one SSH channel: bytes both ways, the end of each direction, and the exit status. What sshd does
//! without a terminal: when the client goes, the command's pipes are closed and the command is left alone.

use super::host::{Control, Running};
use super::signals;
use super::wire::Ending;
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

/// How many packets (of at most 32 KiB) a command may leave unread before its whole connection has to wait. The windows
/// of the SSH library open without regard to the reader.
const UNREAD_PACKETS: usize = 2048;

type Writer = ChannelWriteHalf<Msg>;

/// The standard error channel of SSH.
const STDERR: u32 = 1;

/// Serves a command that was started until it ended and its output is sent, or the client went.
pub(crate) async fn serve(running: Running, channel: Channel<Msg>, handle: Handle) {
    let (reader, writer) = channel.split();
    let Running { stdin, stdout, stderr, control } = running;
    let (to_stdin, input) = mpsc::channel(UNREAD_PACKETS);
    let (to_control, wishes) = mpsc::channel(8);
    let feeder = tokio::spawn(feed(stdin, input));
    let output = async {
        let ended = tell_end(control, wishes, &writer, &handle);
        let (ended, sent) = tokio::join!(ended, send_output(stdout, stderr, &writer));
        ended.and(sent)
    };
    // The reader is polled to the end in any case: packets that nobody takes would stall the connection.
    let mut reading = Box::pin(receive(reader, to_stdin, to_control));
    tokio::select! {
        result = output => {
            if let Err(error) = result {
                tracing::debug!(%error, "a lab command's channel broke");
            }
            let _ = writer.eof().await;
            let _ = writer.close().await;
            feeder.abort();
            reading.await;
        }
        () = &mut reading => feeder.abort(),
    }
}

/// Says that a command could not be started, as a shell would.
pub(crate) async fn refuse(channel: &Channel<Msg>, why: &io::Error) {
    let _ = channel.extended_data_bytes(STDERR, format!("lab: {why}\n")).await;
    let _ = channel.exit_status(127).await;
    let _ = channel.eof().await;
    let _ = channel.close().await;
}

/// Takes what the client sends until it closes the channel or goes.
async fn receive(mut reader: ChannelReadHalf, stdin: mpsc::Sender<Vec<u8>>, control: mpsc::Sender<i32>) {
    let mut stdin = Some(stdin);
    while let Some(message) = reader.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                if let Some(open) = &stdin
                    && open.send(data.to_vec()).await.is_err()
                {
                    stdin = None;
                }
            }
            ChannelMsg::Eof => stdin = None,
            ChannelMsg::Signal { signal } => {
                let _ = control.try_send(number(&signal));
            }
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}

async fn feed(mut stdin: pipe::Sender, mut input: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = input.recv().await {
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Waits for the end of the command and tells it, while passing on signals.
async fn tell_end(mut control: Control, mut wishes: mpsc::Receiver<i32>, writer: &Writer, handle: &Handle) -> io::Result<()> {
    let ending = loop {
        tokio::select! {
            ending = control.ended() => break ending?,
            Some(signal) = wishes.recv() => control.signal(signal).await?,
        }
    };
    match ending {
        Ending::Exited(code) => writer.exit_status(code.unsigned_abs()).await.map_err(io::Error::other),
        Ending::Killed(number) => {
            let sent = handle.exit_signal_request(writer.id(), sig(number), false, String::new(), String::new()).await;
            sent.map_err(|()| io::ErrorKind::BrokenPipe.into())
        }
    }
}

/// Sends both outputs from one place: the library wakes only one writer of a channel when its window opens.
async fn send_output(stdout: pipe::Receiver, stderr: pipe::Receiver, writer: &Writer) -> io::Result<()> {
    let (sender, mut chunks) = mpsc::channel(1);
    let readers = async {
        tokio::join!(chunk(stdout, None, sender.clone()), chunk(stderr, Some(STDERR), sender));
    };
    let send = async {
        while let Some((kind, bytes)) = chunks.recv().await {
            match kind {
                None => writer.data_bytes(bytes).await,
                Some(kind) => writer.extended_data_bytes(kind, bytes).await,
            }
            .map_err(io::Error::other)?;
        }
        Ok(())
    };
    tokio::pin!(readers);
    tokio::pin!(send);
    tokio::select! {
        result = &mut send => result,
        () = &mut readers => send.await,
    }
}

async fn chunk(mut from: impl AsyncRead + Unpin, kind: Option<u32>, to: mpsc::Sender<(Option<u32>, Vec<u8>)>) {
    let mut buffer = vec![0; 32768];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = buffer.iter().take(count).copied().collect();
        if to.send((kind, bytes)).await.is_err() {
            return;
        }
    }
}

fn number(signal: &Sig) -> i32 {
    let name = match signal {
        Sig::Custom(name) => name.clone(),
        other => format!("{other:?}"),
    };
    signals::parse(&name).map_or(0, rustix::process::Signal::as_raw)
}

/// The library writes a custom name as it is, so the names of the RFC need no variants of their own.
fn sig(number: i32) -> Sig {
    Sig::Custom(signals::name(number))
}
