//! What goes on beside traffic, on a thread of its own: probes, name resolution, endpoints that
//! return from their ejection.

use std::collections::{HashMap, HashSet};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use signals::Shard;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet, spawn_local};
use traffic::endpoint::{Address, Endpoint, EndpointId, Transition};
use traffic::health;

use crate::core::{Connect, Shared};
use crate::live::{Live, Upstream};
use crate::net::Sockets;
use crate::probe;
use crate::surge;

/// How often endpoints are looked over.
const LOOK: Duration = Duration::from_millis(100);

/// How often the lines in front of waiting rooms are written down.
const KEEP: Duration = Duration::from_secs(1);

/// Names are asked for again no sooner and no later than this, whatever their records say.
const RESOLVE_LEAST: Duration = Duration::from_secs(1);
const RESOLVE_MOST: Duration = Duration::from_mins(1);

/// The control thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Handle {
    commands: mpsc::UnboundedSender<()>,
}

/// Where [`run`] hears that the configuration in force has changed.
pub type Inbox = mpsc::UnboundedReceiver<()>;

/// A handle, and what [`run`] wants of it.
pub fn channel() -> (Handle, Inbox) {
    let (commands, inbox) = mpsc::unbounded_channel();
    (Handle { commands }, inbox)
}

impl Handle {
    /// The configuration in force has changed.
    pub fn reconfigure(&self) {
        // A thread that is gone has nothing to reconfigure.
        let _ = self.commands.send(());
    }
}

/// Starts the thread.
///
/// # Errors
/// The system has no thread to give.
pub fn start(shared: Arc<Shared>) -> io::Result<Handle> {
    let (handle, inbox) = channel();
    std::thread::Builder::new().name("tidegate-control".to_owned()).spawn(move || {
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "cannot make an event queue: no probes, no name resolution");
                return;
            }
        };
        runtime.block_on(run(shared, Rc::new(Sockets), inbox));
    })?;
    Ok(handle)
}

/// Looks after the configuration in force until the handle is dropped.
pub async fn run(shared: Arc<Shared>, connect: Rc<dyn Connect>, mut inbox: Inbox) {
    loop {
        let mut tasks = watch(&shared, &connect);
        tokio::select! {
            command = inbox.recv() => if command.is_none() { return },
            () = surge::over(&shared) => {}
        }
        while inbox.try_recv().is_ok() {} // Several reloads at once are one.
        tasks.abort_all();
    }
}

/// Watches every upstream of the configuration in force.
fn watch(shared: &Arc<Shared>, connect: &Rc<dyn Connect>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let live = shared.live();
    for upstream in &live.upstreams {
        tasks.spawn_local(look_after(Arc::clone(shared), Arc::clone(upstream), Rc::clone(connect)));
        let has_names = upstream
            .plan
            .endpoints
            .iter()
            .any(|endpoint| matches!(endpoint.address, config::EndpointAddress::Name(..)));
        if has_names {
            tasks.spawn_local(resolve(Arc::clone(shared), Arc::clone(upstream)));
        }
    }
    if !live.rooms.is_empty() {
        tasks.spawn_local(keep_rooms(live));
    }
    tasks
}

/// Writes down what waiting rooms have to know after a restart.
async fn keep_rooms(live: Arc<Live>) {
    loop {
        tokio::time::sleep(KEEP).await;
        for room in &live.rooms {
            room.keep(false);
        }
    }
}

/// Keeps a probe running for every endpoint of an upstream, and notes endpoints that return.
async fn look_after(shared: Arc<Shared>, upstream: Arc<Upstream>, connect: Rc<dyn Connect>) {
    let shard = shared.control_shard();
    let mut probes = Probes::default();
    loop {
        let endpoints = upstream.traffic.endpoints();
        for endpoint in endpoints.iter() {
            note(&shard, &upstream, endpoint.settle(shared.now()));
            match &upstream.plan.health {
                None => endpoint.forget_verdict(),
                Some(settings) if !probes.0.contains_key(&endpoint.id()) => {
                    let task = spawn_local(probe_for_ever(
                        Arc::clone(&shared),
                        Arc::clone(&upstream),
                        Arc::clone(endpoint),
                        settings.clone(),
                        Rc::clone(&connect),
                    ));
                    probes.0.insert(endpoint.id(), task.abort_handle());
                }
                Some(_) => {}
            }
        }
        probes.0.retain(|id, task| {
            let stays = endpoints.iter().any(|endpoint| endpoint.id() == *id);
            if !stays {
                task.abort();
            }
            stays
        });
        tokio::time::sleep(LOOK).await;
    }
}

/// Probes that end with the task that started them.
#[derive(Default)]
struct Probes(HashMap<EndpointId, AbortHandle>);

impl Drop for Probes {
    fn drop(&mut self) {
        for task in self.0.values() {
            task.abort();
        }
    }
}

async fn probe_for_ever(
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
    endpoint: Arc<Endpoint>,
    settings: health::Settings,
    connect: Rc<dyn Connect>,
) {
    let shard = shared.control_shard();
    let mut rng = fastrand::Rng::new();
    endpoint.expect_verdict();
    let mut is_first = true;
    loop {
        let result = probe::once(&*connect, &endpoint, &settings).await;
        if let Some(slot) = upstream.endpoint_slot(endpoint.id()) {
            shard.endpoint_probed(slot, result.is_ok());
        }
        note(&shard, &upstream, endpoint.probe(shared.now(), &settings, result));
        let now = shared.now();
        let next = if is_first { settings.spread(now, &mut rng) } else { settings.next(now, &mut rng) };
        is_first = false;
        tokio::time::sleep(next.since(now)).await;
    }
}

/// Counts a change of an endpoint's state and says it in the log.
pub fn note(shard: &Shard, upstream: &Upstream, transition: Option<Transition>) {
    let Some(Transition { endpoint, to, why, .. }) = transition else { return };
    let name = &upstream.plan.name;
    let address = endpoint.address();
    let slot = upstream.endpoint_slot(endpoint.id());
    if to.is_usable() {
        tracing::info!("upstream {name}: endpoint {address}: {} ({})", to.code(), why.code());
        if let Some(slot) = slot {
            shard.endpoint_returned(slot);
        }
    } else {
        tracing::warn!("upstream {name}: endpoint {address}: {} ({})", to.code(), why.code());
        if let Some(slot) = slot {
            shard.endpoint_ejected(slot, why.code());
        }
    }
}

/// Resolves the names of an upstream, again and again as their records expire. An answer that
/// fails leaves the endpoints of the last one in place: a name server that is away must not take
/// the app with it.
async fn resolve(shared: Arc<Shared>, upstream: Arc<Upstream>) {
    let shard = shared.control_shard();
    let name = &upstream.plan.name;
    let resolver = TokioResolver::builder_tokio().and_then(hickory_resolver::ResolverBuilder::build);
    let resolver = match resolver {
        Ok(resolver) => resolver,
        Err(error) => {
            tracing::error!("upstream {name}: names cannot be resolved: {error}");
            return;
        }
    };
    let mut known: HashMap<(String, u16), Vec<Address>> = HashMap::new();
    // Names that cannot be resolved: it is said when that begins and when it is over, and counted each time.
    let mut lost: HashSet<String> = HashSet::new();
    loop {
        let mut wait = RESOLVE_MOST;
        let mut changed = false;
        for endpoint in &upstream.plan.endpoints {
            let config::EndpointAddress::Name(host, port) = &endpoint.address else { continue };
            match resolver.lookup_ip(host.as_str()).await {
                Ok(answer) => {
                    shard.resolved(upstream.slot, true);
                    if lost.remove(host) {
                        tracing::info!("upstream {name}: {host} can be resolved again");
                    }
                    let left = answer.valid_until().saturating_duration_since(std::time::Instant::now());
                    wait = wait.min(left);
                    let mut addresses: Vec<Address> =
                        answer.iter().map(|ip| Address::Ip(std::net::SocketAddr::new(ip, *port))).collect();
                    addresses.sort_by_key(ToString::to_string);
                    let key = (host.clone(), *port);
                    if !addresses.is_empty() && known.get(&key) != Some(&addresses) {
                        tracing::info!("upstream {name}: {host} is {} endpoint(s) now", addresses.len());
                        known.insert(key, addresses);
                        changed = true;
                    }
                }
                Err(error) => {
                    shard.resolved(upstream.slot, false);
                    if lost.insert(host.clone()) {
                        tracing::warn!(
                            "upstream {name}: {host} cannot be resolved, its last addresses stay: {error}"
                        );
                    }
                    wait = RESOLVE_LEAST;
                }
            }
        }
        if changed {
            upstream.list(&shared.signals, &upstream, |key| known.get(key).cloned().unwrap_or_default());
        }
        tokio::time::sleep(wait.max(RESOLVE_LEAST)).await;
    }
}
