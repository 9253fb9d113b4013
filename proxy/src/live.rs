//! The configuration in force: a plan, and what was built from it.
//!
//! A reload builds a new [`Live`] beside the old one and swaps them. Endpoints whose upstream and
//! address stayed are the same objects in both, so their counters, health and in-flight requests
//! carry on; requests in flight finish on the configuration that they began with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use config::{EndpointAddress, Plan};
use signals::{EndpointSlot, RouteSlot, Signals, UpstreamSlot};
use traffic::breaker::Breaker;
use traffic::endpoint::{Address, EndpointId, Wanted, adopt};
use traffic::limit::Store;
use traffic::route::{RouteId, Table};

use crate::limits::{self, Limit};
use crate::respond::Pages;
use crate::room::Room;
use crate::surge::Surge;

/// How many were built in this process.
static BUILT: AtomicU64 = AtomicU64::new(0);

/// The configuration in force.
#[derive(Debug)]
pub struct Live {
    /// Rises from one that is built to the next; what was kept under one is told by it from what is kept under another.
    pub id: u64,
    /// What was configured.
    pub plan: Plan,
    /// Which route a request takes.
    pub table: Table,
    /// By the plan's route index.
    pub routes: Vec<Route>,
    /// By the plan's upstream index.
    pub upstreams: Vec<Arc<Upstream>>,
    /// What limits know of their keys.
    pub limits: Arc<Store>,
    /// The server's limits, which also count what no route takes.
    pub server_limits: Vec<Limit>,
    /// How often clients connect, where that is limited.
    pub connection_rate: Option<Arc<traffic::limit::Limit>>,
    /// By the plan's index of waiting rooms.
    pub rooms: Vec<Room>,
    /// What is on, if the plan is that of a surge.
    pub surge: Option<Surge>,
}

/// What a route needs besides its plan.
#[derive(Debug)]
pub struct Route {
    /// Its place in signals.
    pub slot: RouteSlot,
    /// Error pages, ready to send.
    pub pages: Pages,
    /// Its own limits, and behind them the server's.
    pub limits: Vec<Limit>,
}

/// A named group of endpoints, alive.
#[derive(Debug)]
pub struct Upstream {
    /// What was configured.
    pub plan: config::Upstream,
    /// Who is picked, judged, ejected.
    pub traffic: traffic::upstream::Upstream,
    /// Whether requests are sent at all; only with settings in the plan. A reload takes it over.
    pub breaker: Arc<Breaker>,
    /// Its place in signals.
    pub slot: UpstreamSlot,
    /// What is known of each endpoint besides its traffic.
    pub directory: ArcSwap<Vec<Listed>>,
}

/// An endpoint in an upstream's directory.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Which endpoint.
    pub id: EndpointId,
    /// Its place in signals.
    pub slot: EndpointSlot,
    /// Its address, as text.
    pub address: String,
    /// Host field where the upstream sends the endpoint's own.
    pub host: String,
    /// Name that it was resolved from.
    pub name: Option<(String, u16)>,
}

impl Live {
    /// Builds what a plan needs; endpoints that `before` has too are taken over from it.
    ///
    /// # Errors
    /// Two routes that match the same requests (config has told the person already).
    pub fn build(
        plan: Plan,
        signals: &Signals,
        before: Option<&Self>,
    ) -> Result<Self, traffic::route::Conflict> {
        let table = Table::build(plan.routes.iter().map(|route| route.rule.clone()).collect())?;
        let store = limits::store(&plan, before);
        let connection_rate = limits::of_connections(&plan, &store, before);
        let known = limits::known(before);
        let server_limits = limits::build(None, &plan.server.limit, &store, signals, &known);
        let routes = plan
            .routes
            .iter()
            .map(|route| {
                let mut limits = limits::build(Some(&route.name), &route.limit, &store, signals, &known);
                limits.extend_from_slice(&server_limits);
                Route { slot: signals.route(&route.name), pages: Pages::new(&route.error_pages), limits }
            })
            .collect();
        let upstreams = plan
            .upstreams
            .iter()
            .map(|upstream| {
                let known = before
                    .and_then(|live| live.upstreams.iter().find(|known| known.plan.name == upstream.name));
                Arc::new(Upstream::build(upstream.clone(), signals, known.map(AsRef::as_ref)))
            })
            .collect();
        let state = plan.server.state.as_deref();
        let rooms = plan
            .rooms
            .iter()
            .map(|room| {
                let known =
                    before.and_then(|live| live.rooms.iter().find(|known| known.plan.name == room.name));
                Room::build(room.clone(), state, known)
            })
            .collect();
        let id = BUILT.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Self {
            id,
            plan,
            table,
            routes,
            upstreams,
            rooms,
            limits: store,
            server_limits,
            connection_rate,
            surge: None,
        })
    }

    /// Plan and parts of a route.
    pub fn route(&self, id: RouteId) -> (&config::Route, &Route) {
        (&self.plan.routes[id.0 as usize], &self.routes[id.0 as usize])
    }

    /// The limits of a request: those of its route, or of the server if no route takes it.
    pub fn limits_of(&self, route: Option<usize>) -> &[Limit] {
        route.map_or(&self.server_limits, |route| &self.routes[route].limits)
    }

    /// All limits, those of the server again and again.
    pub fn all_limits(&self) -> impl Iterator<Item = &Limit> {
        self.routes.iter().flat_map(|route| &route.limits).chain(&self.server_limits)
    }

    /// The upstream of this name.
    pub fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.upstreams.iter().find(|upstream| upstream.plan.name == name)
    }
}

impl Upstream {
    fn build(plan: config::Upstream, signals: &Signals, before: Option<&Self>) -> Self {
        let slot = signals.upstream(&plan.name);
        let settings = plan.traffic.clone();
        let traffic = match before {
            // Who waits keeps its place.
            Some(before) => {
                let queue = Arc::clone(before.traffic.queue());
                traffic::upstream::Upstream::with_queue(settings, Vec::new(), queue)
            }
            None => traffic::upstream::Upstream::new(settings, Vec::new()),
        };
        let breaker = before.map_or_else(Arc::default, |before| Arc::clone(&before.breaker));
        let this = Self { plan, traffic, breaker, slot, directory: ArcSwap::default() };
        this.list(signals, before.unwrap_or(&this), |name| {
            // What a name stood for before the reload stands until it is resolved again.
            before.map_or_else(Vec::new, |before| {
                let directory = before.directory.load();
                let endpoints = before.traffic.endpoints();
                directory
                    .iter()
                    .filter(|listed| listed.name.as_ref() == Some(name))
                    .filter_map(|listed| endpoints.iter().find(|endpoint| endpoint.id() == listed.id))
                    .map(|endpoint| endpoint.address().clone())
                    .collect()
            })
        });
        this
    }

    /// Sets the endpoints: fixed ones as configured, names as `resolve` says.
    /// Endpoints that stand in `known` under the same address are taken over.
    pub fn list(&self, signals: &Signals, known: &Self, resolve: impl Fn(&(String, u16)) -> Vec<Address>) {
        let mut wanted = Vec::new();
        let mut hosts: Vec<(String, Option<(String, u16)>)> = Vec::new();
        for configured in &self.plan.endpoints {
            let (addresses, host, name) = match &configured.address {
                EndpointAddress::Ip(address) => (vec![Address::Ip(*address)], address.to_string(), None),
                EndpointAddress::Unix(path) => {
                    (vec![Address::Unix(path.display().to_string())], "localhost".to_owned(), None)
                }
                EndpointAddress::Name(name, port) => {
                    let key = (name.clone(), *port);
                    (resolve(&key), format!("{name}:{port}"), Some(key))
                }
            };
            for address in addresses {
                if !wanted.iter().any(|known: &Wanted| known.address == address) {
                    wanted.push(Wanted { address, weight: configured.weight, backup: configured.backup });
                    hosts.push((host.clone(), name.clone()));
                }
            }
        }
        let endpoints = adopt(&known.traffic.endpoints(), wanted);
        let directory: Vec<Listed> = endpoints
            .iter()
            .zip(hosts)
            .map(|(endpoint, (host, name))| {
                let address = endpoint.address().to_string();
                let slot = signals.endpoint(self.slot, &address);
                Listed { id: endpoint.id(), slot, address, host, name }
            })
            .collect();
        let slots: Vec<EndpointSlot> = directory.iter().map(|listed| listed.slot).collect();
        signals.keep_endpoints(self.slot, &slots);
        self.directory.store(Arc::new(directory));
        self.traffic.set_endpoints(endpoints);
    }

    /// Signals' place of an endpoint.
    pub fn endpoint_slot(&self, id: EndpointId) -> Option<EndpointSlot> {
        self.directory.load().iter().find(|listed| listed.id == id).map(|listed| listed.slot)
    }
}
