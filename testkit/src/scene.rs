//! Putting a scene on: the builder, the run, and what a play can ask and do.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proxy::connection::{Rules, serve};
use proxy::control;
use proxy::core::{Connect, Core, Peer, Shared};
use proxy::live::Live;
use proxy::stream::Stream;
use proxy::surge;
use proxy::timers::TICK;
use signals::log::AccessLog;
use signals::{Signals, Totals};
use tokio::io::duplex;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout};
use traffic::endpoint::Endpoint;

use crate::client::Client;
use crate::conn::Conn;
use crate::message::Message;
use crate::origins::{Door, Origins, Play};
use crate::pipe::Pipe;
use crate::transcript::Transcript;

/// A scene that lasts longer than this of its own time has come to a standstill.
const LONGEST: Duration = Duration::from_hours(12);

/// Once a play is over, Tidegate lets go of everything within this time.
const CURTAIN: Duration = Duration::from_mins(10);

/// Threads that may block, as few as a core of the product has: whoever keeps them busy plays a disk that hangs.
pub const READERS: usize = 4;

/// Where the environment says which seed to play.
const SEED: &str = "TIDEGATE_SEED";

/// A scene before it begins.
pub struct Script {
    config: String,
    doors: Vec<(String, Door)>,
    files: HashMap<String, String>,
    pipe_bytes: usize,
}

/// A scene with this configuration. A listener is added if the text names none.
pub fn scene(config: impl Into<String>) -> Script {
    Script { config: config.into(), doors: Vec::new(), files: HashMap::new(), pipe_bytes: 64 * 1024 }
}

impl Script {
    /// Lets `play` serve the connections to this address. Addresses without an origin refuse them.
    #[must_use]
    pub fn origin(mut self, address: &str, play: impl AsyncFn(Conn) + 'static) -> Self {
        self.doors.push((address.to_owned(), open(play)));
        self
    }

    /// Lets connections to this address hang for ever.
    #[must_use]
    pub fn hanging(mut self, address: &str) -> Self {
        self.doors.push((address.to_owned(), Door::Hang));
        self
    }

    /// A file that the configuration may name.
    #[must_use]
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.to_owned(), content.to_owned());
        self
    }

    /// How many bytes a connection holds that nobody has read; 64 KiB unless set.
    #[must_use]
    pub fn pipe_bytes(mut self, bytes: usize) -> Self {
        self.pipe_bytes = bytes;
        self
    }

    /// Plays the scene: one core, its probes, the origins, and whatever `play` does. Afterwards nothing
    /// of it may be left: no connection, no request in flight, no tunnel.
    ///
    /// # Panics
    /// When anything in it does, with the transcript and the seed.
    pub fn run(self, play: impl AsyncFnOnce(&Scene)) {
        let seed = std::env::var(SEED)
            .ok()
            .map_or_else(|| fastrand::u64(..), |seed| seed.parse().expect("TIDEGATE_SEED is a number"));
        let runtime = Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(READERS)
            .start_paused(true)
            .build_local(LocalOptions::default())
            .expect("the system gives an event queue");
        let transcript: RefCell<Option<Transcript>> = RefCell::default();
        let result = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let scene = Scene::open(self, seed);
                *transcript.borrow_mut() = Some(scene.transcript.clone());
                timeout(LONGEST, play(&scene)).await.expect("the scene has come to a standstill");
                scene.close().await;
            });
        }));
        if let Err(panic) = result {
            let transcript = transcript.take().map(|transcript| transcript.show()).unwrap_or_default();
            eprintln!("transcript:\n{transcript}play it again with {SEED}={seed}");
            resume_unwind(panic);
        }
    }
}

fn open(play: impl AsyncFn(Conn) + 'static) -> Door {
    let play = Rc::new(play);
    let play: Play = Rc::new(move |conn| {
        let play = Rc::clone(&play);
        Box::pin(async move { play(conn).await })
    });
    Door::Open(play)
}

/// A scene that is being played.
pub struct Scene {
    /// The core that serves it.
    pub core: Rc<Core>,
    /// What all cores would share.
    pub shared: Arc<Shared>,
    seed: u64,
    signals: Arc<Signals>,
    origins: Origins,
    control: control::Handle,
    serving: RefCell<Vec<JoinHandle<()>>>,
    files: HashMap<String, String>,
    log: RefCell<Option<(AccessLog, tempfile::TempDir)>>,
    transcript: Transcript,
    pipe_bytes: usize,
    start: Instant,
}

impl Scene {
    fn open(script: Script, seed: u64) -> Self {
        // Whoever makes a generator without a seed in this thread gets one that follows from this.
        fastrand::seed(seed);
        let transcript = Transcript::new();
        let origins = Origins::new(transcript.clone(), script.pipe_bytes);
        for (address, door) in script.doors {
            origins.set(&address, door);
        }
        let signals = Signals::new(2);
        let plan = plan(&script.config, &script.files);
        let live = Live::build(plan, &signals, None).expect("no two routes match the same requests");
        let shared = Shared::new(live, Arc::clone(&signals));
        shared.open_disk().expect("the folder of the cache can be used");
        let core = Core::new(Arc::clone(&shared), signals.shard(0), Box::new(origins.clone()), seed);
        spawn_local(tick(Rc::clone(&core)));
        let (control, inbox) = control::channel();
        let connect: Rc<dyn Connect> = Rc::new(origins.clone());
        spawn_local(control::run(Arc::clone(&shared), connect, inbox));
        Self {
            core,
            shared,
            seed,
            signals,
            origins,
            control,
            serving: RefCell::default(),
            files: script.files,
            log: RefCell::default(),
            transcript,
            pipe_bytes: script.pipe_bytes,
            start: Instant::now(),
        }
    }

    /// A client from 203.0.113.7.
    pub fn client(&self) -> Client {
        self.client_from("203.0.113.7")
    }

    /// A client from this address.
    pub fn client_from(&self, ip: &str) -> Client {
        let ip: IpAddr = ip.parse().expect("an address");
        let (ours, theirs) = duplex(self.pipe_bytes);
        let mut serving = self.serving.borrow_mut();
        let name = format!("client {}", serving.len());
        let proxy_protocol = self.shared.live().plan.listeners[0].proxy_protocol;
        let rules = Rules { proxy_protocol };
        let task = spawn_local(serve(Rc::clone(&self.core), Stream::Memory(ours), Peer::new(ip), rules));
        let client = Client::new(Pipe::new(theirs, name, self.transcript.clone()), task.abort_handle());
        serving.push(task);
        client
    }

    /// Lets time pass. Nobody waits for it: it jumps.
    pub async fn pass(&self, time: Duration) {
        sleep(time).await;
    }

    /// Lets `seconds` pass.
    pub async fn seconds(&self, seconds: u64) {
        self.pass(Duration::from_secs(seconds)).await;
    }

    /// Lets everybody do what they can do now.
    pub async fn settle(&self) {
        // Longer than a tick, so that deadlines that are due are met too.
        self.pass(TICK * 2).await;
    }

    /// Time since the scene began.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Random numbers that follow from the scene's seed.
    pub fn rng(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_add(1))
    }

    /// Every request that reached an origin, probes left out.
    pub fn requests(&self) -> Vec<Message> {
        self.requests_where(|_| true)
    }

    /// The requests that reached the origin at this address, probes left out.
    pub fn requests_at(&self, address: &str) -> Vec<Message> {
        self.requests_where(|at| at == address)
    }

    fn requests_where(&self, wanted: impl Fn(&str) -> bool) -> Vec<Message> {
        let visits = self.origins.visits(|visit| (visit.address.clone(), visit.requests.clone()));
        let requests = visits.into_iter().filter(|(at, _)| wanted(at)).flat_map(|(_, requests)| requests);
        requests.filter(|request| request.header("user-agent") != Some("tidegate-probe")).collect()
    }

    /// Every byte that reached an origin, by connection, whether its script has asked for it or not.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        self.origins.visits(|visit| visit.bytes.borrow().clone())
    }

    /// How many connections to this address came about.
    pub fn connections(&self, address: &str) -> usize {
        self.origins.visits(|visit| visit.address == address).into_iter().filter(|is_it| *is_it).count()
    }

    /// From now on `play` serves new connections to this address.
    pub fn serve(&self, address: &str, play: impl AsyncFn(Conn) + 'static) {
        self.origins.set(address, open(play));
    }

    /// From now on new connections to this address are refused.
    pub fn refuse(&self, address: &str) {
        self.origins.set(address, Door::Refuse);
    }

    /// The process at this address dies: its connections end, new ones are refused.
    pub fn kill(&self, address: &str) {
        self.transcript.note(address, "is killed");
        self.refuse(address);
        self.origins.cut(address);
    }

    /// Puts another configuration in force, as a reload does.
    pub fn reload(&self, config: &str) {
        let change = self.shared.change();
        let live = change.reloaded(plan(config, &self.files)).expect("no two routes match the same");
        change.finish(live);
        self.control.reconfigure();
    }

    /// Switches the only surge of the configuration on, for so long if that is said.
    pub fn surge(&self, lasts: Option<Duration>) {
        surge::on(&self.shared, None, lasts).expect("one profile");
        self.control.reconfigure();
    }

    /// Switches off what is on.
    pub fn calm(&self) {
        surge::off(&self.shared);
        self.control.reconfigure();
    }

    /// Tells Tidegate to take no new work, as the end of the process does.
    pub fn drain(&self) {
        self.shared.drain();
        self.core.pools.borrow_mut().clear();
        self.core.timers.wake_all();
    }

    /// The endpoint at this address, of whichever upstream has it.
    ///
    /// # Panics
    /// There is none.
    pub fn endpoint(&self, address: &str) -> Arc<Endpoint> {
        let live = self.shared.live();
        let mut all = live.upstreams.iter().flat_map(|upstream| upstream.traffic.endpoints().to_vec());
        all.find(|endpoint| endpoint.address().to_string() == address).expect("no such endpoint")
    }

    /// Word for the state of an endpoint: `up`, `ejected`, `down`, `draining`.
    pub fn state(&self, address: &str) -> &'static str {
        self.endpoint(address).state(self.shared.now()).code()
    }

    /// Everything counted so far.
    pub fn totals(&self) -> Totals {
        self.signals.totals()
    }

    /// Writes an access log from here on.
    ///
    /// # Panics
    /// The system gives no temporary file.
    pub fn start_log(&self) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = Some(folder.path().join("access.log"));
        let settings = signals::log::Settings { path, format: signals::log::Format::Json, sample: [1.0; 5] };
        let log = AccessLog::open(settings, &self.signals).expect("a log in a temporary folder");
        *self.core.log.borrow_mut() = Some(log.handle());
        *self.log.borrow_mut() = Some((log, folder));
    }

    /// Closes the access log and gives its lines.
    ///
    /// # Panics
    /// None was started.
    pub fn log(&self) -> Vec<serde_json::Value> {
        self.core.log.borrow_mut().take();
        let (log, folder) = self.log.borrow_mut().take().expect("a log was started");
        log.close();
        let text = std::fs::read_to_string(folder.path().join("access.log")).expect("a log file");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// After the play: everybody has left, so nothing may be held any more.
    async fn close(&self) {
        let open = || self.shared.connections.load(Ordering::Relaxed);
        let end = Instant::now() + CURTAIN;
        while open() > 0 && Instant::now() < end {
            self.settle().await;
        }
        let scripts = self.origins.tasks();
        for task in self.serving.take().into_iter().chain(scripts) {
            if task.is_finished()
                && let Err(error) = task.await
                && error.is_panic()
            {
                resume_unwind(error.into_panic());
            }
        }
        assert_eq!(open(), 0, "client connections are left over");
        for upstream in &self.shared.live().upstreams {
            for endpoint in upstream.traffic.endpoints().iter() {
                let address = endpoint.address();
                assert_eq!(endpoint.in_flight(), 0, "requests in flight at {address} are left over");
            }
        }
        assert_eq!(self.totals().tunnels_open, 0, "tunnels are left over");
        assert_eq!(self.core.encoders.used(), 0, "encoders are left over");
    }
}

async fn tick(core: Rc<Core>) {
    loop {
        sleep(TICK).await;
        core.tick();
    }
}

fn plan(config: &str, files: &HashMap<String, String>) -> config::Plan {
    let listener = "listener = [{ address = \"127.0.0.1:8080\" }]\n";
    let text =
        if config.contains("[[listener]]") { config.to_owned() } else { format!("{listener}{config}") };
    let read = |path: &Path| {
        let file = path.to_str().and_then(|path| files.get(path));
        let text = file.map(|text| text.as_bytes().to_vec());
        // Files are given to a scene as text, folders as they are on disk.
        text.map_or_else(|| std::fs::read(path), Ok)
    };
    match config::parse(&text, "tidegate.toml", &|_| None, &read) {
        Ok(loaded) => loaded.plan,
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}
