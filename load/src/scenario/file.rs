//! What a scenario may hold, key by key. The comments here are the manual: they become the JSON schema and
//! docs/reference/scenario.md.

use config::read::{Key, Short};
use config::table::{table, words};
use config::value::{Count, Share, Statuses, Time};
use config::{List, Named, OneOrMany, Shortened};
use toml::Spanned;

use super::value::{Constant, Json, PerSecond, Sources, There, Wait, Whole};

table! {
    /// The whole file.
    ///
    /// `${NAME}` in any string stands for an environment variable, `${NAME:-default}` gives it a default.
    ///
    /// `{{name}}` in a path, a header field, a body or a text of a socket stands for a variable: one of `[variables]`, a
    /// column of `[data]` (`{{users.email}}`) or a captured value. A value is written as its place needs it, so that it
    /// can never add to what is asked: percent-encoded in paths and queries (at the very beginning of a path it is
    /// taken as a path), without controls in header fields, escaped in JSON, percent-encoded in forms, as it is
    /// elsewhere. A body is JSON when its Content-Type says so or, without one, when it begins with `[` or `{`.
    pub struct File {
        /// Shown in reports.
        name: String => absent("the name of the file"),
        /// Who is asked, as a URL without a path.
        target: String => required("http://127.0.0.1:8080"),
        /// What makes a request due.
        model: ModelWord => default("open"),
        /// How the due times of the open model lie.
        spacing: SpacingWord => default("even"),
        /// Users, each with one connection and a memory of its own: a number is exactly so many, all connected from
        /// the beginning, taking turns. In the closed model and with sockets the stages say how many.
        users: Shortened<Crowd> => absent("as many as it takes, up to 10,000"),
        /// Most requests (in the open model: flows) in all. The run ends with the last answer.
        requests: Count<1, 1_000_000_000_000> => absent("the stages alone decide"),
        /// Whether a connection carries more than one request.
        keep_alive: bool => default(true),
        /// Longest time from sending a request (or beginning to connect) to the end of its answer.
        timeout: Time<1> => default("30s"),
        /// How long after the last stage answers are still waited for.
        grace: Time<0> => absent("as long as the timeout"),
        /// Seed of everything random, so that a run can be repeated.
        seed: Count<0, 9_007_199_254_740_991> => absent("drawn for each run"),
        /// Local addresses to connect from, in turn: single ones or ranges such as `"127.0.0.2-127.0.0.20"`. Each
        /// has ports for about 28,000 connections to one target. Left out, connections to 127.0.0.1 come from as many
        /// of 127.0.0.1, 127.0.0.2 and so on that each has no more than about 4,000, since the more ports are taken
        /// the longer it takes to find a free one.
        sources: List<Sources> => absent("the system chooses"),
        /// What has to hold for the run to pass: `"success >= 99.9%"`, `"p95 < 100ms"`, `"p99(search) < 25ms"`,
        /// `"rate >= 20000/s"`.
        thresholds: List<String> => default(["success >= 99.9%"]),
        /// Values by name: a text or number that is always the same, or a table that says how it is made.
        variables: Named<Shortened<Variable>> => absent("no variables"),
        /// Values from CSV files by name. Each flow takes one row of each.
        data: Named<Data> => absent("no files"),
        /// How much is asked, one stage after another; at least one.
        stage: List<Stage> => needed,
        /// Requests that are asked one at a time, drawn by weight.
        step: List<Step> => absent("flows, or a websocket"),
        /// Sequences of requests that one user asks one after the other, drawn by weight.
        flow: List<Flow> => absent("steps, or a websocket"),
        /// WebSockets that are opened and held, instead of steps and flows.
        websocket: WebSocket => absent("steps, or flows"),
    }

    /// How many users.
    pub struct Crowd {
        /// A connection is opened when all others are busy, up to so many.
        up_to: Count<1, 10_000_000> => default(10000),
        /// All connected from the beginning, taking turns.
        exactly: Count<1, 10_000_000> => absent("as many as it takes"),
    }

    /// A part of the run.
    pub struct Stage {
        /// Shown in the live view and in reports.
        name: String => absent("what it does, such as `100/s to 1000/s`"),
        /// How long.
        length as "for": Time<1> => required("30s"),
        /// Requests (or flows) per second in the open model: constant, or a table that says how it changes.
        rate: Shortened<RateShape> => absent("only in the open model"),
        /// Users in the closed model: constant, or a table that says how it changes.
        users: Shortened<CountShape> => absent("only in the closed model"),
        /// Open sockets: constant, or a table that says how it changes.
        connections: Shortened<CountShape> => absent("only with a websocket"),
    }

    /// A rate that changes within a stage: from `from` to `to` in a straight line, or in steps; or a spike.
    pub struct RateShape {
        /// At the beginning.
        from: PerSecond => required("100/s"),
        /// At the end.
        to: PerSecond => absent("as at the beginning"),
        /// Goes from `from` to `to` in so many steps of equal length instead of in a straight line.
        steps: Count<2, 1_000> => absent("a straight line"),
        /// In the middle third of the stage it is this, at once, and then `from` again.
        spike: PerSecond => absent("no spike"),
    }

    /// A number that changes within a stage: from `from` to `to` in a straight line, or in steps; or a spike.
    pub struct CountShape {
        /// At the beginning.
        from: Count<0, 10_000_000> => required(10),
        /// At the end.
        to: Count<0, 10_000_000> => absent("as at the beginning"),
        /// Goes from `from` to `to` in so many steps of equal length instead of in a straight line.
        steps: Count<2, 1_000> => absent("a straight line"),
        /// In the middle third of the stage it is this, at once, and then `from` again.
        spike: Count<0, 10_000_000> => absent("no spike"),
    }

    /// How the value of a variable is made. Exactly one of the keys.
    pub struct Variable {
        /// Always the same; a variable that is no table is this.
        value: Constant => absent("made in another way"),
        /// A random whole number, drawn for each flow.
        random: Range => absent("made in another way"),
        /// One of these, drawn for each flow.
        choice: List<Constant> => absent("made in another way"),
        /// Something else that is new each time.
        make: Made => absent("made in another way"),
        /// A JSON Web Token signed with a secret. Each user has one, signed once and renewed when a tenth of its life
        /// is left or when a value in its claims has changed.
        jwt: Jwt => absent("made in another way"),
    }

    /// Bounds of a random number.
    pub struct Range {
        /// Least.
        from: Whole => required(1),
        /// Greatest.
        to: Whole => required(1000),
    }

    /// A JSON Web Token.
    pub struct Jwt {
        /// The secret that signs it.
        secret: String => required("${JWT_SECRET}"),
        /// How it is signed.
        algorithm: AlgorithmWord => default("HS256"),
        /// Its claims; texts may hold variables. `iat` and `exp` are added.
        claims: Named<Json> => default({}),
        /// How long it holds.
        expires_in: Time<1000> => default("1h"),
    }

    /// A CSV file whose first line names the columns.
    pub struct Data {
        /// Path from the scenario's own folder; at most 256 MiB.
        file: String => required("users.csv"),
        /// Which flow takes which row.
        order: OrderWord => default("in-turn"),
    }

    /// A request.
    pub struct Step {
        /// Its name in reports and thresholds.
        name: String => absent("method and path"),
        /// How often it is drawn against the other steps and flows; only outside of flows.
        weight: Count<1, 1_000_000> => default(1),
        /// The method.
        method: String => absent("GET, or POST with a body"),
        /// Path and query.
        path: String => required("/"),
        /// Header fields by name.
        headers: Named<String> => default({}),
        /// The body as text.
        body: String => absent("no body, or `json`"),
        /// The body as JSON: a table, list or text whose texts may hold variables. For a number from a variable, write
        /// the JSON in `body`.
        json: Json => absent("no body, or `body`"),
        /// How long the user waits after it: `"1s"`, or `"1s-3s"` for anything between.
        think: Wait => default("0s"),
        /// What the answer has to be like.
        expect: Expect => table,
        /// Values that are taken from the answer for later requests of the same user, by the name of the variable.
        capture: Named<Shortened<Capture>> => default({}),
    }

    /// A sequence of requests of one user.
    pub struct Flow {
        /// Goes before the names of its steps in reports and thresholds: `buy/log in`.
        name: String => absent("its steps have names of their own"),
        /// How often it is drawn against the other steps and flows.
        weight: Count<1, 1_000_000> => default(1),
        /// Its requests, in order; at least one.
        step: List<Step> => needed,
    }

    /// What an answer has to be like.
    pub struct Expect {
        /// A status (`200`), a range (`"200-299"`), a class (`"2xx"`) or a list of them.
        status: OneOrMany<Statuses> => absent("any below 400"),
        /// Latest time for the end of the answer, counted as latency is; a right answer that comes later fails as `late`. What
        /// people would not have waited for is no success.
        within: Time<1> => absent("any time"),
        /// Header fields by name: `true` is any value, a text the whole value, a table says more. One line with that name has to be so.
        headers: Named<Shortened<TextRule>> => default({}),
        /// The body: a text that it contains, or a table that says more.
        body: Shortened<BodyRule> => absent("any body"),
    }

    /// What a header field has to be like. All that is written has to hold; nothing written: it has to be there.
    pub struct TextRule {
        /// The whole value.
        equals: String => absent("any value"),
        /// A part of it.
        contains: String => absent("any value"),
        /// A regular expression that matches somewhere in it.
        matches: String => absent("any value"),
    }

    /// What a body has to be like. All that is written has to hold.
    pub struct BodyRule {
        /// The whole body.
        equals: String => absent("any body"),
        /// A part of it.
        contains: String => absent("any body"),
        /// A regular expression that matches somewhere in it.
        matches: String => absent("any body"),
        /// Values by JSON pointer: `{ "/items/0/id" = 7 }`.
        json: Named<Json> => default({}),
        /// Its length in bytes.
        length: Count<0, 1_000_000_000_000> => absent("any length"),
    }

    /// Where a captured value is found: in the body, as JSON or by a regular expression, or in a header field. At most
    /// 16 KiB.
    pub struct Capture {
        /// A JSON pointer into the body; a capture that is no table is this.
        json: String => absent("found in another way"),
        /// The name of a header field.
        header: String => absent("found in another way"),
        /// A regular expression, matched against the header field if one is named, else against the body. Its first
        /// group is the value, or all of it when it has none.
        regex: String => absent("the whole value"),
    }

    /// WebSockets that are opened and held. The stages say how many are open, in `connections`.
    pub struct WebSocket {
        /// Path and query of the handshake.
        path: String => default("/"),
        /// Header fields of the handshake by name.
        headers: Named<String> => default({}),
        /// The subprotocol that is asked for.
        subprotocol: String => absent("none"),
        /// Texts that every socket sends as soon as it is open, in this order.
        hello: List<String> => default([]),
        /// A text that some message has to contain before the socket counts as open.
        welcome: String => absent("the handshake is enough"),
        /// What sockets send from time to time.
        send: Send => absent("nothing"),
        /// Sudden loss of connections, which then all come back.
        storm: Storm => absent("no storm"),
    }

    /// What sockets send from time to time.
    pub struct Send {
        /// The text. `{{mark}}` in it becomes a mark by which receivers know sender, number and time; without one,
        /// nothing is known of what arrives.
        text: String => required("{{mark}}"),
        /// Time between two messages of one socket: `"1s"`, or `"1s-3s"` for anything between.
        every: Wait => required("1s"),
        /// How many of the sockets send.
        senders: Count<1, 10_000_000> => absent("all"),
        /// Who should receive each message.
        receivers: ReceiversWord => default("anyone"),
    }

    /// A reconnect storm.
    pub struct Storm {
        /// When, from the beginning of the run.
        at: Time<0> => required("30s"),
        /// Which share of the open sockets is cut.
        share: Share => default(1.0),
        /// Within which time they all come back.
        within: Time<0> => default("1s"),
    }
}

words! {
    /// What makes a request due.
    pub enum ModelWord {
        /// The schedule, whatever the target does. Latency counts from the due time.
        Open = "open",
        /// The answer before, and the user's think time. Latency counts from sending.
        Closed = "closed",
    }
}

words! {
    /// How the due times of the open model lie.
    pub enum SpacingWord {
        /// As evenly as the rate allows.
        Even = "even",
        /// At random, as independent people arrive.
        Poisson = "poisson",
    }
}

words! {
    /// What is new each time.
    pub enum Made {
        /// A random UUID for each flow.
        Uuid = "uuid",
        /// The number of the flow over all processes, from 0.
        Counter = "counter",
        /// Seconds since 1970, when it is put in.
        UnixTime = "unix-time",
    }
}

words! {
    /// How a token is signed.
    pub enum AlgorithmWord {
        /// HMAC with SHA-256.
        Hs256 = "HS256",
        /// HMAC with SHA-384.
        Hs384 = "HS384",
        /// HMAC with SHA-512.
        Hs512 = "HS512",
    }
}

words! {
    /// Which flow takes which row.
    pub enum OrderWord {
        /// Row after row over all processes, from the first again after the last.
        InTurn = "in-turn",
        /// Any.
        Random = "random",
    }
}

words! {
    /// Who should receive a message.
    pub enum ReceiversWord {
        /// Nobody in particular: what arrives is counted.
        Anyone = "anyone",
        /// The sender alone.
        Sender = "sender",
        /// Every open socket, its sender included.
        All = "all",
        /// Every open socket but its sender.
        Others = "others",
    }
}

/// Makes tables that one value of one key can stand for.
macro_rules! shorter {
    ($($table:ident: $key:ident = $value:ty;)*) => {$(
        impl Short for $table {
            type Value = $value;
            fn from_value(value: Spanned<$value>) -> Self {
                Self { $key: Key::Written(value), ..Self::default() }
            }
        }
    )*};
}

shorter! {
    Crowd: exactly = Count<1, 10_000_000>;
    RateShape: from = PerSecond;
    CountShape: from = Count<0, 10_000_000>;
    Variable: value = Constant;
    BodyRule: contains = String;
    Capture: json = String;
}

impl Short for TextRule {
    type Value = There;
    fn from_value(value: Spanned<There>) -> Self {
        let span = value.span();
        match value.into_inner() {
            There::Any => Self::default(),
            There::Is(text) => Self { equals: Key::Written(Spanned::new(span, text)), ..Self::default() },
        }
    }
}
