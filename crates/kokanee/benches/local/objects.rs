//! Measures objects, large and small, compared with the disk and the loopback alone.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::servers::Server;
use crate::{Options, folder, in_threads, row};

const SMALL: usize = 2000;
const SMALL_BYTES: usize = 1024;
const CLIENTS: usize = 16;

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let folder = folder()?;
    let body = vec![7; options.mb << 20];
    let io = |error: std::io::Error| error.to_string();
    let mb_a_second = |begun: Instant| options.mb as f64 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    write_file(&folder.path().join("limit"), &body).map_err(io)?;
    let disk = mb_a_second(begun);
    fs::remove_file(folder.path().join("limit")).map_err(io)?;
    let begun = Instant::now();
    loopback(&body).map_err(io)?;
    let loopback = mb_a_second(begun);
    row("limit: disk, one file with fsync", disk, "MiB/s", "");
    row("limit: loopback", loopback, "MiB/s", "");
    let kokanee = Server::kokanee(&folder.path().join("data"))?;
    large("kokanee", &kokanee, &body, options)?;
    row("limit: small files with fsync, 16 threads", small_files(folder.path()).map_err(io)?, "a second", "");
    small("kokanee", &kokanee)?;
    drop(kokanee);
    if let Some(python) = &options.moto {
        let moto = Server::moto(python)?;
        large("moto (in memory)", &moto, &body, options)?;
        small("moto (in memory)", &moto)?;
    }
    Ok(())
}

fn large(name: &str, server: &Server, body: &[u8], options: &Options) -> Result<(), String> {
    let io = |error: std::io::Error| error.to_string();
    let mut connection = server.connect()?;
    connection.ask("PUT /bucket HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"").map_err(io)?;
    let begun = Instant::now();
    let answer = connection.ask("PUT /bucket/large HTTP/1.1\r\nHost: 127.0.0.1\r\n", body).map_err(io)?;
    let put = options.mb as f64 / begun.elapsed().as_secs_f64();
    if answer.status != 200 {
        return Err(format!("PUT: {}: {}", answer.status, String::from_utf8_lossy(&answer.body)));
    }
    let mut stream = TcpStream::connect(server.address).map_err(io)?;
    let begun = Instant::now();
    stream
        .write_all(b"GET /bucket/large HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, \
          SignedHeaders=host, Signature=0\r\nConnection: close\r\n\r\n")
        .map_err(io)?;
    let mut chunk = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        match stream.read(&mut chunk).map_err(io)? {
            0 => break,
            part => length += part,
        }
    }
    if length < body.len() {
        return Err(format!("GET: {length} bytes of {}", body.len()));
    }
    row(&format!("{name}: PUT of {} MiB", options.mb), put, "MiB/s", "80% of the limits");
    let get = options.mb as f64 / begun.elapsed().as_secs_f64();
    row(&format!("{name}: GET of {} MiB", options.mb), get, "MiB/s", "80% of the limits");
    Ok(())
}

fn small(name: &str, server: &Server) -> Result<(), String> {
    let begun = Instant::now();
    counted(|number| {
        let mut connection = server.connect()?;
        loop {
            let Some(number) = number() else { return Ok(()) };
            let head = format!("PUT /bucket/small/{number} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
            let answer = connection.ask(&head, &[7; SMALL_BYTES]).map_err(|error| error.to_string())?;
            if answer.status != 200 {
                return Err(format!("PUT: {}", answer.status));
            }
        }
    })?;
    row(
        &format!("{name}: PUT of 1 KiB, {CLIENTS} clients"),
        SMALL as f64 / begun.elapsed().as_secs_f64(),
        "a second",
        "over 1000",
    );
    Ok(())
}

/// Writes files in the way that objects need: under another name, flushed to disk, renamed, and with the folder flushed to disk.
fn small_files(folder: &Path) -> std::io::Result<f64> {
    let folder = folder.join("small");
    fs::create_dir_all(&folder)?;
    let begun = Instant::now();
    let written = counted(|number| {
        loop {
            let Some(number) = number() else { return Ok(()) };
            let path = folder.join(number.to_string());
            let write = || {
                write_file(&path.with_extension("part"), &[7; SMALL_BYTES])?;
                fs::rename(path.with_extension("part"), &path)?;
                File::open(&folder)?.sync_all()
            };
            write().map_err(|error: std::io::Error| error.to_string())?;
        }
    });
    written.map_err(std::io::Error::other)?;
    Ok(SMALL as f64 / begun.elapsed().as_secs_f64())
}

/// Runs `work` in several threads; the function that it gets counts up to the number of small objects.
fn counted(work: impl Fn(&dyn Fn() -> Option<usize>) -> Result<(), String> + Sync) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let number = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&number| number < SMALL);
    in_threads(CLIENTS, || work(&number))
}

fn write_file(path: &Path, body: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(body)?;
    file.sync_all()
}

fn loopback(body: &[u8]) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    let (mut receiver, _) = listener.accept()?;
    std::thread::scope(|scope| {
        scope.spawn(move || sender.write_all(body));
        let mut chunk = vec![0; 1 << 20];
        while receiver.read(&mut chunk)? > 0 {}
        Ok(())
    })
}
